"""The charts of each kind of thing: which figures, in which unit, and their forecasts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext, pgettext

from apps.core import formatting
from apps.core.clock import DAY, DAY_S
from apps.dashboard.labels import STAGES
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.senders.rows import runway
from apps.dashboard.pages.storage.rows import rate_text
from apps.dashboard.trend_charts import DASHES, Axis, Line, Number, Trend, trend
from apps.history.rules import begin_of
from apps.history.selectors.miner_events import margins_by_step, wins_by_step
from apps.history.selectors.series import Point, Series, series
from apps.history.states import HOUR, SEALED, Kind
from apps.sectors.selectors.expirations import expirations_by
from apps.sectors.selectors.host_lanes import STAGE_ORDER
from apps.sectors.selectors.stores import (
    store_days_left,
    store_fill_rate,
    store_rate_span,
    store_rate_wait,
)
from apps.sectors.selectors.targets import targets_of

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from apps.miners.models import Miner
    from apps.sectors.models import Store, Worker
    from apps.wallets.models import Wallet

TONES: Final = ("run", "ok", "warn", "idle")
AHEAD_PARTS: Final = 4
"""A forecast is drawn over a quarter of the time that is shown."""


@dataclass(frozen=True, slots=True)
class Span:
    """A time that can be chosen, and its steps."""

    key: str
    length: timedelta
    step: timedelta


SPANS: Final = (
    Span("24h", DAY, HOUR),
    Span("7d", 7 * DAY, 2 * HOUR),
    Span("30d", 30 * DAY, 8 * HOUR),
    Span("90d", 90 * DAY, DAY),
    Span("1y", 364 * DAY, 7 * DAY),
)
"""At most 91 points each: a page of six charts has its tables, too."""


def span_label(span: Span) -> str:
    """Return a time as its link says it."""
    return {
        "24h": gettext("24 hours"),
        "7d": gettext("7 days"),
        "30d": gettext("30 days"),
        "90d": gettext("90 days"),
        "1y": gettext("1 year"),
    }[span.key]


def span_series(kind: Kind, subjects: Sequence[int], span: Span, *, now: datetime) -> Series:
    """Return the figures of a time that ends now."""
    begin = begin_of(now, min(span.step, DAY)) + min(span.step, DAY) - span.length
    return series(kind, subjects, begin=begin, end=now, step=span.step, now=now)


def values_of(points: Sequence[Point | None]) -> list[Number | None]:
    """Return the values of points."""
    return [None if point is None else point.value for point in points]


def atto(value: Number) -> str:
    """Return attoFIL as text."""
    return formatting.amount_text(int(value))


def fee(value: Number) -> str:
    """Return a fee per gas as text."""
    return formatting.fee_text(int(value))


def size(value: Number) -> str:
    """Return bytes as text."""
    return formatting.joined_size(int(value))


def share(value: Number) -> str:
    """Return a share of 0 to 1 as text."""
    return formatting.percent(value, 1)


def celsius(value: Number) -> str:
    """Return a temperature as text."""
    return f"{value:.0f}{formatting.NARROW}°C"


def count(value: Number) -> str:
    """Return a number of things as text; what is a target need not be whole."""
    return formatting.whole(int(value)) if value == int(value) else f"{value:.1f}"


def chart(
    key: str,
    title: StrOrPromise,
    found: Series,
    lines: Sequence[tuple[str, StrOrPromise]],
    *,
    text: Callable[[Number], str],
    low: Number | None = None,
    high: Number | None = None,
) -> Trend:
    """Lay out measured figures as lines, each in a tone of its own."""
    drawn = [
        Line(label, values_of(found.of(metric)), TONES[place % len(TONES)], DASHES[place % len(DASHES)])
        for place, (metric, label) in enumerate(lines)
    ]
    return trend(key, title, drawn, axis=Axis(found.steps, found.step), text=text, low=low, high=high)


def miner_charts(miner: Miner, span: Span, data: PageData) -> Iterator[Trend]:
    """Yield a miner's power, money, wins, margins of its proofs, and ends of its sectors."""
    found = span_series(Kind.MINER, [miner.pk], span, now=data.at)
    power = [("raw_power", gettext("Raw")), ("qa_power", gettext("Quality-adjusted"))]
    yield chart("power", gettext("Power"), found, power, text=size)
    money = [
        ("available", gettext("Available")),
        ("locked", gettext("Vesting")),
        ("pledge", gettext("Pledge")),
    ]
    yield chart("funds", gettext("Funds of the miner"), found, money, text=atto, low=0)
    sectors = [("active_sectors", gettext("Active")), ("faulty_sectors", gettext("Faulty"))]
    yield chart("sectors", gettext("Sectors"), found, sectors, text=count, low=0)
    yield wins_chart(miner, found)
    if data.head is not None and data.network is not None:
        margins = margins_by_step(
            miner, found.steps, found.step, head=data.head, epoch_s=data.network.epoch_s
        )
        lines = [
            Line(gettext("Mean"), [None if one is None else one[0] for one in margins]),
            Line(gettext("Least"), [None if one is None else one[1] for one in margins], "warn", DASHES[1]),
        ]
        yield trend(
            "margins",
            gettext("Time left when proofs of windows landed"),
            lines,
            axis=Axis(found.steps, found.step),
            text=formatting.time_left,
            low=0,
        )
        yield expirations_chart(
            miner, span, found, data, height=data.head.height, epoch_s=data.network.epoch_s
        )


