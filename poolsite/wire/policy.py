"""What a console and a signer tell each other about the signer's policy: events down the wallet's channel.

The signer decides; the console shows and forwards.  A change carries an editor's signature: an HMAC with a
code that only the person and the signer know, over the version that it makes.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from typing import Final

from poolsite.wire.codec import BadWire, Document, Int, Text

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
AMOUNTS: Final = ("value_max", "value_per_day", "fee_max", "fee_per_day", "premium_max", "premium_per_day")
"""Fields of a rule that limit amounts."""

PUT: Final = "put"
REMOVE: Final = "remove"
REPLACE: Final = "replace"
EDITS: Final = (PUT, REMOVE, REPLACE)
"""What an edit does: writes a rule, takes one out, or puts a whole text in place."""

OUTDATED_DEFAULT_DIGESTS: Final = frozenset(
    {
        "b9bc7b4fe5b4150ec14a3593e78b709c",
        "9dcea30b1f217a27f9296ba22d7b47a3",
        "6fcbe84fa942046b4c3c984b398845d7",
        "34a99557be9538c01fc79cea8c23351b",
        "6b961476480754be0cc6162df5238a94",
    }
)
"""Digests of the files that a signer's `init` once wrote, and which allow more than today's."""
NO_LONGER_DEFAULT: Final = frozenset({"miner.SubmitWindowedPoSt", "miner.CompactSectorNumbers"})
"""Were both in the default's rule for sealing; by one message of the second a miner may never seal again."""


def _text_check(field: str, text: str) -> None:
    if len(text) > TEXT_MAX:
        raise BadWire(field, f"must have at most {TEXT_MAX} characters")


class RuleForm(Document, frozen=True, kw_only=True):
    """One rule as form fields; an empty field means no limit."""

    name: Text
    types: tuple[Text, ...] = ()
    keys: tuple[Text, ...] = ()
    methods: tuple[Text, ...] = ()
    to: tuple[Text, ...] = ()
    callers: tuple[Text, ...] = ()
    value_max: Text = ""
    value_per_day: Text = ""
    fee_max: Text = ""
    fee_per_day: Text = ""
    premium_max: Text = ""
    """Of what whoever makes the block can get: gas limit times premium."""
    premium_per_day: Text = ""
    hours: Text = ""
    sets: tuple[Text, ...] = ()
    """Named sets that it belongs to."""

    @property
    def has_free_premium(self) -> bool:
        """Return whether it limits fees, but not what whoever makes the block gets of them."""
        return bool(self.fee_max or self.fee_per_day) and not (self.premium_max or self.premium_per_day)


class RuleSet(Document, frozen=True, kw_only=True):
    """Rules that belong together."""

    name: Text
    rules: tuple[Text, ...] = ()


class VersionLine(Document, frozen=True, kw_only=True):
    """One version of the policy, without its text."""

    number: Int
    """Counted from 1."""
    at: Text
    by: Text
    digest: Text


class PolicyState(Document, frozen=True, kw_only=True):
    """The policy in force, and who may change it through a console."""

    text: Text
    digest: Text
    number: Int
    """Of the version in force."""
    rules: tuple[RuleForm, ...]
    sets: tuple[RuleSet, ...]
    versions: tuple[VersionLine, ...]
    """The newest first."""
    editors: tuple[Text, ...]
    """Who may change it through a console; nobody: remote edits are not allowed."""
    types: tuple[Text, ...]
    """Types of requests that rules can name."""
    methods: tuple[Text, ...]
    """Methods that rules can name."""
    error: Text = ""
    """Why the text cannot be read, so that nothing is signed; then it has no rules."""


class VersionAsked(Document, frozen=True, kw_only=True):
    """A request for one version."""

    number: Int


class PolicyVersion(Document, frozen=True, kw_only=True):
    """One version with its text."""

    line: VersionLine
    text: Text
    diff: Text
    """Against the version before it."""


class PolicyEdit(Document, frozen=True, kw_only=True):
    """A change to preview."""

    op: Text
    name: Text = ""
    """The rule that is changed or taken out; empty: a new one."""
    rule: RuleForm | None = None
    place: Int | None = None
    """Where the rule stands among the rules, from 1; None leaves it, or puts a new one last."""
    text: Text = ""
    """The whole text, where that is replaced."""
    days: Int = 30
    """How far back the backtest looks."""

    def __post_init__(self) -> None:
        if self.op not in EDITS:
            raise BadWire("op", f"must be one of {', '.join(EDITS)}")
        if not 1 <= self.days <= DAYS_MAX:
            raise BadWire("days", f"must be from 1 to {DAYS_MAX}")
        if self.op == PUT and self.rule is None:
            raise BadWire("rule", "missing")
        _text_check("text", self.text)


class OtherVerdict(Document, frozen=True, kw_only=True):
    """A recorded request whose decision would change."""

    at: Text
    words: Text
    before: Text
    after: Text
    is_refusal: bool
    """It was signed and would be refused."""


class PolicyDraft(Document, frozen=True, kw_only=True):
    """The preview of a change."""

    text: Text
    digest: Text
    number: Int
    """Of the version that it would make."""
    change: Text
    """The text that an editor signs."""
    diff: Text
    """Against what is in force; empty: nothing would change."""
    rules: Int
    days: Int
    requests: Int
    """Requests recorded in these days that the policy was asked about."""
    refused: Int
    """Signed then, refused by this text."""
    allowed: Int
    """Refused then, signed by this text."""
    others: tuple[OtherVerdict, ...]
    """The newest of those that would be decided otherwise."""


class MessageTrial(Document, frozen=True, kw_only=True):
    """A message to test against the policy."""

    message: bytes
    """Its CBOR."""
    text: Text = ""
    """The policy to ask; empty: that in force."""

    def __post_init__(self) -> None:
        _text_check("text", self.text)


class MessageVerdict(Document, frozen=True, kw_only=True):
    """The policy's decision on a message."""

    words: Text
    """What it is."""
    rule: Text
    """The rule that allows it."""
    error: Text
    """Why not; empty if it would be signed."""


class PolicyChange(Document, frozen=True, kw_only=True):
    """A change to apply."""

    text: Text
    number: Int
    """Of the version that it makes."""
    editor: Text
    signature: Text
    person: Text = ""
    """Who is signed in at the console, by its word."""

    def __post_init__(self) -> None:
        _text_check("text", self.text)


class PolicyApplied(Document, frozen=True, kw_only=True):
    """The version that is in force after a change."""

    number: Int
    digest: Text
    by: Text


def is_old_default(digest: str, methods: Iterable[Sequence[str]]) -> bool:
    """Return whether a policy is an older default, or its rules, of these methods, were made of one."""
    return digest in OUTDATED_DEFAULT_DIGESTS or any(set(one) >= NO_LONGER_DEFAULT for one in methods)


def change_text(*, number: int, before: str, text: str) -> str:
    """Return what an editor signs: a signature is good for one text, after one version, once."""
    digest = hashlib.sha256(text.encode()).hexdigest()
    return f"poolsite policy change\nversion {number}\nafter {before}\ntext {digest}"


def change_signature(code: str, change: str) -> str:
    """Return the signature of a change with an editor's approval code."""
    return hmac.new(code.strip().encode(), change.encode(), hashlib.sha256).hexdigest()
