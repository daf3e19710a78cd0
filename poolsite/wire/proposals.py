"""Changes of a signer's policy that follow from what a tenant has: its own miners, its own wallets.

The console proposes them and the signer's owner approves; the signer's command line makes the same ones.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Final

from msgspec.structs import replace

from poolsite.filecoin.address import MARKET_ACTOR, POWER_ACTOR
from poolsite.wire.policy import AMOUNTS, PUT, PolicyEdit, RuleForm

CREATE_MINER: Final = "power.CreateMiner"
MINER_METHODS: Final = "miner."
SEALING_OR_PROVING: Final = (
    "miner.PreCommitSectorBatch2",
    "miner.ProveCommitSectors3",
    "miner.ProveCommitSectorsNI",
    "miner.SubmitWindowedPoSt",
)
PROOFS: Final = ("miner.SubmitWindowedPoSt", "miner.DeclareFaults", "miner.DeclareFaultsRecovered")
ADD_BALANCE: Final = "market.AddBalance"
PUBLISH_DEALS: Final = "market.PublishStorageDeals"
SETTLE_DEALS: Final = "market.SettleDealPaymentsExported"
SEND: Final = "Send"
ADDRESS_CHANGES: Final = (
    "ChangeWorkerAddress",
    "ConfirmChangeWorkerAddress",
    "ChangeOwnerAddress",
    "ChangeBeneficiary",
)
WITHDRAW_BALANCE: Final = "miner.WithdrawBalance"
MULTISIG_METHODS: Final = ("multisig.Propose", "multisig.Approve", "multisig.Cancel")
OWN_TRANSFERS: Final = "transfers between own wallets"
"""Name of the rule that `own_transfers_edit` adds."""
FOR_FEW: Final = RuleForm(
    name="", fee_max="1 FIL", fee_per_day="5 FIL", premium_max="0.1 FIL", premium_per_day="0.5 FIL"
)
"""What new rules for a few messages limit."""


PROOFS_RULE: Final = RuleForm(
    name="proofs and declarations",
    methods=PROOFS,
    value_max="0 FIL",
    fee_max="5 FIL",
    premium_max="0.1 FIL",
    premium_per_day="5 FIL",
)
"""The rule that `signer init` writes; it names no receivers, as it carries no value."""


PUBLISHING_RULE: Final = RuleForm(
    name="publishing deals",
    methods=(PUBLISH_DEALS, SETTLE_DEALS),
    to=(str(MARKET_ACTOR),),
    value_max="0 FIL",
    fee_max="5 FIL",
    fee_per_day="50 FIL",
    premium_max="1 FIL",
    premium_per_day="5 FIL",
)
"""Allows messages that lock the miner's market balance as collateral, or fill it with clients' fees.

`signer init` writes none.
"""


def is_allowed(rule: RuleForm, method: str) -> bool:
    """Return whether a rule allows a method, whatever its other limits; empty methods or types allow any."""
    is_of_messages = not rule.types or "message" in rule.types
    return is_of_messages and (not rule.methods or any(fnmatchcase(method, one) for one in rule.methods))


def is_without_day(rule: RuleForm) -> bool:
    """Return whether a rule allows proofs and declarations at any hour and without a daily sum of fees.

    A daily sum of value may stay, as they carry none, and one of premiums: only premiums can be stolen, and
    honest ones are a thousandth of it.
    """
    return all(is_allowed(rule, method) for method in PROOFS) and not (rule.hours or rule.fee_per_day)


def proofs_edit(rules: Sequence[RuleForm]) -> PolicyEdit | None:
    """Return the edit that puts a rule for proofs before all others, so that no daily sum refuses a window.

    None if there is such a rule, or if no rule allows proofs at all: then this signer is for something else.
    """
    if not any(is_allowed(rule, PROOFS[0]) for rule in rules) or any(map(is_without_day, rules)):
        return None
    names = {rule.name for rule in rules}
    name = PROOFS_RULE.name
    while name in names:
        name += " of windows"
    return PolicyEdit(op=PUT, rule=replace(PROOFS_RULE, name=name), place=1)


def publishing_edit(rules: Sequence[RuleForm]) -> PolicyEdit | None:
    """Return the edit that adds a rule for publishing and settling deals; None if both are allowed."""

    def is_for_market(rule: RuleForm) -> bool:
        return not rule.to or any(fnmatchcase(str(MARKET_ACTOR), one) for one in rule.to)

    of_market = [rule for rule in rules if is_for_market(rule)]
    missing = tuple(
        method
        for method in PUBLISHING_RULE.methods
        if not any(is_allowed(rule, method) for rule in of_market)
    )
    if not missing:
        return None
    names = {rule.name for rule in rules}
    name = PUBLISHING_RULE.name if PUBLISH_DEALS in missing else "settling deals"
    while name in names:
        name += " of miners"
    return PolicyEdit(op=PUT, rule=replace(PUBLISHING_RULE, name=name, methods=missing))


def has_votes(rules: Sequence[RuleForm]) -> bool:
    """Return whether a rule may allow F3 votes: its types include `f3` or `unknown`."""
    return any({"f3", "unknown"} & set(rule.types) for rule in rules)


def free_escrows(rules: Sequence[RuleForm]) -> list[str]:
    """Return the names of the rules that let AddBalance pay into anybody's escrow."""
    return [rule.name for rule in rules if not rule.to and is_allowed(rule, ADD_BALANCE)]


