"""Checks of the clocks that the chain sets a sector in progress: tickets, seeds, deposits."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil
from typing import Final

from django.db.models import Q

from apps.chain.selectors.status import EpochClock
from apps.checks import reasons
from apps.checks.findings.acts import sectors_retry
from apps.checks.findings.results import Finding, Link
from apps.checks.findings.text import at_least
from apps.checks.selectors.data import CheckData
from apps.checks.selectors.exposure import deposits_of
from apps.checks.selectors.rare import rare_rows
from apps.core.reasons import lasting
from apps.sectors.models import Sector
from apps.sectors.selectors.sectors import DEPOSIT_OVER
from apps.sectors.services.sealing.tickets import ticket_lifetime_read
from poolsite.filecoin.noninteractive import LOOKBACK
from poolsite.filecoin.policy import Network
from poolsite.filecoin.sector import RegisteredSealProof
from poolsite.wire.pipeline import SectorEvent, SectorState, states_with

UNCOMMITTED: Final = states_with(SectorEvent.RETICKET)
"""States with a ticket that no pre-commit has used yet."""
TICKET_PART: Final = 10
"""A ticket is named when this part of its life is left, or less than what is to be done takes here."""
SEED_LATE: Final = 20
"""Epochs after a seed in which it is read at every head: then something keeps it from being read."""
NON_INTERACTIVE: Final = tuple(one for one in RegisteredSealProof if not one.is_interactive)
DEPOSIT_S: Final = 48 * 3600
"""A deposit that is lost within 48 hours is named: what is left of sealing takes hours."""


def _lost_soon(clock: EpochClock, network: Network) -> int:
    """Return the epoch before which a pre-commit lies whose deposit is lost within `DEPOSIT_S`."""
    life = network.max_prove_commit_duration
    # A small network leaves less time than 48 h from the start.
    return clock.epoch + min(DEPOSIT_S // network.epoch_s, life // 10) - life


def deposits_expiring(data: CheckData) -> Iterator[Finding]:
    """Pre-commits whose deposit the chain burns soon because the sector is not proved."""
    if data.clock is None or data.network is None or not data.rare.sectors_open:
        return
    life = data.network.max_prove_commit_duration
    rows = data.sectors.exclude(state__in=DEPOSIT_OVER)
    rows = rows.filter(precommit_epoch__lt=_lost_soon(data.clock, data.network)).order_by("precommit_epoch")
    late, has_more = rare_rows(rows)
    if not late:
        return
    first = late[0]
    deposits = deposits_of(data, [row.sector_size for row in late])
    yield Finding(
        "deposits",
        reasons.DEPOSITS_LOST(deposits=at_least(len(late), "deposit", has_more=has_more)),
        reasons.UNPROVEN(
            miner=first.miner.address, number=first.number, precommit_epoch=first.precommit_epoch
        ),
        link=Link("sector", (str(first.uuid),)) if len(late) == 1 else None,
        count=len(late),
        has_more=has_more,
        at_risk=deposits,
        deposits=deposits,
        due_s=data.clock.starts_at((first.precommit_epoch or 0) + life),
        due_label=reasons.UNTIL_DEPOSIT_LOST(),
        acts=sectors_retry(late),
    )


def tickets_expiring(data: CheckData) -> Iterator[Finding]:
    """Sectors whose ticket the chain soon takes no more: their first stage would be made anew."""
    if data.clock is None or data.network is None or not data.rare.sectors_open:
        return
    usual = data.network.max_precommit_randomness_lookback
    old = Q(pk=None)
    for kind, life in (
        (~Q(seal_proof__in=NON_INTERACTIVE), usual),
        (Q(seal_proof__in=NON_INTERACTIVE), LOOKBACK),
    ):
        old |= kind & Q(ticket_epoch__lt=data.clock.epoch - life + life // TICKET_PART)
    for proof, state in data.precommit_times:
        life = LOOKBACK if proof in NON_INTERACTIVE else usual
        needed = ticket_needed(data, data.network, proof=proof, state=state, life=life)
        old |= Q(seal_proof=proof, state=state, ticket_epoch__lt=data.clock.epoch - life + needed)
    rows = data.sectors.filter(old, state__in=UNCOMMITTED).order_by("ticket_epoch")
    late, has_more = rare_rows(rows)
    if late:
        ends = {
            row.pk: (row.ticket_epoch or 0) + ticket_lifetime_read(row, network=data.network) for row in late
        }
        first = min(late, key=lambda row: ends[row.pk])
        say = reasons.TICKETS(tickets=at_least(len(late), "ticket", has_more=has_more))
        yield Finding(
            "tickets",
            say,
            reasons.TICKET_OLD(
                miner=first.miner.address, number=first.number, takes=_takes_text(first, data)
            ),
            link=Link("sector", (str(first.uuid),)) if len(late) == 1 else None,
            count=len(late),
            has_more=has_more,
            due_s=data.clock.starts_at(ends[first.pk]),
            due_label=reasons.UNTIL_TICKET(),
            acts=sectors_retry(late),
        )


def ticket_needed(data: CheckData, network: Network, *, proof: int, state: str, life: int) -> int:
    """Return how many epochs before its ticket ends a sector is named."""
    takes_s = data.precommit_times.get((proof, state), 0.0)
    return max(life // TICKET_PART, ceil(takes_s / network.epoch_s))


def _takes_text(sector: Sector, data: CheckData) -> str:
    """Return how long the farm takes from where a sector is, if that is known."""
    takes_s = data.precommit_times.get((sector.seal_proof, sector.state))
    if takes_s is None:
        return ""
    return reasons.TAKES(takes_s=lasting(takes_s))


def seed_ready(data: CheckData) -> Iterator[Finding]:
    """Pre-committed sectors with a seed that nobody reads: their deposit is at stake."""
    if data.clock is None or data.network is None or data.head is None or not data.rare.sectors_open:
        return
    before = data.head.height - data.network.pre_commit_challenge_delay - SEED_LATE
    rows = data.sectors.filter(
        state=SectorState.PRECOMMIT_LANDED, precommit_epoch__lt=before, paused_at=None
    ).order_by("precommit_epoch")
    late, has_more = rare_rows(rows)
    if late:
        first = late[0]
        ready = (first.precommit_epoch or 0) + data.network.pre_commit_challenge_delay
        # Those that are lost soon are counted by `deposits_expiring`.
        named_there = _lost_soon(data.clock, data.network)
        paid = [row.sector_size for row in late if (row.precommit_epoch or 0) >= named_there]
        deposits = deposits_of(data, paid)
        yield Finding(
            "seeds",
            reasons.SEEDS(sectors=at_least(len(late), "sector", has_more=has_more)),
            reasons.SEED_READY(
                miner=first.miner.address, number=first.number, ready=ready, seed_text=reasons.SEED_UNREAD()
            ),
            link=Link("sector", (str(first.uuid),)) if len(late) == 1 else None,
            count=len(late),
            has_more=has_more,
            at_risk=deposits,
            deposits=deposits,
            due_s=data.clock.starts_at((first.precommit_epoch or 0) + data.network.max_prove_commit_duration),
            due_label=reasons.UNTIL_DEPOSIT_LOST(),
        )
