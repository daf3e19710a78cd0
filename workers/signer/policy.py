"""What the signer may sign: rules of a TOML file; what no rule allows is refused.

A request must be allowed by one rule as a whole: its type, key, method (in every reading), destination,
value, fee, hour and caller.  Sums of a day come from the signer's own records.
"""

from __future__ import annotations

import fnmatch
import hashlib
import tomllib
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from typing import TYPE_CHECKING, Any, Final

from poolsite.filecoin.address import BadAddress, address_parse
from poolsite.filecoin.amounts import BadAmount, fil_format, fil_parse
from workers.signer.errors import BadPolicy
from workers.signer.payloads import FINALITY, MESSAGE, TYPES, UNKNOWN, VERIFY_ADDRESS, SignRequest
from workers.signer.records import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

VERSION: Final = 1
ANY: Final = "*"

DEFAULT: Final = """\
# What this signer may sign.  Everything that no rule allows is refused; every decision is recorded.
# The file is read again when it changes.  Methods are written `actor.Method`, plain transfers `Send`;
# `*` stands for any text.  Amounts are like "1.5 FIL"; days and hours are UTC.
version = 1

# Deposits and pledges belong to the miner that a message names, so it must be one of yours.  f04 makes
# miners; `python -m workers signer policy --miner f01234` names one, or the change that the console proposes.
[[rule]]
name = "sealing and proving"
methods = [
    "power.CreateMiner",
    "miner.PreCommitSectorBatch2", "miner.ProveCommitSectors3", "miner.ProveCommitAggregate",
    "miner.ProveReplicaUpdates3", "miner.ProveCommitSectorsNI",
    "miner.SubmitWindowedPoSt", "miner.DeclareFaults", "miner.DeclareFaultsRecovered",
    "miner.CompactPartitions", "miner.CompactSectorNumbers",
    "miner.ExtendSectorExpiration", "miner.ExtendSectorExpiration2",
]
to = ["f04"]
value_max = "1000 FIL"
value_per_day = "2000 FIL"
fee_max = "5 FIL"
fee_per_day = "200 FIL"

[[rule]]
name = "blocks"
types = ["block", "drawrandomparam"]

[[rule]]
name = "address book and housekeeping"
methods = ["miner.ChangePeerID", "miner.ChangeMultiaddrs", "market.AddBalance"]
value_max = "1 FIL"
value_per_day = "5 FIL"
fee_max = "1 FIL"
fee_per_day = "5 FIL"

# Transfers leave the pool: keep the ceilings low, or name the receivers in `to`.
[[rule]]
name = "small transfers"
methods = ["Send"]
value_max = "1 FIL"
value_per_day = "20 FIL"
fee_max = "0.1 FIL"
fee_per_day = "2 FIL"

# Not allowed unless you add a rule: WithdrawBalance, ChangeOwnerAddress, ChangeWorkerAddress,
# ChangeBeneficiary, TerminateSectors, everything of multisig, and `unknown` bytes.
"""


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
        if request.to is not None and not matches(str(request.to), self.to):
            return "destination"
        if self.hours is not None and not within(self.hours, now.astimezone(UTC).time()):
            return "hour"
        return None

    def excess(self, request: SignRequest, spent: tuple[int, int]) -> str:
        """Return which limit the request breaks; empty if none."""
        limits = (
            ("value", request.value, self.value_max),
            ("fee", request.fee_max, self.fee_max),
            ("value per day", spent[0] + request.value, self.value_per_day),
            ("fees per day", spent[1] + request.fee_max, self.fee_per_day),
        )
        for name, amount, limit in limits:
            if limit is not None and amount > limit:
                return f"rule '{self.name}': {name} {fil_format(amount)} is above {fil_format(limit)}"
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
        spent: Callable[[str], tuple[int, int]],
        rule_set: str = "",
    ) -> Verdict:
        """Return the decision of the rules in their order, or of one set: the first that allows it decides.

        `spent` gives what a rule of that name let this key spend today (value, fees).
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
        return Verdict("", self.digest, f"no rule allows {request.description}", nearest)


def matches(text: str, patterns: tuple[str, ...]) -> bool:
    """Return whether one of the patterns fits; case counts."""
    return any(fnmatch.fnmatchcase(text, pattern) for pattern in patterns)


def within(hours: tuple[time, time], moment: time) -> bool:
    """Return whether a time of day lies in a span, which may pass midnight."""
    start, end = hours
    return start <= moment < end if start <= end else moment >= start or moment < end


def policy_parse(text: str) -> Policy:
    """Read a policy file.  Raises BadPolicy naming rule and field."""
    try:
        value = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadPolicy(f"the policy is not TOML: {error}") from None
    unknown = value.keys() - {"version", "rule", "set"}
    if unknown or value.get("version") != VERSION:
        text = f"the policy must contain version = {VERSION}, [[rule]] and [[set]] tables, and nothing else"
        raise BadPolicy(text)
    tables = value.get("rule", [])
    if not isinstance(tables, list):
        raise BadPolicy("rules are written as [[rule]]")
    rules = tuple(rule_read(table) for table in tables)
    names = [rule.name for rule in rules]
    if len(set(names)) != len(names):
        raise BadPolicy("two rules have the same name")
    digest = hashlib.sha256(text.encode()).hexdigest()[:32]
    return Policy(digest, rules, sets_read(value.get("set", []), known=names))


def sets_read(tables: Any, *, known: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Read the sets.  Raises BadPolicy."""
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise BadPolicy("sets are written as [[set]]")
    found: dict[str, tuple[str, ...]] = {}
    for table in tables:
        name = table.get("name")
        if table.keys() != {"name", "rules"} or not isinstance(name, str) or not name or name in found:
            raise BadPolicy("every set needs a unique name and a list of rules, and nothing else")
        try:
            found[name] = texts_read(table["rules"])
        except ValueError as error:
            raise BadPolicy(f"set '{name}': rules: {error}") from None
        missing = [rule for rule in found[name] if rule not in known]
        if missing:
            raise BadPolicy(f"set '{name}': unknown rule {missing[0]!r}")
    return found


