"""What the signer may sign: rules of a TOML file; what no rule allows is refused.

A request must be allowed by one rule as a whole: its type, key, method (in every reading), destination,
value, fee, premium, hour and caller.  Sums of a day come from the signer's own records.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from typing import Final

from poolsite.filecoin.amounts import fil_format
from poolsite.wire.policy_refusals import (
    FEE,
    FEES_PER_DAY,
    NO_RULE,
    PREMIUM,
    PREMIUMS_PER_DAY,
    VALUE,
    VALUE_PER_DAY,
    LimitRefusal,
)
from workers.signer.records import Verdict
from workers.signer.sign_request import FINALITY, MESSAGE, UNKNOWN, VERIFY_ADDRESS, Amounts, SignRequest

ANY: Final = "*"

MISFITS: Final = ("type", "key", "caller", "method", "destination", "hour")
"""Why a rule may not fit, in the order in which it is asked."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; an empty limit is none."""

    name: str
    types: tuple[str, ...] = (MESSAGE,)
    keys: tuple[str, ...] = (ANY,)
    methods: tuple[str, ...] = (ANY,)
    to: tuple[str, ...] = (ANY,)
    callers: tuple[str, ...] = (ANY,)
    value_max: int | None = None
    value_per_day: int | None = None
    fee_max: int | None = None
    fee_per_day: int | None = None
    premium_max: int | None = None
    premium_per_day: int | None = None
    hours: tuple[time, time] | None = None

    def complaint(self, request: SignRequest, *, caller: str, now: datetime) -> str | None:
        """Return why this rule does not fit at all (None: it does), its limits left aside."""
        # a rule for bytes without meaning was how lotus' votes were allowed before they were told from them
        if request.type not in self.types and not (request.type == FINALITY and UNKNOWN in self.types):
            return "type"
        if not matches(str(request.address), self.keys):
            return "key"
        if not matches(caller, self.callers):
            return "caller"
        if request.type == MESSAGE and not all(
            matches(reading, self.methods) for reading in request.readings
        ):
            return "method"
        payee = None if request.payee == request.address else request.payee
        if any(one is not None and not matches(str(one), self.to) for one in (request.to, payee)):
            return "destination"
        if self.hours is not None and not within(self.hours, now.astimezone(UTC).time()):
            return "hour"
        return None

    def excess(self, request: SignRequest, spent: Amounts) -> str:
        """Return which limit the request breaks; empty if none."""
        limits = (
            (VALUE, request.value, self.value_max),
            (FEE, request.fee_max, self.fee_max),
            (PREMIUM, request.premium_max, self.premium_max),
            (VALUE_PER_DAY, spent.value + request.value, self.value_per_day),
            (FEES_PER_DAY, spent.fee + request.fee_max, self.fee_per_day),
            (PREMIUMS_PER_DAY, spent.premium + request.premium_max, self.premium_per_day),
        )
        for name, amount, limit in limits:
            if limit is not None and amount > limit:
                return str(LimitRefusal(self.name, name, fil_format(amount), fil_format(limit)))
        return ""


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy file's rules."""

    digest: str
    """First half of the SHA-256 of its text: which version decided."""
    rules: tuple[Rule, ...] = field(default=())
    sets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Names of rules that belong together, for callers who may use only those."""

    def decide(
        self,
        request: SignRequest,
        *,
        caller: str,
        now: datetime,
        spent: Callable[[str], Amounts],
        rule_set: str = "",
    ) -> Verdict:
        """Return the decision of the rules in their order, or of one set: the first that allows it decides.

        `spent` gives what a rule of that name let this key spend today.
        """
        if request.type == VERIFY_ADDRESS:  # a fixed form that moves nothing: proving a key to a gateway
            return Verdict("(proof of a key)", self.digest)
        if rule_set and rule_set not in self.sets:
            return Verdict("", self.digest, f"the policy has no set '{rule_set}'")
        reasons, misfits = [], []
        for rule in self.rules:
            if rule_set and rule.name not in self.sets[rule_set]:
                continue
            misfit = rule.complaint(request, caller=caller, now=now)
            if misfit is not None:
                misfits.append(misfit)
                continue
            excess = rule.excess(request, spent(rule.name))
            if not excess:
                return Verdict(rule.name, self.digest)
            reasons.append(excess)
        if reasons:
            return Verdict("", self.digest, reasons[0])
        nearest = max(misfits, key=MISFITS.index, default=MISFITS[0])
        return Verdict("", self.digest, f"{NO_RULE}{request.description}", nearest)

    def has_rule_for(self, address: str, *, caller: str, rule_set: str) -> bool:
        """Return whether a set has a rule with which this key may sign something for this caller."""
        names = self.sets.get(rule_set, ())
        return any(
            rule.name in names and matches(address, rule.keys) and matches(caller, rule.callers)
            for rule in self.rules
        )


def matches(text: str, patterns: tuple[str, ...]) -> bool:
    """Return whether one of the patterns fits; case counts."""
    return any(fnmatch.fnmatchcase(text, pattern) for pattern in patterns)


def within(hours: tuple[time, time], moment: time) -> bool:
    """Return whether a time of day lies in a span, which may pass midnight."""
    start, end = hours
    return start <= moment < end if start <= end else moment >= start or moment < end
