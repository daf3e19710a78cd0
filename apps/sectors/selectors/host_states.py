"""The list of hosts by state, group and name: chosen, ordered and counted by the database."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.contrib.postgres.aggregates import ArrayAgg
from django.db.models import Case, Count, Exists, OuterRef, Q, QuerySet, Value, When
from django.db.models.functions import JSONObject

from apps.chain.selectors.read_cache import chain_read_once
from apps.sectors.models import Worker
from apps.sectors.rules.hardware import DISK_FULL, PERHAPS_SHORT, disk_share, is_short_of_disk
from apps.sectors.selectors.host_groups import away_since, hosts_here, hosts_known, hosts_told
from apps.sectors.selectors.hosts import jobs_held, workers_visible
from apps.sectors.selectors.proof_forms import PARAMETER_FACTS, parameters_error
from apps.users.rules.principals import Principal

KERNELS: Final = ("kernels_done", "kernels_total")
TROUBLE, WORKING, IDLE, PAUSED = "trouble", "working", "idle", "paused"


@dataclass(frozen=True, slots=True)
class HostMarks:
    """Keys of the hosts whose state follows from what they told of their hardware, or from others' speed."""

    full: tuple[int, ...]
    low: tuple[int, ...]
    """Short of disk."""
    unable: tuple[int, ...]
    """They make no proofs that the network takes."""
    warming: tuple[int, ...]
    """They have not compiled all kernels."""
    slow: tuple[int, ...]


@chain_read_once()
def host_marks(viewer: Principal, *, slow: Collection[int], now: datetime) -> HostMarks:
    """Return which of the hosts are marked; equal hardware is looked at once."""
    here = hosts_here(viewer, now=now)
    shares = {
        pk: disk_share(hardware) or 0.0
        for pk, hardware in hosts_told(here, PERHAPS_SHORT).values_list("pk", "hardware")
        if is_short_of_disk(hardware)
    }
    facts = JSONObject(**{name: f"hardware__{name}" for name in (*PARAMETER_FACTS, *KERNELS)})
    alike = here.order_by().annotate(facts=facts).values_list("facts").annotate(keys=ArrayAgg("pk"))
    unable: list[int] = []
    warming: list[int] = []
    for facts_alike, keys in alike:
        hardware = {name: value for name, value in facts_alike.items() if value is not None}
        if parameters_error(hardware):
            unable += keys
        elif hardware.get("kernels_done", 0) < hardware.get("kernels_total", 0):
            warming += keys
    return HostMarks(
        full=tuple(pk for pk, share in shares.items() if share < DISK_FULL),
        low=tuple(pk for pk, share in shares.items() if share >= DISK_FULL),
        unable=tuple(unable),
        warming=tuple(warming),
        slow=tuple(slow),
    )


def hosts_stated(viewer: Principal, marks: HostMarks, *, now: datetime) -> QuerySet[Worker]:
    """Return the hosts, those that need somebody first, each with its `state` and its `rank`."""
    held = jobs_held(viewer).filter(worker=OuterRef("pk"))
    steps: tuple[tuple[Any, str, int], ...] = (
        (Q(seen_at__lt=away_since(now)), TROUBLE, 0),
        (Q(pk__in=marks.full), TROUBLE, 0),
        (Q(pk__in=marks.low), TROUBLE, 1),
        (Q(is_paused=True), PAUSED, 2),
        (Q(is_draining=True), TROUBLE, 1),
        (Q(pk__in=marks.slow), TROUBLE, 1),
        (Exists(held), WORKING, 2),
        (Q(pk__in=marks.unable), TROUBLE, 0),
        (Q(pk__in=marks.warming), WORKING, 2),
    )
    states = [When(condition, then=Value(state)) for condition, state, _ in steps]
    ranks = [When(condition, then=Value(rank)) for condition, _, rank in steps]
    state, rank = Case(*states, default=Value(IDLE)), Case(*ranks, default=Value(2))
    return workers_visible(viewer).annotate(state=state, rank=rank).order_by("rank", "name", "pk")


def hosts_by_state(rows: QuerySet[Any]) -> dict[str, int]:
    """Return how many of `hosts_stated` are in each state, and under an empty key how many there are."""
    counts = dict.fromkeys((TROUBLE, WORKING, IDLE, PAUSED), 0)
    counts |= dict(rows.order_by().values_list("state").annotate(Count("pk")))
    return {"": sum(counts.values()), **counts}


def groups_of_hosts(viewer: Principal, limit: int) -> list[str]:
    """Return the first groups that hosts are in."""
    rows = hosts_known(viewer).exclude(group="").order_by("group").values_list("group", flat=True)
    return list(rows.distinct()[:limit])