def wins_chart(miner: Miner, found: Series) -> Trend:
    """Return the elections that a miner won; of times before it was watched only those that are known."""
    on_chain, lost = wins_by_step(miner, found.steps, found.step)

    def values(counts: dict[int, int]) -> list[Number | None]:
        known_from = found.since
        return [
            counts.get(place, 0)
            if counts.get(place) or (known_from is not None and at + found.step > known_from)
            else None
            for place, at in enumerate(found.steps)
        ]

    lines = [
        Line(gettext("Block included"), values(on_chain), "ok", is_bars=True),
        Line(gettext("Win lost"), values(lost), "bad", is_bars=True),
    ]
    return trend("wins", gettext("Wins"), lines, axis=Axis(found.steps, found.step), text=count)


def expirations_chart(
    miner: Miner, span: Span, found: Series, data: PageData, *, height: int, epoch_s: int
) -> Trend:
    """Return how many sectors end in the time to come, as long as the time that is shown, in whole days."""
    step = max(found.step, DAY)
    places = max(span.length // step, 7)
    width = round(step.total_seconds() / epoch_s)
    buckets, counted_at = expirations_by(data.viewer, miner=miner.address, start=height, width=width)
    ends: list[Number | None] = [None if counted_at is None else 0] * places
    for bucket in buckets:
        place = (bucket.start - height) // width
        if 0 <= place < places:
            ends[place] = (ends[place] or 0) + bucket.count
    begin = begin_of(data.at, DAY)
    return trend(
        "expirations",
        gettext("Sectors that end"),
        [Line(gettext("Sectors"), ends, is_bars=True)],
        axis=Axis([begin + step * place for place in range(places)], step),
        text=count,
        note=gettext("from today on"),
    )


def host_charts(worker: Worker, span: Span, data: PageData) -> Iterator[Trend]:
    """Yield how busy a host was, and how hot; no GPU, no chart of one."""
    found = span_series(Kind.HOST, [worker.pk], span, now=data.at)
    busy = [("cpu", gettext("Processors")), ("memory", gettext("Memory"))]
    if worker.hardware.get("gpus") or "gpu" in found.points:
        busy.append(("gpu", gettext("GPUs")))
    yield chart("load", gettext("Load"), found, busy, text=share, low=0.0, high=1.0)
    disk = [("disk", gettext("Used"))]
    yield chart("disk", gettext("Its fullest disk"), found, disk, text=share, low=0.0, high=1.0)
    heat = [("temperature", gettext("Processors"))]
    if "gpu_temperature" in found.points:
        heat.append(("gpu_temperature", gettext("GPUs")))
    yield chart("heat", gettext("Temperature"), found, heat, text=celsius)


def foreseen(found: Series, line: Line, *, now_value: int, a_day: float) -> tuple[list[Line], list[datetime]]:
    """Return a line with how it goes on at so much a day, never below 0, and the steps of both."""
    more = max(len(found.steps) // AHEAD_PARTS, 1)
    step_days = found.step / DAY
    ahead: list[Number | None] = [
        max(now_value + int(a_day * step_days * place), 0) for place in range(more + 1)
    ]
    past: list[Number | None] = [None] * (len(found.steps) - 1)
    steps = [*found.steps, *(found.steps[-1] + found.step * place for place in range(1, more + 1))]
    lines = [
        Line(line.label, [*line.values, *([None] * more)], line.tone),
        Line(gettext("Forecast"), [*past, *ahead], "run", DASHES[1]),
    ]
    return lines, steps


def store_charts(store: Store, span: Span, data: PageData) -> Iterator[Trend]:
    """Yield how full a store was, and will be at the rate of the last days."""
    found = span_series(Kind.STORE, [store.pk], span, now=data.at)
    rate, used = store_fill_rate(store), Line(gettext("Used"), values_of(found.of("used")))
    lines, steps = [used], list(found.steps)
    if rate is not None and rate > 0:
        now_used = max(store.total_bytes - store.free_bytes - store.reserved_bytes, 0)
        lines, steps = foreseen(found, used, now_value=now_used, a_day=rate)
    if store.is_bounded:
        sizes = [*values_of(found.of("size")), *([None] * (len(steps) - len(found.steps)))]
        lines.append(Line(gettext("Size"), sizes, "warn", DASHES[2]))
    note = rate_text(rate, span=store_rate_span(store), wait=store_rate_wait(store))
    if (days := store_days_left(store, rate)) is not None:
        note = gettext("{rate}: full in {left}").format(rate=note, left=formatting.time_left(days * DAY_S))
    yield trend("store", gettext("Used"), lines, axis=Axis(steps, found.step), text=size, low=0, note=note)


def wallet_charts(wallet: Wallet, span: Span, data: PageData) -> Iterator[Trend]:
    """Yield what an address held, and will hold at what its gas costs in a day."""
    found = span_series(Kind.WALLET, [wallet.pk], span, now=data.at)
    balance = Line(gettext("Balance"), values_of(found.of("balance")))
    pace = data.spend_pace.get(str(wallet.address))
    lasts, _tone = runway(wallet.balance, pace)
    lines, steps, note = [balance], list(found.steps), gettext("Runway: not known yet")
    if lasts != formatting.NOTHING and pace is not None and wallet.balance is not None:
        a_day = -int(pace[0]) / pace[1]
        lines, steps = foreseen(found, balance, now_value=int(wallet.balance), a_day=a_day)
        note = gettext("Runway: {runway}, at what its gas cost lately").format(runway=lasts)
    yield trend(
        "balance", gettext("Balance"), lines, axis=Axis(steps, found.step), text=atto, low=0, note=note
    )


def gas_charts(span: Span, data: PageData) -> Iterator[Trend]:
    """Yield the base fee: its mean, and between which it was."""
    found = span_series(Kind.GAS, [0], span, now=data.at)
    points = found.of("base_fee")
    lines = [
        Line(gettext("Mean"), values_of(points)),
        Line(gettext("Lowest"), [None if one is None else one.low for one in points], "ok", DASHES[1]),
        Line(gettext("Highest"), [None if one is None else one.high for one in points], "warn", DASHES[2]),
    ]
    yield trend("base-fee", gettext("Base fee"), lines, axis=Axis(found.steps, found.step), text=fee, low=0)


def sealing_charts(miners: Sequence[Miner], span: Span, data: PageData) -> Iterator[Trend]:
    """Yield how many sectors were sealed, beside the miners' targets, and how often each stage was done."""
    found = span_series(Kind.SEALING, [miner.pk for miner in miners], span, now=data.at)
    lines = [Line(gettext("Sealed"), values_of(found.of(SEALED)), "ok", is_bars=True)]
    if target := sum(
        row.day_bytes / row.miner.sector_size for row in targets_of(miners) if row.day_bytes is not None
    ):
        in_step = target * (found.step / DAY)
        lines.append(Line(pgettext("of sealing", "Target"), [in_step] * len(found.steps), "warn", DASHES[1]))
    yield trend(
        "sealed", gettext("Sectors sealed"), lines, axis=Axis(found.steps, found.step), text=count, low=0
    )
    stages = sorted(
        found.points.keys() - {SEALED}, key=lambda stage: (STAGE_ORDER.get(stage, len(STAGE_ORDER)), stage)
    )
    known = [one is not None for one in found.of(SEALED)]
    by_stage = []
    for place, stage in enumerate(stages):
        values = values_of(found.of(stage))
        filled = [
            0 if value is None and is_known else value for value, is_known in zip(values, known, strict=True)
        ]
        by_stage.append(
            Line(
                STAGES.get(stage, stage),
                filled,
                TONES[place % len(TONES)],
                DASHES[place // len(TONES) % len(DASHES)],
            )
        )
    yield trend(
        "stages",
        gettext("Stages done"),
        by_stage,
        axis=Axis(found.steps, found.step),
        text=count,
        low=0,
    )
