"""The limits that decide what a message may cost and when it goes: each level's value, and which one holds.

It reads rows only, as the diagnosis does: what a method's rule is for is known once its receiver's kind is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from apps.chain.models import Head
from apps.core import clock
from apps.messages.models import ActorRules, GasGuard, Message, Receiver, Sender
from apps.messages.rules.gas_checks import GAS_FEE_CAP_MIN
from apps.messages.rules.guard_choice import guard_choose, guard_is_applicable, is_binding
from apps.messages.selectors.fees import GUARD, MESSAGE, METHOD, POOL, SENDER, TENANT, shared_rules_load
from apps.messages.selectors.gas_guards import guards_spent
from apps.messages.selectors.receivers import receiver_kinds
from apps.messages.selectors.rules import MethodRules
from apps.messages.states import Wait

SETTINGS: Final = ("max_fee", "gas_fee_cap", "base_fee")
"""Of fee rules; the first level that names one decides."""
QUOTA: Final = "quota"
"""Messages of a sender that are in flight at most."""
GUARD_SETTINGS: Final = ("max_fee", "daily_budget", "hold_base_fee")
FEE_WAITS: Final = (Wait.FEE_LIMIT, Wait.FEE_CAP)


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit of one level."""

    level: str
    """message, sender, method, pool; of a gas guard: tenant or, for all tenants, guard."""
    setting: str
    """max_fee, gas_fee_cap, base_fee (gate), quota (in flight), daily_budget or hold_base_fee."""
    value: int
    """attoFIL; of a quota messages."""
    target: str = ""
    """What the limit is set on: the sender's address, code and method, or the guard's id."""
    binds: bool = False
    """True if no other level's limit for the same goes before it."""
    blocks: bool = False
    """True if the message waits because of it."""


def message_limits(message: Message, *, reason: Wait, head: Head | None) -> tuple[Limit, ...]:
    """Return the limits that are set for a message, those that go first before the others.

    `reason` is what the diagnosis found: the limit that causes it is marked.
    """
    rules = list(_rule_limits(message))
    every = list(GasGuard.objects.order_by("pk"))
    kind = receiver_kinds([message.to]).get(message.to, "") if any(row.actor for row in every) else ""
    guards = [row for row in every if guard_is_applicable(row, message=message, receiver=kind)]
    capped = [row for row in guards if row.max_fee]
    tightest = min(capped, key=lambda row: int(row.max_fee), default=None)
    most = next((one for one in rules if one.setting == "max_fee" and one.binds), None)
    guard_binds = tightest is not None and (most is None or int(tightest.max_fee) < most.value)
    if guard_binds and most is not None:
        rules = [replace(one, binds=False) if one is most else one for one in rules]
    binding = {("max_fee", tightest.pk)} if guard_binds and tightest is not None else set()
    budget = _tightest_budget(message, guards, kind=kind, head=head)
    holds = (row for row in guards if row.hold_base_fee and is_binding(row, message=message))
    hold = min(holds, key=lambda row: row.hold_base_fee, default=None)
    binding |= {(name, row.pk) for name, row in (("daily_budget", budget), ("hold_base_fee", hold)) if row}
    found = [*rules, *_guard_limits(guards, binding)]
    blocking = _blocking(found, reason, head=head)
    return tuple(replace(one, blocks=one is blocking) for one in found)


def _rule_limits(message: Message) -> Iterator[Limit]:
    """Yield what the fee rules say, by setting; the first level of each binds."""
    sender = Sender.objects.filter(address=message.from_addr).first()
    method = _method_rule(message)
    levels: list[tuple[str, Any, str]] = [
        (MESSAGE, message, ""),
        (SENDER, sender, message.from_addr),
        (METHOD, method, f"{method.code} {method.method}" if method else ""),
        (POOL, shared_rules_load(), ""),
    ]  # only senders and the pool have a quota among these settings
    for setting in (*SETTINGS, QUOTA):
        is_first = True
        for level, row, target in levels:
            value = int(getattr(row, setting, 0) or 0)
            if value:
                yield Limit(level, setting, value, target, binds=is_first)
                is_first = False


def _method_rule(message: Message) -> ActorRules | None:
    row = Receiver.objects.filter(address=message.to).first()
    return None if row is None else MethodRules().of(message.method, code=row.code, kind=row.kind)


def _guard_limits(guards: Iterable[GasGuard], binding: set[tuple[str, int]]) -> Iterator[Limit]:
    for setting in GUARD_SETTINGS:
        for row in guards:
            if value := int(getattr(row, setting)):
                level = GUARD if row.tenant_id is None else TENANT
                yield Limit(level, setting, value, str(row.uuid), binds=(setting, row.pk) in binding)


def _tightest_budget(
    message: Message, guards: Sequence[GasGuard], *, kind: str, head: Head | None
) -> GasGuard | None:
    """Return the guard whose day has least left for this message."""
    rows = guard_choose(message, guards=guards, receiver=kind).budgets
    if not rows:
        return None
    spent: Mapping[int, int] = guards_spent(rows, base_fee=int(head.base_fee) if head else 0, now=clock.now())
    return min(rows, key=lambda row: int(row.daily_budget) - spent[row.pk])


def _blocking(limits: Sequence[Limit], reason: Wait, *, head: Head | None) -> Limit | None:
    """Return the limit that a message waits for, if it waits for one."""
    binding = {one.setting: one for one in limits if one.binds}
    if reason == Wait.GAS_CAP:
        guards = [one for one in limits if one.setting == "max_fee" and one.level in (GUARD, TENANT)]
        return min(guards, key=lambda one: one.value, default=None)
    if reason in FEE_WAITS:
        cap, needed = binding.get("gas_fee_cap"), max(int(head.base_fee) if head else 0, GAS_FEE_CAP_MIN)
        return cap if cap is not None and cap.value < needed else binding.get("max_fee")
    settings = {
        Wait.BASE_FEE_GATE: "base_fee",
        Wait.QUOTA: QUOTA,
        Wait.HELD: "hold_base_fee",
        Wait.DAILY_BUDGET: "daily_budget",
    }
    return binding.get(settings.get(reason, ""))
