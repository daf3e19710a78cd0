"""Sectors: the list, and one sector with its clocks, stages and timeline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.urls import reverse

from apps.dashboard import numbers
from apps.dashboard.charts import Bar, gantt_bar
from apps.dashboard.lines.acts import Act
from apps.dashboard.lines.messages import MessageLine, message_line
from apps.dashboard.lines.sectors import SectorLine, sector_line
from apps.dashboard.regions.place import Place, Regions, fragment
from apps.dashboard.regions.scene import Scene
from apps.dashboard.regions.today import Verdict, plural
from apps.dashboard.words import STAGES
from apps.sectors.errors import SectorUnknown
from apps.sectors.selectors import (
    is_uuid,
    sector_events,
    sector_get,
    sectors_counts,
    sectors_messages,
    sectors_visible,
)
from poolsite.filecoin.cids import commd_cid, commr_cid
from poolsite.wire.pipeline import STEPS, SectorState, Stage

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from apps.sectors.models import JobEvent, Sector
    from apps.users.principals import Principal

EVENT_WORDS: Final[dict[str, str]] = {
    "RETICKET": "The ticket grew too old: labels are made again",
    "RESEED": "Another seed is needed",
    "REVERT_PRECOMMIT": "The pre-commit left the chain again",
    "REVERT_COMMIT": "The commit left the chain again",
    "FAIL_PRECOMMIT": "The pre-commit failed",
    "FAIL_COMMIT": "The commit failed",
    "ABORT": "Given up",
}
"""Events that are not simply the end of a stage."""


@dataclass(frozen=True, slots=True)
class Clock:
    """One of a sector's clocks."""

    key: str
    label: str
    value: str
    foot: str
    unit: str = ""
    tone: str = ""
    until: int | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a timeline."""

    at: str
    tone: str
    icon: str
    say: str
    sub: str = ""
    took: str = ""
    href: str = ""


@dataclass(frozen=True, slots=True)
class Fact:
    """A name and a value."""

    k: str
    v: str
    mono: bool = False


@dataclass(frozen=True, slots=True)
class GanttRow:
    """One stage on the time axis."""

    stage: str
    took: str
    text: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on the time axis."""

    x: float
    label: str
    anchor: str


@dataclass(frozen=True, slots=True)
class Gantt:
    """A sector's stages on one time axis."""

    rows: tuple[GanttRow, ...]
    ticks: tuple[Tick, ...]
    now: float | None


@dataclass(frozen=True, slots=True)
class SectorDetail:
    """The whole of one sector."""

    line: SectorLine
    number: int
    miner_name: str
    miner_href: str
    tags: tuple[str, ...]
    verdict: str
    verdict_rest: str
    zone: str
    clocks: tuple[Clock, ...]
    gantt: Gantt
    events: tuple[Event, ...]
    messages: tuple[MessageLine, ...]
    facts: tuple[Fact, ...]
    acts: tuple[Act, ...]


def list_context(rows: Iterable[Sector], scene: Scene) -> list[SectorLine]:
    """Lay out one page of the list."""
    return [
        sector_line(row, clock=scene.clock, network=scene.network, deadlines=scene.deadlines) for row in rows
    ]


def list_verdict_of(viewer: Principal) -> Verdict:
    """Say in one sentence how sealing stands."""
    counts = sectors_counts(viewer)
    paused = counts.pop("PAUSED", 0)
    under_way = sum(counts.values())
    if paused:
        return Verdict(
            f"{plural(paused, 'sector')} failed and wait for a decision.", f"{under_way} more in work."
        )
    if under_way:
        stages = ", ".join(f"{count} in {STAGES[stage]}" for stage, count in counts.items() if count)
        return Verdict(f"{plural(under_way, 'sector')} in work:", f"{stages}.")
    return Verdict("", "Nothing is being sealed.")


def list_verdict(place: Place) -> Iterable[str]:
    yield fragment("dashboard/_verdict.html", verdict=list_verdict_of(place.viewer))


def rows(place: Place, keys: list[str]) -> Iterable[str]:
    """Render the changed rows; a page shows those that it has."""
    scene = Scene(place.viewer)
    wanted = sectors_visible(place.viewer).filter(uuid__in=[key for key in keys if is_uuid(key)])
    for line in list_context(wanted, scene):
        yield fragment("sectors/_row.html", sector=line)


