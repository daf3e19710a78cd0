"""Sectors: the list and its CSV."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.urls import path, reverse
from django.utils.http import urlencode
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from apps.checks.findings.sealing import expires_soon
from apps.checks.results import Topic
from apps.core import formatting
from apps.core.formatting import plural
from apps.dashboard.cards import Action, Verdict
from apps.dashboard.csv_export import CHUNK, CSV_MAX, csv_answer
from apps.dashboard.fragments import FragmentContext, LivePage, fragment
from apps.dashboard.labels import STAGES, WAITING, StateLabel
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.sectors.countdown import Countdown, expires_in, sector_countdown
from apps.dashboard.pagination import ROWS, cursor_read, facets_of, page_of
from apps.dashboard.registry import NavItem
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.todo import verdict_by
from apps.miners.errors import MinerUnknown
from apps.miners.selectors import miner_get
from apps.sectors.selectors.hosts import is_uuid
from apps.sectors.selectors.sectors import of_host, sectors_visible
from apps.sectors.states import PAUSED_BY, JobState
from poolsite.wire.pipeline import FINAL_STATES, NEXT_STAGE, Owner, SectorState, Stage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from django.db.models import QuerySet
    from django.http import HttpRequest, HttpResponse

    from apps.dashboard.csv_export import Download
    from apps.sectors.models import Sector
    from apps.users.principals import Principal


PROVING: Final = StateLabel("ok", _("proving"))
NOT_PROVEN: Final = StateLabel("run", _("awaiting first proof"), "wait")
FAULTY: Final = StateLabel("bad", _("faulty"))
WITHOUT_FILES: Final = StateLabel("bad", _("files lost"))
EXPIRED: Final = StateLabel("idle", _("expired"))
RECOVERING: Final = StateLabel("warn", _("recovering"), "retry")


@dataclass(frozen=True, slots=True)
class SectorRow:
    """One sector in a list."""

    row: Sector
    label: StateLabel
    progress: float | None
    """Share of the stage that is done; None where no host computes."""
    countdown: Countdown
    host: str
    expires: str
    """Time that is left of its life."""
    actions: tuple[Action, ...]
    may_pick: bool = False
    """Whether the viewer picks rows of the list."""

    @property
    def can_pick(self) -> bool:
        """Whether something can be done for this one together with others."""
        return self.may_pick and str(self.row.state) == SectorState.PROVING

    @property
    def name(self) -> str:
        return f"{self.row.miner.address or self.row.miner} / {self.row.number}"

    @property
    def say(self) -> str:
        """Why it stands still; empty for one that goes on."""
        return self.row.error if self.row.paused_at is not None else ""

    @property
    def attempt(self) -> int:
        return int(self.row.attempts) + 1


def sector_label(sector: Sector, data: PageData) -> StateLabel:
    """Return in words where a sector is."""
    if sector.paused_at is not None and sector.error.startswith(PAUSED_BY):
        return StateLabel("warn", gettext("paused in {stages}").format(stages=STAGES[sector.stage]), "pause")
    if sector.paused_at is not None:
        return StateLabel("bad", gettext("failed in {stages}").format(stages=STAGES[sector.stage]))
    if sector.stage == Stage.PROVING:
        if sector.is_without_files:
            return WITHOUT_FILES
        if sector.active:
            return PROVING
        if has_expired(sector, data):
            return EXPIRED
        is_recovering = data.faults.get((sector.miner_id, sector.number))
        if is_recovering is None:
            return NOT_PROVEN
        return RECOVERING if is_recovering else FAULTY
    if sector.stage in WAITING:
        return WAITING[sector.stage]
    stage = STAGES[sector.stage]
    if sector.job.state == JobState.LEASED:
        return StateLabel("run", stage)
    return StateLabel("idle", gettext("waiting for {stage}").format(stage=stage))


def has_expired(sector: Sector, data: PageData) -> bool:
    """Return whether a proven sector's life is over."""
    is_late = data.clock is not None and (sector.expiration or data.clock.epoch) < data.clock.epoch
    return sector.state == SectorState.PROVING and not sector.active and is_late


def place_text(sector: Sector) -> str:
    """Where the miner proves it: `5 / 0`, deadline and partition."""
    return formatting.NOTHING if sector.deadline is None else f"{sector.deadline} / {sector.partition}"


def sector_actions(sector: Sector) -> tuple[Action, ...]:
    """Return what a person can do about a sector now."""
    if sector.paused_at is None:
        return ()
    return (
        Action(key="retry", label=_("Retry"), href=reverse("sector-retry", args=[sector.uuid]), icon="retry"),
    )