def rule_read(table: Any) -> Rule:
    """Read one rule.  Raises BadPolicy."""
    if not isinstance(table, dict) or not isinstance(table.get("name"), str) or not table["name"]:
        raise BadPolicy("every rule needs a name")
    fields: dict[str, Any] = {"name": table["name"]}
    for key, value in table.items():
        if key == "name":
            continue
        reader = READERS.get(key)
        if reader is None:
            raise BadPolicy(f"rule '{table['name']}': unknown field {key!r}")
        try:
            fields[key] = reader(value)
        except ValueError as error:
            raise BadPolicy(f"rule '{table['name']}': {key}: {error}") from None
    return Rule(**fields)


def texts_read(value: Any) -> tuple[str, ...]:
    """Read a list of texts."""
    if not isinstance(value, list) or not value or not all(isinstance(item, str) and item for item in value):
        raise ValueError("must be a list of strings")
    return tuple(value)


def types_read(value: Any) -> tuple[str, ...]:
    """Read a list of types."""
    types = texts_read(value)
    unknown = [name for name in types if name not in TYPES]
    if unknown:
        raise ValueError(f"{unknown[0]!r} is not one of {', '.join(TYPES)}")
    return types


def addresses_read(value: Any) -> tuple[str, ...]:
    """Read a list of addresses, or `*`."""
    try:
        return tuple(ANY if item == ANY else str(address_parse(item)) for item in texts_read(value))
    except BadAddress as error:
        raise ValueError(str(error)) from None


def amount_read(value: Any) -> int:
    """Read an amount like `1.5 FIL`."""
    if not isinstance(value, str):
        raise ValueError('write amounts as strings such as "1.5 FIL"')
    try:
        return fil_parse(value)
    except BadAmount as error:
        raise ValueError(str(error)) from None


def hours_read(value: Any) -> tuple[time, time]:
    """Read a span like `08:00-18:30`."""
    start, _, end = str(value).partition("-")
    span = time.fromisoformat(start.strip()), time.fromisoformat(end.strip())
    if any(one.tzinfo is not None for one in span):
        raise ValueError("hours are in UTC and must not have a time zone")
    return span


READERS: Final[dict[str, Callable[[Any], Any]]] = {
    "types": types_read,
    "keys": addresses_read,
    "methods": texts_read,
    "to": addresses_read,
    "callers": texts_read,
    "value_max": amount_read,
    "value_per_day": amount_read,
    "fee_max": amount_read,
    "fee_per_day": amount_read,
    "hours": hours_read,
}


class PolicyFile:
    """The file, read again when it changes; while it cannot be read, nothing is signed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._policy = Policy("")
        self._stamp: tuple[int, int] | None = None

    def current(self) -> Policy:
        """Return the rules as the file has them now.  Raises BadPolicy."""
        try:
            status = self.path.stat()
            stamp = (status.st_mtime_ns, status.st_ino)
            if stamp != self._stamp:
                self._policy, self._stamp = policy_parse(self.path.read_text()), stamp
        except (OSError, UnicodeDecodeError) as error:
            raise BadPolicy(f"the policy cannot be read: {error}") from None
        return self._policy
