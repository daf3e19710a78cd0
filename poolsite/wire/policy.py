"""What a console and a signer tell each other about the signer's policy: events down the wallet's channel.

The signer decides; the console shows and forwards.  A change carries an editor's signature: an HMAC with a
code that only the person and the signer know, over the version that it makes.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import Final

from poolsite.wire.codec import BadWire

POLICY_READ: Final = "PolicyRead"
"""Answered by `PolicyState`."""
POLICY_VERSION: Final = "PolicyVersion"
"""`VersionAsked`, answered by `PolicyVersion`."""
POLICY_DRAFT: Final = "PolicyDraft"
"""`PolicyEdit`, answered by `PolicyDraft`; changes nothing."""
POLICY_TRY: Final = "PolicyTry"
"""`MessageTrial`, answered by `MessageVerdict`; signs nothing."""
POLICY_APPLY: Final = "PolicyApply"
"""`PolicyChange`, answered by `PolicyApplied`."""
POLICY_METHODS: Final = (POLICY_READ, POLICY_VERSION, POLICY_DRAFT, POLICY_TRY, POLICY_APPLY)

TEXT_MAX: Final = 256 * 1024
"""Longest policy, in characters."""
DAYS_MAX: Final = 365

PUT: Final = "put"
REMOVE: Final = "remove"
REPLACE: Final = "replace"
EDITS: Final = (PUT, REMOVE, REPLACE)
"""What an edit does: writes a rule, takes one out, or puts a whole text in place."""

OLD_DEFAULTS: Final = frozenset({"b9bc7b4fe5b4150ec14a3593e78b709c", "9dcea30b1f217a27f9296ba22d7b47a3"})
"""Digests of the files that a signer's `init` once wrote, and which allow more than today's."""


def _text_check(field: str, text: str) -> None:
    if len(text) > TEXT_MAX:
        raise BadWire(field, f"must have at most {TEXT_MAX} characters")


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleForm:
    """One rule as a form shows it; an empty field is no limit."""

    name: str
    types: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    to: tuple[str, ...] = ()
    callers: tuple[str, ...] = ()
    value_max: str = ""
    value_per_day: str = ""
    fee_max: str = ""
    fee_per_day: str = ""
    hours: str = ""
    sets: tuple[str, ...] = ()
    """Named sets that it belongs to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSet:
    """Rules that belong together."""

    name: str
    rules: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionLine:
    """One text that was in force."""

    number: int
    """Counted from 1."""
    at: str
    by: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyState:
    """What is in force, and who may change it from here."""

    text: str
    digest: str
    number: int
    """Of the version in force."""
    rules: tuple[RuleForm, ...]
    sets: tuple[RuleSet, ...]
    versions: tuple[VersionLine, ...]
    """The newest first."""
    editors: tuple[str, ...]
    """Who may change it through a console; nobody: remote edits are not allowed."""
    types: tuple[str, ...]
    """Types of requests that rules can name."""
    methods: tuple[str, ...]
    """Methods that rules can name."""
    error: str = ""
    """Why the text cannot be read, so that nothing is signed; then it has no rules."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionAsked:
    """Which version to show."""

    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyVersion:
    """One version with its text."""

    line: VersionLine
    text: str
    diff: str
    """Against the version before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyEdit:
    """A change to think about."""

    op: str
    name: str = ""
    """The rule that is changed or taken out; empty: a new one."""
    rule: RuleForm | None = None
    place: int | None = None
    """Where the rule stands among the rules, from 1; None leaves it, or puts a new one last."""
    text: str = ""
    """The whole text, where that is replaced."""
    days: int = 30
    """How far back the backtest looks."""

    def __post_init__(self) -> None:
        if self.op not in EDITS:
            raise BadWire("op", f"must be one of {', '.join(EDITS)}")
        if not 1 <= self.days <= DAYS_MAX:
            raise BadWire("days", f"must be from 1 to {DAYS_MAX}")
        if self.op == PUT and self.rule is None:
            raise BadWire("rule", "missing")
        _text_check("text", self.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherVerdict:
    """A recorded request that would be decided otherwise."""

    at: str
    words: str
    before: str
    after: str
    is_refusal: bool
    """It was signed and would be refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyDraft:
    """What a change would make of the policy."""

    text: str
    digest: str
    number: int
    """Of the version that it would make."""
    change: str
    """The text that an editor signs."""
    diff: str
    """Against what is in force; empty: nothing would change."""
    rules: int
    days: int
    asked: int
    """Requests recorded in these days that the policy was asked about."""
    refused: int
    """Signed then, refused by this text."""
    allowed: int
    """Refused then, signed by this text."""
    others: tuple[OtherVerdict, ...]
    """The newest of those that would be decided otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageTrial:
    """A message to ask the policy about."""

    message: bytes
    """Its CBOR."""
    text: str = ""
    """The policy to ask; empty: that in force."""

    def __post_init__(self) -> None:
        _text_check("text", self.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageVerdict:
    """What the policy says of a message."""

    words: str
    """What it is."""
    rule: str
    """The rule that allows it."""
    error: str
    """Why not; empty if it would be signed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyChange:
    """A change to make."""

    text: str
    number: int
    """Of the version that it makes."""
    editor: str
    signature: str
    person: str = ""
    """Who is signed in at the console, by its word."""

    def __post_init__(self) -> None:
        _text_check("text", self.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyApplied:
    """What is in force now."""

    number: int
    digest: str
    by: str


def change_text(*, number: int, before: str, text: str) -> str:
    """Return what an editor signs: a signature is good for one text, after one version, once."""
    digest = hashlib.sha256(text.encode()).hexdigest()
    return f"poolsite policy change\nversion {number}\nafter {before}\ntext {digest}"


def change_signature(code: str, change: str) -> str:
    """Return the signature of a change with an editor's approval code."""
    return hmac.new(code.strip().encode(), change.encode(), hashlib.sha256).hexdigest()
