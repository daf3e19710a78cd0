"""What a list of sectors can be narrowed to."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, Final

from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

from apps.chain.selectors.heads import head_current
from apps.chain.selectors.status import EpochClock, clock_of, network_known
from apps.core.clock import DAY_S, now
from apps.core.filters import Choices, Flag, Whole, Words
from apps.miners.selectors.miners import MinerFilters, miners_visible
from apps.sectors.models import Sector
from apps.sectors.rules.sector_names import sector_name_parse
from apps.sectors.selectors.hosts import workers_visible
from apps.sectors.selectors.sector_changes import changes_visible
from poolsite.wire.pipeline import FINAL_STATES, SECTOR_STAGES, SECTOR_STATES, STATE_OF_STAGE, SectorState
from poolsite.wire.pipeline.changes import OPEN_CHANGES

Rows = Any
"""A query set of sectors."""
EXPIRING_S: Final = 30 * DAY_S
"""A sector whose life ends within 30 days is named: extending it takes a decision and a message."""


def expires_soon(clock: EpochClock | None) -> Q:
    """Return the condition for sealed sectors whose life ends within `EXPIRING_S`; none without a chain."""
    if clock is None:
        return Q(pk=None)
    before = clock.epoch + EXPIRING_S // clock.delay_s
    # What has ended stays in this state and can be extended no more.
    return Q(state=SectorState.PROVING, expiration__gte=clock.epoch, expiration__lte=before)


SECTOR_VIEWS: Final[dict[str, Callable[[SectorFilters], Q]]] = {
    "work": lambda _filters: ~Q(state__in=FINAL_STATES),
    "failed": lambda _filters: Q(paused_at__isnull=False, paused_by=""),
    "paused": lambda _filters: Q(paused_at__isnull=False),
    "active": lambda _filters: Q(state=SectorState.PROVING, active=True),
    "sealed": lambda _filters: Q(state=SectorState.PROVING, active=False),
    "expiring": lambda filters: expires_soon(filters.clock),
    "changing": lambda filters: Q(
        pk__in=changes_visible(filters.viewer).filter(state__in=OPEN_CHANGES).order_by().values("sector")
    ),
    "terminated": lambda _filters: Q(state=SectorState.TERMINATED),
    "aborted": lambda _filters: Q(state=SectorState.ABORTED),
}
"""What `state` takes beside the states of the table: each has an index."""


class SectorFilters(MinerFilters):
    """Filters of sectors; each has an index."""

    number = Whole(method="of_number")
    host = Words(
        label=_("Host"), method="of_host", about="name of the host that is sealing it, or sealed it last"
    )
    store = Words(label=_("Store"), about="name of the store with its files")
    state = Choices((*SECTOR_STATES, *SECTOR_VIEWS), method="of_states", refusal=_("there is no such state"))
    stage = Choices(SECTOR_STAGES, method="of_stages", refusal=_("there is no such stage"))
    active = Flag()
    paused = Flag(field_name="paused_at", lookup_expr="isnull", exclude=True)
    q = Words(label=_("Sector number"), method="named", about="number, miner and number, or store")

    @cached_property
    def clock(self) -> EpochClock | None:
        """Epochs and wall time; None before the first head."""
        if self.page is not None:
            return self.page.clock  # type: ignore[no-any-return]  # PageData's
        return clock_of(head_current(), network=network_known(), at=now())

    def of_number(self, rows: Rows, _name: str, value: int) -> Rows:
        """Narrow to a number: one lookup in the unique index for each miner."""
        if not self["miner"]:
            rows = rows.filter(miner__in=list(miners_visible(self.viewer).values_list("pk", flat=True)))
        return rows.filter(number=value)

    def of_host(self, rows: Rows, _name: str, value: str) -> Rows:
        """Narrow to the sectors that a host of this name seals, or sealed last."""
        hosts = list(workers_visible(self.viewer).filter(name=value[:100]).values_list("pk", flat=True))
        return rows.filter(Q(job__worker__in=hosts) | Q(job__sticky_worker__in=hosts))

    def of_states(self, rows: Rows, _name: str, value: list[str]) -> Rows:
        """Narrow to states of the table, views of the page, and those of the stages that were given."""
        stages = [STATE_OF_STAGE[stage] for stage in self.given.get("stage", ())]
        fits = Q(state__in=[*(word for word in value if word not in SECTOR_VIEWS), *stages])
        for word in value:
            if word in SECTOR_VIEWS:
                fits |= SECTOR_VIEWS[word](self)
        return rows.filter(fits)

    def of_stages(self, rows: Rows, name: str, _value: list[str]) -> Rows:
        """Narrow to stages; beside states one of either is enough."""
        return rows if self["state"] else self.of_states(rows, name, [])

    def named(self, rows: QuerySet[Sector], _name: str, value: str) -> Rows:
        """Find by number, by miner and number, or by store, whichever the words look like."""
        if (place := sector_name_parse(value)) is not None:
            return rows.filter(miner__actor_id=place[0], number=place[1])
        if value.isdecimal() and len(value) < 19:
            return rows.filter(number=int(value))
        return rows.filter(store=value)