def sector_row(sector: Sector, *, data: PageData) -> SectorRow:
    """Lay out one sector of `sectors_visible`."""
    is_computed = sector.step.owner is Owner.WORKER and sector.paused_at is None
    worker = sector.job.worker or sector.job.sticky_worker
    return SectorRow(
        row=sector,
        label=sector_label(sector, data),
        progress=sector.progress if is_computed else None,
        countdown=sector_countdown(sector, data),
        host=worker.name if worker is not None else formatting.NOTHING,
        expires=expires_in(sector, data),
        actions=sector_actions(sector) if data.viewer.may("write") else (),
        may_pick=data.viewer.may("sign"),
    )


def list_context(rows: Iterable[Sector], data: PageData) -> list[SectorRow]:
    """Lay out one page of the list."""
    return [sector_row(row, data=data) for row in rows]


def list_verdict_of(data: PageData) -> Verdict:
    """Return in one sentence how sealing stands, and what ends soon."""
    return verdict_by(data.report_of(Topic.SECTORS), sealing_verdict(data))


def sealing_verdict(data: PageData) -> Verdict:
    """Return in one sentence how sealing stands."""
    counts = dict(data.sector_counts)
    paused = counts.pop("PAUSED", 0)
    under_way = sum(counts.values())
    if paused:
        return Verdict("", gettext("{under_way} more in progress.").format(under_way=under_way))
    if under_way:
        stages = ", ".join(
            gettext("{count} in {stages}").format(count=count, stages=STAGES[stage])
            for stage, count in counts.items()
            if count
        )
        return Verdict(
            gettext("{sectors} in progress:").format(sectors=plural(under_way, "sector")), f"{stages}."
        )
    return Verdict(_("Nothing is being sealed:"), f"{active_text(data)}.")


def active_text(data: PageData) -> str:
    """Return how many sectors are active, and how many on chain have not been proven yet."""
    active = sum(miner.active_sectors for miner in data.miners)
    unproven = sum(miner.live_sectors - miner.active_sectors - miner.faulty_sectors for miner in data.miners)
    waits = gettext(", {unproven} awaiting first proof").format(unproven=unproven) if unproven > 0 else ""
    return gettext("{sectors} active{waits}").format(sectors=plural(active, "sector"), waits=waits)


def list_verdict(context: FragmentContext) -> Iterable[str]:
    yield fragment("dashboard/_verdict.html", verdict=list_verdict_of(context.data))


def rows(context: FragmentContext, keys: list[str]) -> Iterable[str]:
    """Render the changed rows; a page shows those that it has."""
    wanted = sectors_visible(context.viewer).filter(uuid__in=[key for key in keys if is_uuid(key)])
    for row in list_context(wanted, context.data):
        yield fragment("sectors/_row.html", sector=row)


STATES: Final = (
    ("", "All", "", ""),
    ("work", "In progress", "run", "run"),
    ("paused", "Failed", "bad", "bad"),
    ("active", "Active", "ok", "ok"),
    ("sealed", "Awaiting first proof", "warn", "warn"),
    ("expiring", "Expires within 30 d", "warn", "warn"),
    ("changing", "Terminating or extending", "run", "run"),
    ("terminated", "Terminated", "", ""),
    ("aborted", "Aborted", "", ""),
)
"""Filters of the list: key, label, tone, icon."""
PLACES: Final = (("miner", _("Miner")), ("host", _("Host")), ("store", _("Store")))
"""Further filters: name and label."""
COLUMNS: Final = (
    "id",
    "miner",
    "number",
    "state",
    "stage",
    "active",
    "deadline",
    "partition",
    "activation",
    "expiration",
    "pledged",
)
"""Of the list as CSV."""
CSV_FIELDS: Final = (
    "uuid",
    "miner__actor_id",
    "number",
    "state",
    "active",
    "deadline",
    "partition",
    "activation",
    "expiration",
    "created_at",
)
"""What the columns are made of: a row's other fields are not read, least of all its batches' params."""


@dataclass(frozen=True, slots=True)
class ListFilter:
    """What the list is narrowed to; the URL has it, so that it is the saved view."""

    state: str = ""
    q: str = ""
    miner: str = ""
    host: str = ""
    store: str = ""

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> ListFilter:
        """Read it from a query or a form."""
        return cls(**{name: str(given.get(name) or "").strip()[:110] for name in cls.__slots__})

    @property
    def kept(self) -> dict[str, str]:
        """Return what is narrowed."""
        return {name: value for name in self.__slots__ if (value := getattr(self, name))}

    @property
    def places(self) -> dict[str, str]:
        """Return what stands beside state and search."""
        return {"miner": self.miner, "host": self.host, "store": self.store}


