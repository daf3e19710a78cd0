"""One rule of a policy as a row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.core import formatting
from apps.core.languages import clauses_text, list_text

if TYPE_CHECKING:
    from poolsite.wire.policy import RuleForm

SHOWN: Final = 4
"""Methods that stand in a row; the others are counted."""
LIMITS: Final = (
    (_("value up to {limits}"), "value_max", "value_per_day"),
    (_("fees up to {limits}"), "fee_max", "fee_per_day"),
    (_("premiums up to {limits}"), "premium_max", "premium_per_day"),
)


@dataclass(frozen=True, slots=True)
class RuleRow:
    """One rule."""

    place: int
    name: str
    allows: str
    allows_all: str
    """All methods, for who wants to see them."""
    where: str
    limits: str
    sets: str
    """Named sets that it belongs to; empty: none."""


def values_text(values: tuple[str, ...], *, any_text: str) -> str:
    """Name some of many."""
    if not values:
        return any_text
    more = gettext(" and {values} more").format(values=len(values) - SHOWN) if len(values) > SHOWN else ""
    return list_text(values[:SHOWN]) + more


def allows_text(rule: RuleForm) -> str:
    """Return what a rule allows."""
    others = tuple(kind for kind in rule.types if kind != "message")
    if "message" not in rule.types:
        return values_text(others, any_text=gettext("nothing"))
    methods = values_text(rule.methods, any_text=gettext("every message"))
    return clauses_text((methods, list_text(others))) if others else methods


def where_text(rule: RuleForm) -> str:
    """Return for which keys, receivers, callers and hours it holds."""
    parts = [
        f"{label} {values_text(tuple(formatting.shortened(one) for one in values), any_text='')}"
        for label, values in (("key", rule.keys), ("to", rule.to))
        if values
    ]
    parts += (
        [gettext("called by {words_of}").format(words_of=values_text(rule.callers, any_text=""))]
        if rule.callers
        else []
    )
    parts += [f"{rule.hours} UTC"] if rule.hours else []
    return clauses_text(parts) or gettext("any key, any recipient")


def limits_text(rule: RuleForm) -> str:
    """Return what it limits, for a message and for a day."""
    parts = []
    for text, a_message, a_day in LIMITS:
        limits = [
            per.format(amount=amount)
            for per, amount in (
                (gettext("{amount} a message"), getattr(rule, a_message)),
                (gettext("{amount} a day"), getattr(rule, a_day)),
            )
            if amount
        ]
        if limits:
            parts.append(text.format(limits=gettext(" and ").join(limits)))
    return clauses_text(parts) or gettext("no limit")


def rule_row(rule: RuleForm, *, place: int) -> RuleRow:
    """Lay out one rule."""
    return RuleRow(
        place=place,
        name=rule.name,
        allows=allows_text(rule),
        allows_all="\n".join(rule.methods),
        where=where_text(rule),
        limits=limits_text(rule),
        sets=list_text(rule.sets),
    )
