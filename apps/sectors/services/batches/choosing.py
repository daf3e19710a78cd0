"""Which sectors' pre-commits or commits go to the chain now, and why; or that they wait for others."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from typing import Final

from django.db.models import Q

from apps.sectors.models import Sector
from apps.sectors.rules.batches import COMMIT, PRE_COMMIT, BatchRules
from apps.sectors.selectors.sealing_context import SealingContext
from apps.sectors.services.batches.requests import REQUESTED
from apps.sectors.services.sealing.placements import sector_start_epochs_read
from apps.sectors.services.sealing.tickets import ticket_lifetime_read
from poolsite.filecoin.noninteractive import MAX_SECTORS
from poolsite.wire.pipeline import FINAL_STATES, SECTOR_STATES, SectorEvent, SectorState, states_with

DEADLINE: Final = "deadline"
"""Why a batch goes whose sectors would be too late otherwise."""
STAGES_BEFORE: Final = {
    SectorState.PERSISTED: states_with(SectorEvent.RETICKET)[:-1],
    SectorState.C2_DONE: states_with(SectorEvent.RESEED)[:-1],
}
"""Where the sectors are that come to a batch next, by the state in which it waits."""
BEFORE_TICKET: Final = tuple(takewhile(lambda state: state != SectorState.TICKET_ASSIGNED, SECTOR_STATES))
"""Where those are that may still come to a pre-commit, where a sector is sealed in a few epochs."""


def batch_choose(
    sectors: Sequence[Sector], *, kind: BatchRules, work: SealingContext, requested_height: int = -1
) -> tuple[list[Sector], str]:
    """Choose the sectors that go now, and say why; none if the batch shall wait.

    What has waited since `requested_height` or longer goes whatever the base fee is.
    """
    if not sectors:
        return [], ""
    policy, height = work.policy, work.head.height
    most = policy.precommit_batch_max if kind is PRE_COMMIT else policy.commit_batch_max
    if kind is PRE_COMMIT:
        most = min(most, work.network.pre_commit_batch_max)
    elif not sectors[0].is_interactive:
        most = min(most, MAX_SECTORS)
    urgent = _urgent(sectors, kind=kind, work=work)
    first = sorted(sectors, key=lambda one: (one.pk not in urgent, one.ready_height or 0, one.pk))[:most]
    oldest = first[0].ready_height or height
    wait = policy.precommit_wait_epochs if kind is PRE_COMMIT else policy.commit_wait_epochs
    if urgent:
        return first, DEADLINE
    if oldest <= requested_height:
        return first, REQUESTED
    if policy.is_held(kind.kind, int(work.head.base_fee)):
        return [], ""
    if len(first) == most:
        return first, "full"
    if height - oldest >= wait and not _backlog_fills(first[0], oldest=oldest, kind=kind, work=work):
        return first, "timeout"
    if len(first) == 1 and not _has_others_coming(first[0], kind=kind):
        return first, "single"
    return [], ""


def aggregate_may_wait(
    aggregated: Sequence[Sector], *, reason: str, among: Sequence[Sector], work: SealingContext
) -> tuple[list[Sector], str]:
    """Return the sectors of an aggregate that is made, with why they go; none if others must go before it.

    Those that must go now wait for it only where they are in it, and there is no other message.
    """
    urgent = set() if reason == DEADLINE else _urgent(among, kind=COMMIT, work=work)
    if not urgent:
        return list(aggregated), reason
    return (list(aggregated), DEADLINE) if urgent <= {sector.pk for sector in aggregated} else ([], "")


def _urgent(sectors: Sequence[Sector], *, kind: BatchRules, work: SealingContext) -> set[int]:
    """Return the keys of those that wait for no others: their data, ticket or deposit would be too late."""
    return _starting_soon(sectors, kind=kind, work=work) | _due(sectors, kind=kind, work=work)


def _starting_soon(sectors: Sequence[Sector], *, kind: BatchRules, work: SealingContext) -> set[int]:
    """Return the keys of those whose data must be active soon, where a pre-commit has a seed to wait for."""
    slack = work.policy.precommit_slack_epochs
    if kind is PRE_COMMIT:
        slack += work.network.pre_commit_challenge_delay + work.network.confidences.seed
    starts, latest = sector_start_epochs_read(sectors), work.head.height + slack
    return {sector.pk for sector in sectors if starts.get(sector.number, latest + 1) <= latest}


def _due(sectors: Sequence[Sector], *, kind: BatchRules, work: SealingContext) -> set[int]:
    """Return the keys of those whose ticket or pre-commit soon expires."""
    latest = work.head.height + work.policy.precommit_slack_epochs
    if kind is PRE_COMMIT or not sectors[0].is_interactive:
        ends = {
            sector.pk: (sector.ticket_epoch or 0) + ticket_lifetime_read(sector, network=work.network)
            for sector in sectors
        }
    else:
        life = work.network.max_prove_commit_duration
        ends = {sector.pk: (sector.precommit_epoch or 0) + life for sector in sectors}
    return {key for key, end in ends.items() if end <= latest}


def _backlog_fills(sector: Sector, *, oldest: int, kind: BatchRules, work: SealingContext) -> bool:
    """Return whether a batch goes on waiting since others of its miner will come to it by its cutoff.

    Those are in the stages just before it; or further, where its first one went through these soon enough.
    """
    policy = work.policy
    most = policy.precommit_backlog_epochs if kind is PRE_COMMIT else policy.commit_backlog_epochs
    if work.head.height - oldest >= most:
        return False
    coming = Q(state__in=STAGES_BEFORE[kind.waits_in])
    if kind is PRE_COMMIT and sector.ticket_epoch:
        took = oldest - sector.ticket_epoch - work.network.ticket_lookback
        if took <= oldest + most - work.head.height:
            coming |= Q(state__in=BEFORE_TICKET)
    if kind is COMMIT:
        seed_wait = work.network.pre_commit_challenge_delay + work.network.confidences.seed
        coming |= Q(state=SectorState.PRECOMMIT_LANDED, precommit_epoch__lt=oldest + most - seed_wait)
    return Sector.objects.filter(coming, miner=sector.miner, paused_at=None).exists()


def _has_others_coming(sector: Sector, *, kind: BatchRules) -> bool:
    """Return whether another sector of this miner is on its way to the same batch."""
    before = SECTOR_STATES[: SECTOR_STATES.index(kind.waits_in) + 1]
    return (
        Sector.objects.filter(miner=sector.miner, state__in=before, paused_at=None)
        .exclude(pk=sector.pk)
        .exclude(state__in=FINAL_STATES)
        .exists()
    )
