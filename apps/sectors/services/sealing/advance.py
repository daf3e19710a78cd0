"""Steps of sectors that the chain makes possible: tickets, seeds, landed messages, reorganisations.

Every step first asks the chain, without any lock, and then moves each sector in a transaction of its
own that looks again; so two tasks may run at once, and a crash leaves nothing half done.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import structlog
from django.db import transaction
from django.utils.translation import gettext

from apps.core.errors import Conflict
from apps.miners.states import MinerState
from apps.sectors.models import Sector
from apps.sectors.onchain import partitions_of, precommits_read, sectors_read
from apps.sectors.selectors.restored import miners_unrecovered
from apps.sectors.services.sealing.steps import job_locked, sector_step
from poolsite.filecoin.address import address_parse
from poolsite.filecoin.cids import commr_cid
from poolsite.filecoin.noninteractive import LOOKBACK, SEED
from poolsite.filecoin.randomness import Tag, miner_entropy
from poolsite.wire.pipeline import FINAL_STATES, SectorEvent, SectorState, states_with

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from apps.chain.client import ChainClient
    from apps.chain.models import Head
    from apps.miners.models import Miner
    from poolsite.filecoin.policy import Network

log = structlog.get_logger(__name__)


class SectorsInProgress:
    """The sectors that are on their way and not paused, read once for all steps of a pass.

    A step may find its sector moved on meanwhile; it looks again under the lock anyway.
    """

    def __init__(self, rows: Iterable[Sector]) -> None:
        self.by_state: dict[str, list[Sector]] = defaultdict(list)
        for sector in rows:
            self.by_state[sector.state].append(sector)

    @classmethod
    def read(cls) -> SectorsInProgress:
        """Read those of all miners but the ones whose sectors are still read back after a restore."""
        rows = Sector.objects.filter(paused_at=None, miner__state=MinerState.ACTIVE)
        rows = rows.exclude(miner__in=miners_unrecovered())
        return cls(rows.exclude(state__in=FINAL_STATES).select_related("miner__tenant").order_by("pk"))

    def each_miner(self) -> list[SectorsInProgress]:
        """Return each miner's own, so that what goes wrong with one of them stops no other."""
        return [SectorsInProgress(sectors) for sectors in by_miner(self.sectors_in(*self.by_state)).values()]

    def __str__(self) -> str:
        sectors = self.sectors_in(*self.by_state)
        return f"sectors of {sectors[0].miner}" if sectors else "no sectors"

    def sectors_in(self, *states: str) -> list[Sector]:
        """Return the sectors in these states, oldest first in each."""
        return [sector for state in states for sector in self.by_state[state]]


def by_miner(sectors: Iterable[Sector]) -> dict[Miner, list[Sector]]:
    """Group sectors by their miner."""
    groups: dict[Miner, list[Sector]] = defaultdict(list)
    for sector in sectors:
        groups[sector.miner].append(sector)
    return groups


def step_console(sector: Sector, event: str, *, now: datetime, note: str = "", **data: Any) -> bool:
    """Take one step if the sector still is where we saw it; False if somebody else was faster."""
    with transaction.atomic():
        job, fresh = job_locked(sector.pk)
        if fresh.state != sector.state or fresh.paused_at is not None:
            return False
        try:
            with transaction.atomic():
                sector_step(fresh, event, job=job, now=now, actor="console", note=note, **data)
        except Conflict as conflict:
            log.info("sector_step_lost", sector=str(fresh.uuid), transition=event, reason=conflict.reason)
            return False
    return True


