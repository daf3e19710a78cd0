"""Gas guards and rules of automatic fee bumps as rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.translation import gettext

from apps.core import formatting
from apps.core.languages import list_text
from apps.dashboard.page_data import PageData
from apps.messages.selectors.gas_guards import auto_bump_rules, guards_spent, guards_visible
from poolsite.filecoin.actors.decode import method_name

if TYPE_CHECKING:
    from apps.messages.models import AutoBumpRule, GasGuard


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
    method = "" if guard.method is None else gettext("method {method}").format(method=guard.method)
    if guard.method is not None and guard.actor:
        method = method_name(guard.actor, guard.method)
    parts = [
        guard.kind.replace("_", " "),
        method,
        gettext("to {actor} actors").format(actor=guard.actor) if guard.actor else "",
    ]
    hold = ""
    if guard.hold_base_fee:
        end = (
            gettext(", at most {hold_epochs} epochs").format(hold_epochs=formatting.whole(guard.hold_epochs))
            if guard.hold_epochs
            else ""
        )
        hold = gettext("while the base fee is above {hold_base_fee}{end}").format(
            hold_base_fee=formatting.fee_text(int(guard.hold_base_fee)), end=end
        )
    pct = min(100 * (spent or 0) // int(guard.daily_budget), 100) if guard.daily_budget else 0
    return GuardRow(
        key=str(guard.uuid),
        whose=guard.tenant.name if guard.tenant else gettext("all tenants"),
        what=list_text(part for part in parts if part) or gettext("all messages"),
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
    limit = (
        gettext(", up to {max_fee} FIL").format(max_fee=formatting.fil(int(rule.max_fee)))
        if rule.max_fee
        else ""
    )
    say = gettext(
        "{within_epochs} epochs before the deadline closes, then every {every_epochs} epochs{limit}"
    ).format(
        within_epochs=formatting.whole(rule.within_epochs),
        every_epochs=formatting.whole(rule.every_epochs),
        limit=limit,
    )
    return AutoBumpLine(rule.tenant.name, say, rule.is_on)


def guard_rows(data: PageData) -> list[GuardRow]:
    """Return the guards that hold for the viewer, with what their days have cost."""
    base_fee = 0 if data.head is None else int(data.head.base_fee)
    viewer = data.person
    guards = list(guards_visible(data.viewer))
    # Spending under the pool's own guards would reveal what other tenants spend.
    own = {guard.pk for guard in guards if viewer.is_operator or guard.tenant_id == viewer.own_id}
    spent = guards_spent([guard for guard in guards if guard.pk in own], base_fee=base_fee, now=data.at)
    return [
        guard_row(guard, spent=spent.get(guard.pk), is_own=guard.pk in own and viewer.may("sign"))
        for guard in guards
    ]


def auto_bump_rows(data: PageData) -> list[AutoBumpLine]:
    """Return the rules for proofs near their deadline."""
    return [auto_bump_row(rule) for rule in auto_bump_rules(data.viewer)]