def narrowed(viewer: Principal, wanted: ListFilter, *, data: PageData) -> QuerySet[Sector]:
    """Return the viewer's sectors that fit."""
    rows = filtered(sectors_visible(viewer), state=wanted.state, q=wanted.q, data=data)
    if wanted.miner:
        try:
            rows = rows.filter(miner=miner_get(viewer, wanted.miner))
        except MinerUnknown:
            return rows.none()
    if wanted.host:
        rows = rows.filter(of_host(viewer, wanted.host))
    return rows.filter(store=wanted.store) if wanted.store else rows


def filtered(rows: QuerySet[Sector], *, state: str, q: str, data: PageData) -> QuerySet[Sector]:
    """Apply state and search; each has an index."""
    if state == "work":
        rows = rows.exclude(state__in=FINAL_STATES)
    elif state == "paused":
        rows = rows.exclude(paused_at=None)
    elif state == "active":
        rows = rows.filter(state=SectorState.PROVING, active=True)
    elif state == "sealed":
        rows = rows.filter(state=SectorState.PROVING, active=False)
    elif state == "expiring":
        rows = rows.filter(expires_soon(data))
    elif state == "changing":
        rows = rows.filter(pk__in=list(data.changes))
    elif state in ("aborted", "terminated"):
        rows = rows.filter(state=state.upper())
    if q:
        rows = rows.filter(number=int(q)) if q.isdecimal() and len(q) < 19 else rows.filter(store=q[:110])
    return rows


def bulk_acts(state: str) -> tuple[tuple[str, str], ...]:
    """Return label and address of what can be done to rows that were picked."""
    acts: list[tuple[str, str]] = []
    if state in ("", "active", "sealed", "expiring"):
        acts += [
            ("Extend…", reverse("sectors-change", args=["extend"])),
            ("Terminate…", reverse("sectors-change", args=["terminate"])),
        ]
    if state in ("", "active", "expiring"):
        acts.insert(1, ("Snap up…", reverse("sectors-snap-up")))
    return tuple(acts)


@require_safe
@sign_in_required
def sectors(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Return the list, newest first."""
    wanted = ListFilter.of(request.GET)
    state, q = wanted.state, wanted.q
    cursor = cursor_read(request.GET.get("after", ""))
    data = PageData(viewer)
    rows = narrowed(viewer, wanted, data=data)
    if cursor:
        rows = rows.filter(pk__lt=int(cursor))
    shown, pager = page_of(
        list(rows[: ROWS + 1]),
        cursor_of=lambda row: str(row.pk),
        query=request.GET.dict(),
        is_first=not cursor,
    )
    here = reverse("sectors")
    return page_render(
        request,
        "sectors/list.html",
        title=_("Sectors"),
        section="sectors",
        page_key="sectors",
        data=data,
        sectors=list_context(shown, data),
        pager=pager,
        verdict=list_verdict_of(data),
        facets=facets_of(here, STATES, state=state, q=q, **wanted.places),
        filtered=bool(wanted.kept),
        state=state,
        q=q,
        others=[one for one in wanted.places.items() if one[1]],
        places=[(name, label, getattr(wanted, name)) for name, label in PLACES],
        is_placed=any(wanted.places.values()),
        here=here,
        csv=reverse("sectors-csv") + "?" + urlencode(wanted.kept),
        can_pledge=viewer.may("write"),
        may_pick=viewer.may("sign"),
        bulk=bulk_acts(state) if viewer.may("sign") else (),
        pledge_label="Pledge…" if viewer.may("write") else "",
        pledge_href=reverse("pledge"),
    )


@require_safe
@sign_in_required
def sectors_csv(request: HttpRequest, viewer: Principal) -> Download:
    """Return the filtered list as CSV."""
    rows = narrowed(viewer, ListFilter.of(request.GET), data=PageData(viewer)).select_related(None)
    fields = rows.values_list(*CSV_FIELDS)[:CSV_MAX].iterator(chunk_size=CHUNK)
    cells = (
        (
            uuid,
            "" if actor_id is None else f"f0{actor_id}",
            number,
            state,
            NEXT_STAGE[state].stage,
            *plain,
            made.isoformat(),
        )
        for uuid, actor_id, number, state, *plain, made in fields
    )
    return csv_answer("sectors.csv", COLUMNS, cells)


NAV: Final = NavItem("sectors", _("Sectors"), "sectors", place=(1, 5), is_tab=True)
urlpatterns: Final = [
    path("sectors/", sectors, name="sectors"),
    path("sectors.csv", sectors_csv, name="sectors-csv"),
]
LIVE: Final = {
    "sectors": LivePage(
        dict.fromkeys(("sector", "miner", "deadline", "head"), (list_verdict,)),
        rows={"sector": rows},
        findings=list_verdict,
    )
}