def tickets_assign(
    in_progress: SectorsInProgress, *, client: ChainClient, network: Network, head: Head, now: datetime
) -> int:
    """Draw the ticket for sectors whose data is complete: old enough that no reorganisation changes it."""
    epoch = max(head.height - network.ticket_lookback, 0)
    count = 0
    for miner, sectors in by_miner(in_progress.sectors_in(SectorState.TREE_D_BUILT)).items():
        ticket = client.state_get_randomness_from_tickets(
            Tag.SEAL_RANDOMNESS, epoch, entropy=entropy_of(miner), key=head.key
        )
        kept = tickets_kept(miner, sectors, client=client, key=head.key)
        for sector in sectors:
            drawn: dict[str, Any] = {} if sector.pk in kept else {"ticket": ticket, "ticket_epoch": epoch}
            count += step_console(sector, SectorEvent.ASSIGN_TICKET, now=now, **drawn)
    return count


def entropy_of(miner: Miner) -> bytes:
    """Return what makes a miner's randomness its own."""
    return miner_entropy(address_parse(miner.address))


def tickets_check(
    in_progress: SectorsInProgress, *, client: ChainClient, network: Network, head: Head, now: datetime
) -> int:
    """Send sectors back whose ticket the chain would not take any more; labels depend on it."""
    count = 0
    old = [
        sector
        for sector in in_progress.sectors_in(*states_with(SectorEvent.RETICKET))
        if (sector.ticket_epoch or 0) <= head.height - ticket_life(sector, network)
    ]
    for miner, sectors in by_miner(old).items():
        kept = tickets_kept(miner, sectors, client=client, key=head.key)
        for sector in sectors:
            if sector.pk in kept:
                continue
            life = ticket_life(sector, network)
            note = gettext("the ticket is older than {epochs} epochs").format(epochs=life)
            count += step_console(
                sector, SectorEvent.RETICKET, now=now, note=note, ticket=None, ticket_epoch=None
            )
    return count


def ticket_life(sector: Sector, network: Network) -> int:
    """Return how many epochs the chain takes a sector's ticket for."""
    return network.max_precommit_randomness_lookback if sector.is_interactive else LOOKBACK


def seeds_skip(in_progress: SectorsInProgress, *, now: datetime) -> int:
    """Advance stored sectors of non-interactive PoRep to their proof at once."""
    count = 0
    for sector in in_progress.sectors_in(SectorState.PERSISTED, SectorState.PRECOMMIT_LANDED):
        if not sector.is_interactive:
            is_stored = sector.state == SectorState.PERSISTED
            event = SectorEvent.SKIP_PRECOMMIT if is_stored else SectorEvent.ASSIGN_SEED
            count += step_console(sector, event, now=now, seed=SEED, seed_epoch=sector.ticket_epoch)
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
    for miner, sectors in by_miner(due).items():
        numbers = [sector.number for sector in sectors]
        found = precommits_read(client, miner.address, numbers, head.key)
        for sector in sectors:
            there = found[sector.number]
            if there is None or there.epoch != sector.precommit_epoch:
                continue  # the watch of its message sets this right
            epoch = there.epoch + network.pre_commit_challenge_delay
            seed = client.state_get_randomness_from_beacon(
                Tag.INTERACTIVE_SEAL_CHALLENGE_SEED, epoch, entropy=entropy_of(miner), key=head.key
            )
            count += step_console(sector, SectorEvent.ASSIGN_SEED, now=now, seed=seed, seed_epoch=epoch)
    return count


def precommits_check(
    in_progress: SectorsInProgress, *, client: ChainClient, head: Head, now: datetime
) -> int:
    """Notice pre-commits that moved to another epoch, or went away, after they had landed."""
    states = (
        SectorState.PRECOMMIT_LANDED,
        SectorState.SEED_ASSIGNED,
        SectorState.C1_DONE,
        SectorState.C2_DONE,
    )
    count = 0
    landed = (sector for sector in in_progress.sectors_in(*states) if sector.is_interactive)
    for miner, sectors in by_miner(landed).items():
        found = precommits_read(client, miner.address, [sector.number for sector in sectors], head.key)
        gone = [one for one in sectors if one.state == SectorState.C2_DONE and found[one.number] is None]
        proven = sectors_proven(miner, gone, client=client, key=head.key)
        for sector in sectors:
            there = found[sector.number]
            if sector.pk in proven:
                continue  # by a commit that was given up: the next batch finds it
            if there is None:
                note = gettext("the pre-commit is no longer on chain")
                count += step_console(sector, SectorEvent.REVERT_PRECOMMIT, now=now, note=note)
            elif there.epoch != sector.precommit_epoch:
                count += _precommit_moved(sector, epoch=there.epoch, now=now)
    return count


