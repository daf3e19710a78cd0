"""Seeds of sectors, once their pre-commit is old enough."""

from __future__ import annotations

from datetime import datetime

from apps.chain.models import Head
from apps.chain.node.client import ChainClient
from apps.sectors.onchain.sectors import precommits_read
from apps.sectors.services.sealing.console_steps import (
    SectorsInProgress,
    sector_console_step,
    sectors_group_by_miner,
)
from apps.sectors.services.sealing.tickets import miner_entropy_encode
from poolsite.filecoin.noninteractive import SEED
from poolsite.filecoin.policy import Network
from poolsite.filecoin.randomness import Tag
from poolsite.wire.pipeline import SectorEvent, SectorState


def seeds_skip(in_progress: SectorsInProgress, *, now: datetime) -> int:
    """Advance stored sectors of non-interactive PoRep to their proof at once."""
    count = 0
    for sector in in_progress.sectors_in(SectorState.PERSISTED, SectorState.PRECOMMIT_LANDED):
        if not sector.is_interactive:
            is_stored = sector.state == SectorState.PERSISTED
            event = SectorEvent.SKIP_PRECOMMIT if is_stored else SectorEvent.ASSIGN_SEED
            count += sector_console_step(
                sector, event=event, now=now, seed=SEED, seed_epoch=sector.ticket_epoch
            )
    return count


def seeds_assign(
    in_progress: SectorsInProgress, *, client: ChainClient, network: Network, head: Head, now: datetime
) -> int:
    """Draw the seed of sectors whose pre-commit is old enough.

    The pre-commit's epoch is read again: a reorganisation may have moved it since it landed.
    """
    count = 0
    wait = network.pre_commit_challenge_delay + network.confidences.seed
    due = [
        sector
        for sector in in_progress.sectors_in(SectorState.PRECOMMIT_LANDED)
        if sector.is_interactive
        and sector.precommit_epoch is not None
        and head.height >= sector.precommit_epoch + wait
    ]
    for miner, sectors in sectors_group_by_miner(due).items():
        numbers = [sector.number for sector in sectors]
        found = precommits_read(client, miner.address, numbers, head.key)
        for sector in sectors:
            onchain = found[sector.number]
            if onchain is None or onchain.epoch != sector.precommit_epoch:
                continue  # the watch of its message sets this right
            epoch = onchain.epoch + network.pre_commit_challenge_delay
            seed = client.state_get_randomness_from_beacon(
                Tag.INTERACTIVE_SEAL_CHALLENGE_SEED, epoch, entropy=miner_entropy_encode(miner), key=head.key
            )
            count += sector_console_step(
                sector, event=SectorEvent.ASSIGN_SEED, now=now, seed=seed, seed_epoch=epoch
            )
    return count
