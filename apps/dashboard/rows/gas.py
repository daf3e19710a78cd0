"""Gas as the pages show it: the base fee of the day, spending, the queue's forecast, guards."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from django.utils.timezone import localtime

from apps.core import formatting
from apps.dashboard.charts import Area, AreaBand, Tick, area
from apps.messages.methods import method_text
from poolsite.filecoin.actors.decode import method_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from apps.dashboard.page_data import PageData
    from apps.messages.models import AutoBumpRule, GasGuard
    from apps.messages.selectors.base_fee import BaseFeeSpan, CheapWindow
    from apps.messages.selectors.gas import QueueCost, SpendSum

X_TICKS: Final = 5


SECONDS_BELOW_S: Final = 600
"""On a chain that is so young the ticks of its chart need seconds."""


def clock_text(at_s: float, *, form: str = "%H:%M") -> str:
    """Time of day: `14:30`."""
    return localtime(datetime.fromtimestamp(at_s, tz=UTC)).strftime(form)


def base_fee_area(history: Sequence[BaseFeeSpan], window: CheapWindow | None) -> Area | None:
    """Draw the day's base fee; None if there are fewer than two points to join."""
    if len(history) < 2:
        return None
    start, end = history[0].start_s, history[-1].start_s
    span = max(end - start, 1)
    points = [((one.start_s - start) / span, float(one.mean)) for one in history]
    low, high = min(one.low for one in history), max(one.high for one in history)
    label = f"base fee between {formatting.fee_text(low)} and {formatting.fee_text(high)}"
    band = None
    if window is not None:
        here = (max(window.start_s - start, 0) / span, min(window.end_s - start, span) / span)
        label += f", cheapest from {clock_text(window.start_s)} to {clock_text(window.end_s)}"
        band = AreaBand(x=round(100 * here[0], 2), w=round(100 * (here[1] - here[0]), 2), label="cheapest")
    form = "%H:%M:%S" if span < SECONDS_BELOW_S else "%H:%M"
    shares = [index / (X_TICKS - 1) for index in range(X_TICKS)]
    ticks = [Tick(round(100 * share, 2), clock_text(start + span * share, form=form)) for share in shares]
    return area(
        points, label=label, x_ticks=ticks, y_text=lambda value: formatting.fee_text(round(value)), band=band
    )


@dataclass(frozen=True, slots=True)
class SpendRow:
    """What one method, tenant, sender or day cost."""

    what: str
    sub: str
    messages: str
    gas: str
    cost: str
    each: str
    pct: int
    """Of the dearest line."""
    share: str


GROUPS: Final = (("method", "By method"), ("tenant", "By tenant"), ("sender", "By sender"), ("day", "By day"))


def spend_name(key: tuple[Any, ...], *, by: str, data: PageData) -> tuple[str, str]:
    """Name a part of the spending, with a smaller line below."""
    if by == "tenant":
        return key[0] or "the pool itself", ""
    if by == "sender":
        short = formatting.shortened(key[0])
        return data.names.wallets.get(key[0]) or short, short
    if by == "day":
        return key[0].isoformat(), ""
    to, method, kind = key
    return what_text(to, method, kind=kind, data=data), kind.replace("_", " ")


def what_text(to: str, method: int, *, kind: str, data: PageData) -> str:
    """Name a method; a transfer has no receiver here."""
    return method_text(to, method, kind=kind, miners=data.names.miners) if to else "Send"


def spend_rows(sums: Sequence[SpendSum], *, by: str, data: PageData) -> list[SpendRow]:
    """Lay out what was spent, with bars against the dearest."""
    most = max((one.cost for one in sums), default=0)
    total = sum(one.cost for one in sums)
    rows = []
    for one in sums:
        what, sub = spend_name(one.key, by=by, data=data)
        rows.append(
            SpendRow(
                what=what,
                sub=sub,
                messages=formatting.whole(one.messages),
                gas=formatting.whole(one.gas_used),
                cost=formatting.fil(one.cost),
                each=formatting.fil(one.cost // one.messages),
                pct=100 * one.cost // most if most else 0,
                share=formatting.percent(one.cost, total),
            )
        )
    return rows


@dataclass(frozen=True, slots=True)
class QueueRow:
    """What one kind of message on its way will cost."""

    what: str
    sub: str
    waiting: str
    flying: str
    gas: str
    now: str
    cheap: str


def queue_rows(
    costs: Sequence[QueueCost], *, base_fee: int, window: CheapWindow | None, data: PageData
) -> list[QueueRow]:
    """Lay out the forecast at the present base fee and at that of the cheap window."""
    return [
        QueueRow(
            what=what_text(cost.to, cost.method, kind=cost.kind, data=data),
            sub="gas is guessed: none landed lately" if cost.is_guess else cost.kind.replace("_", " "),
            waiting=formatting.whole(cost.waiting),
            flying=formatting.whole(cost.in_flight),
            gas=formatting.whole(cost.gas),
            now=formatting.fil(cost.cost(base_fee)),
            cheap=formatting.NOTHING if window is None else formatting.fil(cost.cost(window.mean)),
        )
        for cost in costs
    ]


@dataclass(frozen=True, slots=True)
class GuardRow:
    """One guard."""

    key: str
    whose: str
    what: str
    cap: str
    budget: str
    spent: str
    pct: int
    tone: str
    hold: str
    can_change: bool


def guard_row(guard: GasGuard, *, spent: int | None, is_own: bool) -> GuardRow:
    """Lay out one guard; `spent` is what its day has cost so far."""
    method = "" if guard.method is None else f"method {guard.method}"
    if guard.method is not None and guard.actor:
        method = method_name(guard.actor, guard.method)
    parts = [guard.kind.replace("_", " "), method, f"to {guard.actor} actors" if guard.actor else ""]
    hold = ""
    if guard.hold_base_fee:
        end = f", at most {formatting.whole(guard.hold_epochs)} epochs" if guard.hold_epochs else ""
        hold = f"while the base fee is over {formatting.fee_text(int(guard.hold_base_fee))}{end}"
    pct = min(100 * (spent or 0) // int(guard.daily_budget), 100) if guard.daily_budget else 0
    return GuardRow(
        key=str(guard.uuid),
        whose=guard.tenant.name if guard.tenant else "everybody",
        what=", ".join(part for part in parts if part) or "all messages",
        cap=f"{formatting.fil(int(guard.max_fee))} FIL" if guard.max_fee else formatting.NOTHING,
        budget=f"{formatting.fil(int(guard.daily_budget))} FIL" if guard.daily_budget else formatting.NOTHING,
        spent=formatting.fil(spent) if guard.daily_budget and spent is not None else "",
        pct=pct,
        tone="bad" if pct >= 100 else "warn" if pct >= 80 else "run",
        hold=hold or formatting.NOTHING,
        can_change=is_own,
    )


@dataclass(frozen=True, slots=True)
class AutoBumpLine:
    """A tenant's rule for its proofs."""

    whose: str
    say: str
    is_on: bool


def auto_bump_row(rule: AutoBumpRule) -> AutoBumpLine:
    """Lay out one rule."""
    limit = f", for at most {formatting.fil(int(rule.max_fee))} FIL" if rule.max_fee else ""
    say = (
        f"{formatting.whole(rule.within_epochs)} epochs before the deadline closes, and again every "
        f"{formatting.whole(rule.every_epochs)}{limit}"
    )
    return AutoBumpLine(rule.tenant.name, say, rule.is_on)


def form_values(values: Mapping[str, str], names: Sequence[str]) -> dict[str, str]:
    """Return what a form held, blank where it held nothing."""
    return {name: values.get(name, "").strip() for name in names}
