"""The policy for a gateway's console: it shows, rehearses, and takes signed changes."""

from __future__ import annotations

import difflib
import math
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import structlog

from poolsite.filecoin.actors.decode import ACTOR_METHODS
from poolsite.filecoin.cbor import BadCbor
from poolsite.filecoin.message import message_from_cbor
from poolsite.wire.codec import BadWire, document_decode, document_send
from poolsite.wire.policy import (
    POLICY_APPLY,
    POLICY_DRAFT,
    POLICY_READ,
    POLICY_TRY,
    POLICY_VERSION,
    MessageTrial,
    MessageVerdict,
    OtherVerdict,
    PolicyApplied,
    PolicyChange,
    PolicyDraft,
    PolicyEdit,
    PolicyState,
    PolicyVersion,
    VersionAsked,
    VersionLine,
    change_text,
)
from workers.signer.changes import change_apply, versions_now
from workers.signer.editors import editors_read
from workers.signer.errors import BadPolicy, SignerError
from workers.signer.message_payloads import message_request
from workers.signer.policy import Policy
from workers.signer.policy_backtest import backtest_run
from workers.signer.policy_parse import policy_parse
from workers.signer.policy_text import edit_apply, rule_form, sets_shown
from workers.signer.records import Records
from workers.signer.sign_request import TYPES

if TYPE_CHECKING:
    from workers.signer.history import Version
    from workers.signer.signing import Signer

log = structlog.get_logger(__name__)

VERSIONS_SHOWN: Final = 50
OTHERS_SHOWN: Final = 100
BACKTEST_MAX: Final = 20_000
"""Records that a backtest looks at, the newest: some seconds of work, in which signing goes on."""
DAY: Final = timedelta(days=1)
METHOD_NAMES: Final = (
    "Send",
    *sorted(f"{kind}.{spec.name}" for kind, methods in ACTOR_METHODS.items() for spec in methods.values()),
)

Json = Any


class PolicyService:
    """One gateway's way to the policy.  `answer` runs in threads, one at a time."""

    def __init__(self, signer: Signer, *, caller: str, rule_set: str) -> None:
        self.signer = signer
        self.caller = caller
        """How rules and records name this gateway."""
        self.rule_set = rule_set
        self._turn = threading.Lock()

    def answer(self, method: str, payload: Json) -> Json:
        """Answer one question.  Raises SignerError."""
        if self.rule_set:
            raise SignerError(
                f"this gateway is limited to the set '{self.rule_set}' and cannot see the policy"
            )
        with self._turn:
            try:
                return document_send(self._answered(method, payload))
            except BadWire as error:
                raise SignerError(f"the request cannot be read: {error}") from None
            except OSError as error:
                raise SignerError(f"the policy cannot be read or written: {error.strerror}") from None

    def _answered(self, method: str, payload: Json) -> Any:
        if method == POLICY_READ:
            return self.state()
        if method == POLICY_VERSION:
            return self.version(document_decode(VersionAsked, payload).number)
        if method == POLICY_DRAFT:
            return self.draft(document_decode(PolicyEdit, payload))
        if method == POLICY_TRY:
            return self.message_verdict(document_decode(MessageTrial, payload))
        if method == POLICY_APPLY:
            return self.take(document_decode(PolicyChange, payload))
        raise SignerError(f"unexpect type {method[:40]}")

    def state(self) -> PolicyState:
        """Show what is in force."""
        folder = self.signer.folder
        versions = versions_now(folder)
        newest = versions[-1]
        try:
            policy, error = policy_parse(newest.text), ""
        except BadPolicy as refusal:
            policy, error = Policy(newest.digest), str(refusal)
        lines = [version_line(number, one) for number, one in enumerate(versions, 1)]
        return PolicyState(
            text=newest.text,
            digest=newest.digest,
            number=len(versions),
            rules=tuple(rule_form(rule, policy.sets) for rule in policy.rules),
            sets=sets_shown(policy),
            versions=tuple(reversed(lines[-VERSIONS_SHOWN:])),
            editors=tuple(sorted(editors_read(folder))),
            types=TYPES,
            methods=METHOD_NAMES,
            error=error,
        )

    def version(self, number: int) -> PolicyVersion:
        """Show one version and what it changed."""
        versions = versions_now(self.signer.folder)
        if not 1 <= number <= len(versions):
            raise SignerError(f"version {number} does not exist")
        one = versions[number - 1]
        before = versions[number - 2].text if number > 1 else ""
        diff = diff_of(before, one.text, number - 1, number)
        return PolicyVersion(line=version_line(number, one), text=one.text, diff=diff)

    def draft(self, edit: PolicyEdit) -> PolicyDraft:
        """Return what an edit would make of the policy, and what that would have decided otherwise."""
        versions = versions_now(self.signer.folder)
        now, number = versions[-1], len(versions) + 1
        text = edit_apply(now.text, edit)
        policy = policy_parse(text)
        records = Records(self.signer.folder / "records.sqlite")  # its own connection: signing goes on
        try:
            since = datetime.now(UTC) - timedelta(days=edit.days)
            found = backtest_run(records, policy, since=since, limit=BACKTEST_MAX)
        finally:
            records.close()
        others = [
            OtherVerdict(
                at=one.at, words=one.text, before=one.before, after=one.after, is_refusal=one.is_refusal
            )
            for one in found.changes
        ]
        return PolicyDraft(
            text=text,
            digest=policy.digest,
            number=number,
            change=change_text(number=number, before=now.digest, text=text),
            diff=diff_of(now.text, text, number - 1, number),
            rules=len(policy.rules),
            days=min(edit.days, max(1, math.ceil((datetime.now(UTC) - found.since) / DAY))),
            requests=found.requests,
            refused=sum(one.is_refusal for one in found.changes),
            allowed=sum(one.is_permission for one in found.changes),
            others=tuple(reversed(others[-OTHERS_SHOWN:])),
        )

    def message_verdict(self, trial: MessageTrial) -> MessageVerdict:
        """Return what the policy, or another text, decides of a message from this gateway now."""
        policy = policy_parse(trial.text) if trial.text else self.signer.policy.current()
        try:
            message = message_from_cbor(trial.message)
        except BadCbor as error:
            raise SignerError(f"this is not a message: {error}") from None
        request = message_request(message, message.from_, raw=trial.message)
        now, address = datetime.now(UTC), str(message.from_)
        if not self.signer.store.has(address):
            raise SignerError(f"this signer does not have the key of {address}")
        day = now.date().isoformat()
        verdict = policy.decide(
            request,
            caller=self.caller,
            now=now,
            spent=lambda rule: self.signer.spent(rule=rule, address=address, day=day, but=request),
        )
        return MessageVerdict(words=request.description, rule=verdict.rule, error=verdict.error)

    def take(self, change: PolicyChange) -> PolicyApplied:
        """Make a signed change."""
        made = change_apply(self.signer.folder, change)
        log.info("policy_changed", by=made.by, version=change.number, digest=made.digest, via=self.caller)
        return PolicyApplied(number=change.number, digest=made.digest, by=made.by)


def version_line(number: int, one: Version) -> VersionLine:
    """Write a version without its text."""
    return VersionLine(number=number, at=one.at, by=one.by, digest=one.digest)


def diff_of(before: str, after: str, old: int, new: int) -> str:
    """Compare two texts as `diff -u` does."""
    lines = difflib.unified_diff(
        before.splitlines(), after.splitlines(), f"version {old}", f"version {new}", lineterm=""
    )
    return "\n".join(lines)