def sector_detail(sector: Sector, scene: Scene) -> SectorDetail:
    """Lay out the whole of one sector."""
    events = list(sector_events(sector))
    line = sector_line(sector, clock=scene.clock, network=scene.network, deadlines=scene.deadlines)
    size, unit = numbers.size(sector.sector_size)
    messages = (
        [m.message for m in sectors_messages([sector])[sector.pk] if m.message is not None]
        if sector.precommit_batch_id or sector.commit_batch_id
        else []
    )
    verdict, rest = sector_verdict(sector, line)
    return SectorDetail(
        line=line,
        number=sector.number,
        miner_name=sector.miner.name or sector.miner.address,
        miner_href=reverse("miner", args=[sector.miner.address or sector.miner.uuid]),
        tags=("CC" if not sector.pieces else "data", f"{size} {unit}", f"attempt {sector.attempts + 1}"),
        verdict=verdict,
        verdict_rest=rest,
        zone="UTC",
        clocks=tuple(sector_clocks(sector, scene)),
        gantt=sector_gantt(sector, events, at=scene.at),
        events=tuple(event_line(event) for event in reversed(events)),
        messages=tuple(message_line(message, scene.names) for message in messages),
        facts=tuple(sector_facts(sector)),
        acts=detail_acts(sector),
    )


def sector_verdict(sector: Sector, line: SectorLine) -> tuple[str, str]:
    """The sentence below a sector's name."""
    if sector.paused_at is not None:
        return f"{STAGES[sector.stage]} failed:", sector.error
    if sector.stage == Stage.PROVING and sector.active:
        return "Active.", "It is proven in every proving period."
    if sector.stage == Stage.PROVING:
        return ("Faulty." if sector.active_since else "Sealed; its first proof makes it active."), ""
    if sector.error:
        return f"{line.word.capitalize()}.", f"Last failure: {sector.error}"
    return f"{line.word.capitalize()}.", ""


def sector_clocks(sector: Sector, scene: Scene) -> Iterable[Clock]:
    """The epochs that matter to a sector."""
    yield Clock(
        "ticket",
        "Ticket",
        numbers.whole(sector.ticket_epoch),
        "epoch it was drawn at" if sector.ticket_epoch is not None else "drawn before PC1",
    )
    yield Clock(
        "seed",
        "Seed",
        numbers.whole(sector.seed_epoch),
        "epoch of the interactive challenge"
        if sector.seed_epoch is not None
        else "comes after the pre-commit",
    )
    deadline = (
        scene.deadlines.get((sector.miner_id, sector.deadline)) if sector.deadline is not None else None
    )
    if deadline is not None and scene.clock is not None:
        is_ahead = deadline.open_epoch > scene.clock.epoch
        epoch = deadline.open_epoch if is_ahead else deadline.close_epoch
        yield Clock(
            "deadline",
            f"Deadline {deadline.index}",
            numbers.time_left(scene.clock.left_s(epoch)),
            f"until it {'opens' if is_ahead else 'closes'}, epoch {numbers.whole(epoch)}",
            until=scene.clock.starts_at(epoch),
        )
    else:
        yield Clock("deadline", "Deadline", numbers.NOTHING, "known once the commit has landed")
    yield Clock("pledge", "Pledge", numbers.fil(sector.initial_pledge), "locked while it lives", unit="FIL")
    yield Clock(
        "expires",
        "Expires",
        numbers.whole(sector.expiration),
        "epoch" if sector.expiration is not None else "set by the pre-commit",
    )


def sector_facts(sector: Sector) -> Iterable[Fact]:
    """What the console knows of a sector, in the field's words."""
    yield Fact("Id", str(sector.uuid), mono=True)
    yield Fact("Seal proof", str(sector.seal_proof))
    if sector.comm_d is not None:
        yield Fact("CommD", str(commd_cid(bytes(sector.comm_d))), mono=True)
    if sector.comm_r is not None:
        yield Fact("CommR", str(commr_cid(bytes(sector.comm_r))), mono=True)
    yield Fact("Pre-commit epoch", numbers.whole(sector.precommit_epoch))
    yield Fact("Activation", numbers.whole(sector.activation))
    yield Fact("Deadline, partition", f"{numbers.whole(sector.deadline)}, {numbers.whole(sector.partition)}")
    yield Fact("Store", sector.store or numbers.NOTHING)


