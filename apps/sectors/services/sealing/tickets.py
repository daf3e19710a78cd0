"""Tickets of sectors: drawn, and drawn again when the chain would not take them any more."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from django.db import transaction

from apps.chain.models import Head
from apps.chain.node.client import ChainClient
from apps.core.live import Change, publish
from apps.miners.models import Miner
from apps.sectors.models import Job, Sector
from apps.sectors.reasons import TICKET_OLD
from apps.sectors.selectors.jobs import UNLABELLED
from apps.sectors.services.sealing.console_steps import (
    SectorsInProgress,
    sector_console_step,
    sectors_group_by_miner,
)
from apps.sectors.services.sealing.landings import own_precommits_read
from apps.sectors.services.sealing.steps import job_lock
from apps.sectors.services.timeline import job_event_write
from poolsite.filecoin.address import address_parse
from poolsite.filecoin.noninteractive import LOOKBACK
from poolsite.filecoin.policy import Network
from poolsite.filecoin.randomness import Tag, miner_entropy
from poolsite.wire.pipeline import SectorEvent, SectorState, states_with

RENEWED_PART: Final = 4
"""A ticket with which no labels are made is drawn again after this part of the time that it lasts."""
TICKET_RENEWED: Final = "TICKET_RENEWED"
"""Event of a job whose sector got another ticket before any host had begun its labels."""


def tickets_assign(
    in_progress: SectorsInProgress, *, client: ChainClient, network: Network, head: Head, now: datetime
) -> int:
    """Draw the ticket for sectors whose data is complete: old enough that no reorganisation changes it."""
    epoch = max(head.height - network.ticket_lookback, 0)
    count = 0
    for miner, sectors in sectors_group_by_miner(in_progress.sectors_in(SectorState.TREE_D_BUILT)).items():
        ticket = client.state_get_randomness_from_tickets(
            Tag.SEAL_RANDOMNESS, epoch, entropy=miner_entropy_encode(miner), key=head.key
        )
        unchanged = _kept_tickets(miner, sectors=sectors, client=client, key=head.key)
        for sector in sectors:
            drawn: dict[str, Any] = (
                {} if sector.pk in unchanged else {"ticket": ticket, "ticket_epoch": epoch}
            )
            count += sector_console_step(sector, event=SectorEvent.ASSIGN_TICKET, now=now, **drawn)
    return count


def tickets_renew(
    in_progress: SectorsInProgress, *, client: ChainClient, network: Network, head: Head, now: datetime
) -> int:
    """Draw another ticket for sectors that have long waited for PC1, while no host has begun their labels.

    A host starts what its disk has room for and labels a few at a time: after a day in its queue the ticket
    would expire during the labels, or before the pre-commit lands, and they would be made again.
    """
    epoch = max(head.height - network.ticket_lookback, 0)
    waiting = [
        sector
        for sector in in_progress.sectors_in(SectorState.TICKET_ASSIGNED)
        if sector.precommit_epoch is None
        and epoch - (sector.ticket_epoch or 0)
        > (ticket_lifetime_read(sector, network=network) - network.ticket_lookback) // RENEWED_PART
    ]
    if not waiting:
        return 0
    rows = Job.objects.filter(UNLABELLED, sector__in=[sector.pk for sector in waiting])
    unlabelled = set(rows.values_list("sector", flat=True))
    count = 0
    for miner, sectors in sectors_group_by_miner(one for one in waiting if one.pk in unlabelled).items():
        ticket = client.state_get_randomness_from_tickets(
            Tag.SEAL_RANDOMNESS, epoch, entropy=miner_entropy_encode(miner), key=head.key
        )
        count += sum(_renew(sector, ticket=ticket, epoch=epoch, now=now) for sector in sectors)
    return count


@transaction.atomic
def _renew(sector: Sector, *, ticket: bytes, epoch: int, now: datetime) -> bool:
    """Renew a sector's ticket unless a host has claimed it, or it moved, since it was read."""
    job, current = job_lock(sector.pk)
    if current.paused_at is not None or not Job.objects.filter(UNLABELLED, pk=job.pk).exists():
        return False
    Sector.objects.filter(pk=current.pk).update(ticket=ticket, ticket_epoch=epoch, updated_at=now)
    job_event_write(job, event=TICKET_RENEWED, now=now)  # it ends no stage: PC1 waits on
    publish(Change("sector", str(current.uuid), current.miner.tenant_id))
    return True


def miner_entropy_encode(miner: Miner) -> bytes:
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
        if (sector.ticket_epoch or 0) <= head.height - ticket_lifetime_read(sector, network=network)
    ]
    for miner, sectors in sectors_group_by_miner(old).items():
        unchanged = _kept_tickets(miner, sectors=sectors, client=client, key=head.key)
        for sector in sectors:
            if sector.pk in unchanged:
                continue
            life = ticket_lifetime_read(sector, network=network)
            note = TICKET_OLD(epochs=life)
            count += sector_console_step(
                sector, event=SectorEvent.RETICKET, now=now, note=note, ticket=None, ticket_epoch=None
            )
    return count


def ticket_lifetime_read(sector: Sector, *, network: Network) -> int:
    """Return how many epochs the chain takes a sector's ticket for."""
    return network.max_precommit_randomness_lookback if sector.is_interactive else LOOKBACK


def _kept_tickets(miner: Miner, *, sectors: Sequence[Sector], client: ChainClient, key: str) -> set[int]:
    """Return those sealed again whose pre-commit the chain has: another ticket would be another replica."""
    again = [one for one in sectors if one.precommit_epoch is not None and one.ticket is not None]
    return own_precommits_read(miner, sectors=again, client=client, key=key) if again else set()
