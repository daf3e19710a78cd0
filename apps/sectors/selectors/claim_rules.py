"""To which jobs a claim is narrowed: by its host's rules for new sectors, the most urgent first."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from django.db.models import BigIntegerField, F, Func, Q, Window
from django.db.models.functions import RowNumber
from django.db.models.lookups import GreaterThanOrEqual, LessThanOrEqual

from apps.sectors.models import Job, Worker
from apps.sectors.states import JobState
from poolsite.wire.jobs import Claim, JobKind
from poolsite.wire.sealing_rules import NewSectors

URGENCY: Final = ("-time_sensitive", "-priority", "-rank", "expires_at", "created_at", "pk")
"""The order of `claim_statements.BY_END` in Django's words."""
CHOSEN_MAX: Final = 1_000
"""Jobs to which one claim may be narrowed."""


class Deals(Func):
    """A figure of the pieces of a sector that hold clients' data."""

    output_field = BigIntegerField()
    template = (
        "(SELECT %(figure)s FROM jsonb_array_elements(%(expressions)s) piece"
        " WHERE (piece->>'payload')::bigint > 0)"
    )

    def __init__(self, figure: str) -> None:
        super().__init__(F("sector__pieces"), figure=figure)


DEAL_BYTES: Final = "coalesce(sum((piece->>'size')::bigint), 0)"


def new_sectors_filter(takes: NewSectors) -> Q:
    """Return which jobs are new sectors that a host's rules let begin there."""
    matching = Q(kind=JobKind.SEAL, sticky_worker=None)
    if takes.miners:
        matching &= Q(miner__actor_id__in=takes.miners)
    if takes.sizes:
        matching &= Q(sector__sector_size__in=takes.sizes)
    if takes.deals_max:
        matching &= Q(LessThanOrEqual(Deals("count(*)"), takes.deals_max))
    if takes.deal_bytes_min:
        matching &= Q(sector__pieces=[]) | Q(GreaterThanOrEqual(Deals(DEAL_BYTES), takes.deal_bytes_min))
    if not takes.takes_data:
        matching &= Q(sector__pieces=[])
    if not takes.takes_empty:
        matching &= ~Q(sector__pieces=[])
    return matching


def free_filter(now: datetime) -> Q:
    """Return which jobs a host may be given: ready ones, and those whose lease has lapsed."""
    return Q(state=JobState.READY) | Q(state=JobState.LEASED, lease_until__lt=now)


def jobs_choose(worker: Worker, *, among: Q, claim: Claim, now: datetime) -> list[int]:
    """Return the keys of the jobs, the most urgent of what the worker may have, that a claim is for."""
    is_its = Q(sticky_worker=None) | Q(sticky_worker=worker)
    others = [kind for kind in claim.kinds if kind != JobKind.SEAL]
    is_asked = Q(kind=JobKind.SEAL, stage__in=list(claim.stages)) | Q(kind__in=others)
    free = Job.objects.filter(among, free_filter(now), is_its, is_asked)
    mine = free.filter(miner__tenant_id=worker.tenant_id)
    place = Window(RowNumber(), partition_by=F("miner"), order_by=URGENCY)  # no miner's queue hides another's
    *urgency, age, key = URGENCY
    return list(
        mine.alias(place=place)
        .order_by(*urgency, "place", age, key)
        .values_list("pk", flat=True)[:CHOSEN_MAX]
    )