PROOFS_BY_DAY: Final = "proofs by day"
ANY_ESCROW: Final = "any escrow"
NO_VOTES: Final = "no votes"
NO_PUBLISHING: Final = "no publishing"


def policy_advice(rules: Sequence[RuleForm]) -> list[str]:
    """Return which changes a policy needs, as names that the console stores with the signer's connection."""
    found = {
        PROOFS_BY_DAY: proofs_edit(rules) is not None,
        ANY_ESCROW: bool(free_escrows(rules)),
        NO_VOTES: not has_votes(rules),
        NO_PUBLISHING: publishing_edit(rules) is not None,
    }
    return [name for name, holds in found.items() if holds]


def is_for_own_miners(rule: RuleForm) -> bool:
    """Return whether a rule allows sealing or proving, and nothing but messages to miners and making one."""
    does_either = any(fnmatchcase(method, one) for method in SEALING_OR_PROVING for one in rule.methods)
    return does_either and all(
        method == CREATE_MINER or method.startswith(MINER_METHODS) for method in rule.methods
    )


def is_of_proofs(rule: RuleForm) -> bool:
    """Return whether a rule allows nothing but proofs and declarations."""
    return bool(rule.methods) and set(rule.methods) <= set(PROOFS)


def own_miners_edit(rules: Sequence[RuleForm], miners: Sequence[str]) -> PolicyEdit | None:
    """Return the edit that names the tenant's own miners as the only receivers of sealing and proving.

    The first rule that allows sealing or proving, and messages to miners only, is changed; None if it names
    all of them already, or there is no such rule, or no miner.  Receivers that it names already are kept.
    """
    for place, rule in enumerate(rules, 1):
        if not is_for_own_miners(rule) or (is_of_proofs(rule) and not rule.to):
            continue  # what carries no value may go to any miner
        power = (str(POWER_ACTOR),) if CREATE_MINER in rule.methods else ()
        receivers = tuple(dict.fromkeys((*rule.to, *power, *miners)))
        if receivers == rule.to and is_of_proofs(rule):
            continue  # another rule is that for sealing
        if not miners or receivers == rule.to:
            return None
        return PolicyEdit(op=PUT, name=rule.name, rule=replace(rule, to=receivers), place=place)
    return None


def sealing_receivers(rules: Sequence[RuleForm]) -> tuple[str, ...] | None:
    """Return the receivers that the rule for sealing names, none where it allows any; None without one."""
    found = (rule.to for rule in rules if is_for_own_miners(rule) and not is_of_proofs(rule))
    return next(found, None)


def address_changes_rule(miner: str) -> RuleForm:
    """Return the rule that allows changes of one miner's addresses; the default policy has none."""
    return replace(
        FOR_FEW,
        name=f"addresses of {miner}",
        methods=tuple(MINER_METHODS + name for name in ADDRESS_CHANGES),
        to=(miner,),
        value_max="0 FIL",
    )


def withdrawals_rule(miner: str, *, value_max: str) -> RuleForm:
    """Return the rule that allows withdrawals from one miner, of this much in all a day."""
    return replace(
        FOR_FEW,
        name=f"withdrawals from {miner}",
        methods=(WITHDRAW_BALANCE,),
        to=(miner,),
        value_max=value_max,
        value_per_day=value_max,
    )


def multisig_rule(multisig: str, *, value_max: str) -> RuleForm:
    """Return the rule that allows a signer's acts in one multisig; proposals move this much in all a day.

    What an approval pays is not in its message, and not limited.
    """
    return replace(
        FOR_FEW,
        name=f"proposals in {multisig}",
        methods=MULTISIG_METHODS,
        to=(multisig,),
        value_max=value_max,
        value_per_day=value_max,
    )


def rule_text(rule: RuleForm) -> str:
    """Return a rule of messages as it is written in a policy."""
    lists = {"methods": rule.methods, "to": rule.to}
    limits = {name: getattr(rule, name) for name in AMOUNTS}
    lines = ["[[rule]]", f"name = {json.dumps(rule.name)}"]
    lines += [f"{name} = {json.dumps(list(values))}" for name, values in lists.items()]
    lines += [f"{name} = {json.dumps(amount)}" for name, amount in limits.items() if amount]
    return "\n".join(lines)


def own_transfers_edit(
    rules: Sequence[RuleForm], wallets: Sequence[str], *, value_max: str, value_per_day: str
) -> PolicyEdit:
    """Return the edit that allows plain transfers between the tenant's own wallets up to these amounts.

    The rule of that name is changed, wallets that it names already are kept; else one is added at the end.
    """
    existing = next((rule for rule in rules if rule.name == OWN_TRANSFERS), None)
    rule = existing or replace(FOR_FEW, name=OWN_TRANSFERS, methods=(SEND,))
    to = tuple(dict.fromkeys((*rule.to, *wallets)))
    rule = replace(rule, to=to, value_max=value_max, value_per_day=value_per_day)
    return PolicyEdit(op=PUT, name=OWN_TRANSFERS if existing else "", rule=rule)
