"""Sectors whose ticket or pre-commit soon ends: hosts take them before all others, clients' data too."""

from __future__ import annotations

from typing import Final

from apps.chain.models import Head
from apps.sectors.models import Job, Sector
from apps.sectors.services.sealing.console_steps import SectorsInProgress
from apps.sectors.services.sealing.tickets import ticket_lifetime_read
from poolsite.filecoin.policy import Network
from poolsite.wire.pipeline import NEXT_STAGE, ChainClock, Owner, states_on_clock

LAST_PART: Final = 10
"""A sector is urgent in this last part of the time that it has."""
CLOCKED: Final = tuple(
    state
    for clock in (ChainClock.TICKET, ChainClock.DEPOSIT)
    for state in states_on_clock(clock)
    if NEXT_STAGE[state].owner is Owner.WORKER
)
"""States in which a host's delay costs a sector its ticket or its deposit."""


def urgent_mark(in_progress: SectorsInProgress, *, network: Network, head: Head) -> int:
    """Mark the jobs of sectors that are urgent by now; each step of a sector takes its mark away."""
    urgent = [
        sector.pk
        for sector in in_progress.sectors_in(*CLOCKED)
        if _is_urgent(sector, network=network, height=head.height)
    ]
    if not urgent:
        return 0
    return Job.objects.filter(sector__in=urgent, time_sensitive=False).update(time_sensitive=True)


def _is_urgent(sector: Sector, *, network: Network, height: int) -> bool:
    if NEXT_STAGE[sector.state].clock is ChainClock.TICKET:
        start, life = sector.ticket_epoch, ticket_lifetime_read(sector, network=network)
    else:
        start, life = sector.precommit_epoch, network.max_prove_commit_duration
    return start is not None and height >= start + life - life // LAST_PART