def detail_acts(sector: Sector) -> tuple[Act, ...]:
    """What a person can do on the sector's own page."""
    if sector.paused_at is None:
        return ()
    here = sector.uuid
    return (
        Act("retry", "Retry", reverse("sector-retry", args=[here]), icon="retry", kind="primary"),
        *(
            Act(
                f"back-{state}",
                f"Back to {STAGES[STEPS[state].stage]}",
                reverse("sector-back", args=[here, state]),
                icon="left",
            )
            for state in sector.step.resume_at
        ),
        Act("abort", "Abort…", reverse("sector-abort", args=[here]), icon="close", kind="danger"),
    )


def event_line(event: JobEvent) -> Event:
    """One step in the timeline."""
    stage = STAGES.get(event.stage, event.stage)
    if event.is_error:
        return Event(str(numbers.moment(event.at)), "bad", "bad", f"{stage} failed", event.note, _took(event))
    say = EVENT_WORDS.get(event.event) or (
        f"{stage} done" if stage else event.event.replace("_", " ").capitalize()
    )
    parts = [part for part in (event.note, event.actor) if part]
    return Event(str(numbers.moment(event.at)), "ok", "ok", say, " · ".join(parts), _took(event))


def _took(event: JobEvent) -> str:
    return numbers.duration(event.ms / 1000) if event.ms is not None else ""


def sector_gantt(sector: Sector, events: Sequence[JobEvent], *, at: datetime) -> Gantt:
    """Draw the stages from the pledge to now, or to the sector's end; each ends with its event."""
    start = sector.created_at
    rows_by_stage: dict[str, list[tuple[Bar, float]]] = {}
    ended = sector.state in (SectorState.PROVING, SectorState.ABORTED)
    end = events[-1].at if ended and events else at
    span = max((end - start).total_seconds(), 1.0)
    since = start
    for event in events:
        tone = "bad" if event.is_error else "ok"
        bar = gantt_bar(
            (since - start).total_seconds() / span, (event.at - start).total_seconds() / span, tone=tone
        )
        rows_by_stage.setdefault(event.stage or event.from_state, []).append(
            (bar, (event.at - since).total_seconds())
        )
        since = event.at
    if not ended:
        bar = gantt_bar(
            (since - start).total_seconds() / span, 1.0, tone="bad" if sector.paused_at else "run"
        )
        rows_by_stage.setdefault(sector.stage, []).append((bar, (at - since).total_seconds()))
    drawn = tuple(
        GanttRow(
            stage=STAGES.get(stage, stage),
            took=numbers.duration(sum(seconds for _, seconds in bars)),
            text=f"{STAGES.get(stage, stage)}: {numbers.duration(sum(seconds for _, seconds in bars))}",
            bars=tuple(bar for bar, _ in bars),
        )
        for stage, bars in rows_by_stage.items()
    )
    ticks = (Tick(0, start.strftime("%H:%M:%S"), "start"), Tick(100, end.strftime("%H:%M:%S"), "end"))
    return Gantt(rows=drawn, ticks=ticks, now=None if ended else 100.0)


def detail_or_none(place: Place) -> SectorDetail | None:
    """The sector of this page, or None if it is gone from the viewer's sight."""
    try:
        return sector_detail(sector_get(place.viewer, place.key), Scene(place.viewer))
    except SectorUnknown:
        return None


def detail_region(place: Place) -> Iterable[str]:
    """All that changes on a sector's page; its parts are small and change together."""
    sector = detail_or_none(place)
    if sector is None:
        return
    yield fragment("sectors/_head.html", sector=sector)
    yield fragment("sectors/_clocks.html", clocks=sector.clocks)
    yield fragment("sectors/_gantt.html", gantt=sector.gantt)
    yield fragment("sectors/_timeline.html", events=sector.events, key="sector")
    yield fragment("sectors/_messages.html", sector_messages=sector.messages)
    yield fragment("messages/_facts.html", facts=sector.facts, title="Facts", key="sector-facts")


REGIONS: Final[Regions] = {
    "sector": (detail_region,),
    "deadline": (detail_region,),
    "message": (detail_region,),
    "job": (detail_region,),
}