def _precommit_moved(sector: Sector, *, epoch: int, now: datetime) -> bool:
    note = gettext("the pre-commit is at epoch {epoch} instead of {precommit_epoch}").format(
        epoch=epoch, precommit_epoch=sector.precommit_epoch
    )
    if sector.state == SectorState.PRECOMMIT_LANDED:
        return bool(
            Sector.objects.filter(pk=sector.pk, state=sector.state).update(
                precommit_epoch=epoch, updated_at=now
            )
        )
    return step_console(
        sector, SectorEvent.RESEED, now=now, note=note, precommit_epoch=epoch, seed=None, seed_epoch=None
    )


def precommit_landed(
    sectors: list[Sector], *, miner: Miner, client: ChainClient, key: str, now: datetime
) -> list[Sector]:
    """Move sectors whose pre-commit is on the chain; returns those for which there is none."""
    numbers = [sector.number for sector in sectors]
    found = precommits_read(client, miner.address, numbers, key)
    absent = []
    for sector in sectors:
        there = found[sector.number]
        if there is None:
            absent.append(sector)
        else:
            step_console(sector, SectorEvent.LAND_PRECOMMIT, now=now, precommit_epoch=there.epoch)
    return absent


def commit_landed(
    sectors: list[Sector], *, miner: Miner, client: ChainClient, key: str, now: datetime
) -> list[Sector]:
    """Move sectors that the chain knows as proven; returns those that it does not."""
    numbers = [sector.number for sector in sectors]
    found = sectors_read(client, miner.address, numbers, key)
    places = partitions_of(client, miner.address, numbers, key)
    absent = []
    for sector in sectors:
        there = found[sector.number]
        if there is None or not is_ours(sector, there.sealed_cid):
            absent.append(sector)
            continue
        deadline, partition = places.get(sector.number, (None, None))
        step_console(
            sector,
            SectorEvent.LAND_COMMIT,
            now=now,
            activation=there.activation,
            expiration=there.expiration,
            initial_pledge=there.initial_pledge,
            deadline=deadline,
            partition=partition,
        )
    return absent


def precommits_ours(miner: Miner, sectors: Sequence[Sector], *, client: ChainClient, key: str) -> set[int]:
    """Return those of which the chain has the pre-commit of this very replica."""
    found = precommits_read(client, miner.address, [sector.number for sector in sectors], key)
    return {
        sector.pk
        for sector in sectors
        if (there := found[sector.number]) is not None and is_ours(sector, there.sealed_cid)
    }


def tickets_kept(miner: Miner, sectors: Sequence[Sector], *, client: ChainClient, key: str) -> set[int]:
    """Return those sealed again whose pre-commit the chain has: another ticket would be another replica."""
    again = [one for one in sectors if one.precommit_epoch is not None and one.ticket is not None]
    return precommits_ours(miner, again, client=client, key=key) if again else set()


def sectors_proven(miner: Miner, sectors: Sequence[Sector], *, client: ChainClient, key: str) -> set[int]:
    """Return the row ids of those that the chain has proven, with this very replica."""
    if not sectors:
        return set()
    found = sectors_read(client, miner.address, [sector.number for sector in sectors], key)
    return {
        sector.pk
        for sector in sectors
        if (there := found[sector.number]) is not None and is_ours(sector, there.sealed_cid)
    }


def is_ours(sector: Sector, sealed_cid: str) -> bool:
    """Return whether the chain speaks of this sector's replica."""
    return sector.comm_r is not None and sealed_cid == str(commr_cid(bytes(sector.comm_r)))
