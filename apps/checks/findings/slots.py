"""Sectors that wait for a stage for which no host that may do it has a slot."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from django.contrib.postgres.aggregates import ArrayAgg
from django.db.models import Count, F, Func, IntegerField, Q, Value
from django.db.models.functions import Cast, Coalesce

from apps.checks import reasons
from apps.checks.findings.results import Finding, Link
from apps.checks.findings.text import named
from apps.checks.selectors.data import CheckData
from apps.checks.selectors.exposure import deposits_of
from apps.checks.selectors.rare import SECTORS_OVER
from apps.core.reasons import MARKED, counted
from apps.sectors.models import DAMOCLES
from apps.sectors.selectors.host_groups import hosts_here, hosts_known, hosts_with_slots, stages_served
from apps.sectors.selectors.sectors import DEPOSIT_OVER
from apps.sectors.states import JobState
from poolsite.wire.pipeline import WORKER_STAGES

WAITED: Final = timedelta(minutes=5)
"""A host that restarts has its slots again long before."""
SLOTS_OF_HOLDER: Final = Coalesce(
    Cast(
        Func(
            F("job__sticky_worker__slots"),
            F("job__stage"),
            function="jsonb_extract_path_text",
        ),
        IntegerField(),
    ),
    Value(0),
)
"""Of the host that has a sector's files: its slots for the sector's next stage."""


@dataclass(slots=True)
class _Stuck:
    """Sectors that wait for one stage in vain."""

    count: int = 0
    paid: Counter[int] = field(default_factory=Counter)
    """Those with a deposit on chain, by their size."""
    holders: dict[str, None] = field(default_factory=dict)
    """Names of the hosts that have their files, and no slot."""
    idle: dict[str, None] = field(default_factory=dict)
    """Names of hosts that have slots, and claim no work."""


def slots_missing(data: CheckData) -> Iterator[Finding]:
    """Sectors at a stage for which their host has no slot, or of those that any may do no host at work.

    What waits for hosts that are silent or paused because it lies there is told of them.
    """
    if not data.rare.sectors_open:
        return
    for stage, stuck in _stuck_by_stage(data).items():
        deposits = deposits_of(data, stuck.paid)
        label = MARKED(text=WORKER_STAGES[stage].label, context="stage")
        yield Finding(
            f"slots-{stage}",
            reasons.NO_SLOT(sectors=counted(stuck.count, "sector"), stage=label),
            _remedy(stuck),
            link=Link("hosts"),
            count=stuck.count,
            at_risk=deposits,
            deposits=deposits,
        )


def _remedy(stuck: _Stuck) -> str:
    if stuck.holders:
        return reasons.HOLDER_LACKS_SLOT(hosts=named(list(stuck.holders)))
    if stuck.idle:
        return reasons.HOST_IDLE(hosts=named(list(stuck.idle)))
    return reasons.GIVE_SLOT()


def _stuck_by_stage(data: CheckData) -> dict[str, _Stuck]:
    """Return the sectors that are stuck at each stage: of one host's those whose host claims work.

    Such a host is no damocles-worker, neither paused nor silent, and has no slot for the stage.
    """
    waiting = data.sectors.select_related(None).order_by().exclude(state__in=SECTORS_OVER)
    waiting = waiting.filter(paused_at=None, job__state=JobState.READY, job__updated_at__lt=data.at - WAITED)
    working = hosts_here(data.viewer, now=data.at).filter(is_paused=False)
    working = working.exclude(kinds__contains=[DAMOCLES]).order_by()
    bound = Q(job__is_portable=False, job__sticky_worker__in=working.values("pk")) & Q(slots=0)
    groups = (
        waiting.annotate(slots=SLOTS_OF_HOLDER)
        .filter(Q(job__is_portable=True) | bound)
        .values_list("state", "job__stage", "job__is_portable", "tenant", "sector_size")
        .annotate(
            count=Count("pk"),
            paid=Count("precommit_epoch"),
            holders=ArrayAgg("job__sticky_worker__name", distinct=True, filter=Q(job__is_portable=False)),
        )
    )
    served = stages_served(data.viewer, now=data.at)
    found: dict[str, _Stuck] = {}
    for state, stage, is_portable, tenant, size, count, paid, holders in groups:
        if stage not in WORKER_STAGES or (is_portable and (tenant, stage) in served):
            continue
        one = found.setdefault(stage, _Stuck())
        one.count += count
        if state not in DEPOSIT_OVER:
            one.paid[size] += paid
        if is_portable:
            one.idle |= dict.fromkeys(_with_slots(data, tenant, stage))
        one.holders |= dict.fromkeys(holders or ())
    return found


def _with_slots(data: CheckData, tenant: int, stage: str) -> list[str]:
    """Return the names of hosts that have slots for a stage and do not claim now."""
    rows = hosts_with_slots(hosts_known(data.viewer).filter(tenant=tenant), stage)
    return list(rows.values_list("name", flat=True))
