"""Settings of rules: how a row keeps them, and which make no sense."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from apps.automation.states import RuleKind
from apps.core.errors import BadValue
from apps.core.marked_texts import gettext
from poolsite.filecoin.amounts import TOTAL_FILECOIN

AMOUNTS: Final = ("low", "high", "day_max")


@dataclass(frozen=True, slots=True, kw_only=True)
class MoneySpec:
    """Between which marks money is moved from where to where."""

    source: str
    """A wallet; a sweep may also name a miner."""
    target: str
    """Who receives it; for a miner that is swept: its beneficiary, as it should be."""
    low: int
    """attoFIL: a top-up begins below it; what a sweep leaves."""
    high: int
    """attoFIL: what a top-up fills up to; a sweep begins above it."""
    day_max: int
    """Most attoFIL that it moves in a UTC day."""
    is_escrow: bool = False
    """Whether a top-up pays into the target's market balance."""


def spec_read(settings: Mapping[str, Any]) -> MoneySpec:
    """Return a rule's settings as its row keeps them; amounts are text there, as JSON numbers end at 2^53."""
    return MoneySpec(**{**settings, **{name: int(settings[name]) for name in AMOUNTS}})


def spec_write(spec: MoneySpec) -> dict[str, Any]:
    """Return settings as a row keeps them."""
    values = {one.name: getattr(spec, one.name) for one in fields(spec)}
    return {**values, **{name: str(values[name]) for name in AMOUNTS}}


def spec_check(kind: str, spec: MoneySpec) -> None:
    """Refuse amounts and addresses that make no sense for any chain.  Raises BadValue naming the field."""
    for name in AMOUNTS:
        if not 0 <= getattr(spec, name) <= TOTAL_FILECOIN:
            raise BadValue(gettext("the amount must be from 0 to the total FIL supply"), field=name)
    if not spec.low:
        raise BadValue(gettext("must be above 0"), field="low")
    if spec.high <= spec.low:
        raise BadValue(gettext("must be above the low mark"), field="high")
    if not spec.day_max:
        raise BadValue(gettext("a rule needs a daily limit"), field="day_max")
    if spec.source == spec.target and not spec.is_escrow:
        raise BadValue(gettext("must differ from the address that pays"), field="target")
    if spec.is_escrow and kind != RuleKind.TOP_UP:
        raise BadValue(gettext("only a top-up pays into a market balance"), field="is_escrow")


def amount_due(kind: str, spec: MoneySpec, *, balance: int, arriving: int = 0) -> int:
    """Return the attoFIL that would be moved at this balance, without the daily limit; 0: none.

    `arriving`: what messages in progress bring to it.
    """
    if kind == RuleKind.TOP_UP:
        return spec.high - balance - arriving if balance + arriving < spec.low else 0
    return balance - spec.low if balance > spec.high else 0


def spec_conflict(kind: str, spec: MoneySpec, *, other_kind: str, other: MoneySpec) -> str:
    """Return why two rules of one tenant must not be there together; empty if they may."""
    if kind == other_kind:
        same = (spec.target, spec.is_escrow) == (other.target, other.is_escrow)
        if kind == RuleKind.SWEEP:
            same = spec.source == other.source
        return gettext("another rule does this already") if same else ""
    top_up, sweep = (spec, other) if kind == RuleKind.TOP_UP else (other, spec)
    if top_up.is_escrow or top_up.target != sweep.source:
        return ""
    if top_up.high <= sweep.high and top_up.low <= sweep.low:
        return ""
    return gettext("a top-up and a sweep of the same address would each undo what the other did")
