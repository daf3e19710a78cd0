"""Which fee wishes hold for a message: its own, then its sender's, then the method's, then the pool's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.utils.translation import gettext_noop

from apps.chain.errors import NodeRefused
from apps.chain.node.client import ChainClient
from apps.chain.node.gas_estimates import GasSpec
from apps.messages.models import ActorRules, FeeRules, GasGuard, Message, Sender, SharedRules
from apps.messages.rules.guard_choice import guard_choose
from apps.messages.selectors.receivers import receiver_kinds
from apps.messages.selectors.rules import MethodRules

MAX_FEE_DEFAULT = 70_000_000_000_000_000
"""0.07 FIL: the messager's first shared rule."""
SHARED_DEFAULTS: Final = {"quota": 20, "gas_over_estimation": 1.25, "max_fee": MAX_FEE_DEFAULT}
"""The messager's first shared rules, by field."""

MESSAGE, SENDER, METHOD, POOL, TENANT, GUARD = "message", "sender", "method", "pool", "tenant", "guard"
NODE = "node"
"""Of the max fee alone: a node has its own where no rule sets one, lotus 0.07 FIL (Fees.DefaultMaxFee)."""

LEVELS: Final[dict[str, str]] = {
    MESSAGE: gettext_noop("The message's own"),
    SENDER: gettext_noop("Sender's"),
    METHOD: gettext_noop("The method's"),
    POOL: gettext_noop("The pool's"),
    TENANT: gettext_noop("The tenant's gas guard's"),
    GUARD: gettext_noop("The gas guard's"),
    NODE: gettext_noop("The node's own"),
}
"""Levels of fee limits, as the first words of a sentence, in English."""

WHERE: Final[dict[str, str]] = {
    MESSAGE: gettext_noop("Raise its fee."),
    SENDER: gettext_noop("Change it in Sender → Fees."),
    METHOD: gettext_noop(
        "Set the sender's own in Sender → Fees; the operator changes the method's in Gas → Method rules."
    ),
    POOL: gettext_noop(
        "Set the sender's own in Sender → Fees; the operator changes the pool's in Gas → Fee rules."
    ),
    TENANT: gettext_noop("Change it in Gas → Guards."),
    GUARD: gettext_noop("The operator changes it in Gas → Guards."),
    NODE: gettext_noop(
        "Set the sender's own in Sender → Fees; the operator sets the pool's in Gas → Fee rules."
    ),
}
"""Where a limit of each level is changed, for tenants too: what only the operator changes is named so."""


@dataclass(frozen=True, slots=True)
class FeeChoice:
    """What the rules say about one message."""

    spec: GasSpec
    gas_fee_cap: int
    """0: the estimate's own."""
    base_fee_gate: int
    """0: none."""
    max_fee_level: str = ""
    """Whose largest fee it is, of LEVELS; empty without one."""
    gas_fee_cap_level: str = ""


def shared_rules_load() -> SharedRules:
    """Return the pool's rules; the messager's defaults until somebody changes them."""
    return SharedRules.objects.first() or SharedRules(pk=1, **SHARED_DEFAULTS)


def fee_choose(
    message: Message, *, sender: Sender, actor: ActorRules | None, shared: SharedRules
) -> FeeChoice:
    """Merge the levels for one message.  The gate and the fee cap have no wish of the message itself."""
    rules: list[FeeRules] = [sender, *([actor] if actor else []), shared]
    levels = {MESSAGE: message, SENDER: sender, METHOD: actor, POOL: shared}
    return FeeChoice(
        spec=GasSpec(
            max_fee=_first([message, *rules], "max_fee"),
            gas_over_estimation=_first([message, *rules], "gas_over_estimation"),
            gas_over_premium=_first([message, *rules], "gas_over_premium"),
        ),
        gas_fee_cap=message.gas_fee_cap or _first(rules, "gas_fee_cap"),
        base_fee_gate=_first(rules, "base_fee"),
        max_fee_level=_level_of(levels, name="max_fee"),
        gas_fee_cap_level=_level_of(levels, name="gas_fee_cap"),
    )


def fee_choice_resolve(message: Message, *, client: ChainClient, key: str) -> FeeChoice:
    """Return what the rules say about one stored message."""
    sender = Sender.objects.filter(address=message.from_addr).first() or Sender()  # it may be deleted
    rule = actor_rules_find([message], client=client, key=key).get((message.to, message.method))
    return fee_choose(message, sender=sender, actor=rule, shared=shared_rules_load())


def fee_limit_compute(message: Message, *, client: ChainClient, key: str) -> int:
    """Return the most that the message's gas may cost by rules and guards; 0 for no limit."""
    return fee_limit_cap(fee_choice_resolve(message, client=client, key=key).spec.max_fee, message=message)


def fee_limit_cap(limit: int, *, message: Message) -> int:
    """Return a max fee under the gas guard's cap; 0 stands for no limit."""
    guards = list(GasGuard.objects.filter(max_fee__gt=0))
    kind = receiver_kinds([message.to]).get(message.to, "") if guards else ""
    cap = guard_choose(message, guards=guards, receiver=kind).max_fee
    return min(limit, cap) if limit and cap else limit or cap


def _level_of(levels: Mapping[str, Any], *, name: str) -> str:
    """Return the first level that says something about a setting; empty if none does."""
    return next((level for level, row in levels.items() if getattr(row, name, 0)), "")


def _first(levels: Sequence[Any], name: str) -> Any:
    return next((value for level in levels if (value := getattr(level, name))), 0)


def actor_rules_find(
    messages: Iterable[Message], *, client: ChainClient, key: str
) -> dict[tuple[str, int], ActorRules]:
    """Return the rules of (receiver, method); the node is asked for codes only if any rule exists."""
    rules = MethodRules()
    pairs = {(message.to, message.method) for message in messages if message.method in rules.methods}
    if not pairs:
        return {}
    kinds = receiver_kinds({pair[0] for pair in pairs})
    found: dict[tuple[str, int], ActorRules] = {}
    codes: dict[str, str] = {}
    for to in {pair[0] for pair in pairs}:
        try:
            codes[to] = str(client.state_get_actor(to, key).code)
        except NodeRefused:  # a receiver that does not exist yet has no code and so no rule
            codes[to] = ""
    for to, method in pairs:
        rule = rules.of(method, code=codes[to], kind=kinds.get(to, "")) if codes[to] else None
        if rule is not None:
            found[(to, method)] = rule
    return found
