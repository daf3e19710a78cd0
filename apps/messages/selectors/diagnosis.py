"""Why a message waits: one reason out of the closed list, with the figures that show it and what can be done.

It reads rows only: what the node said when the sender was last read is in them, so a page costs no network.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from django.utils.translation import gettext_lazy as _

from apps.chain.models import Head
from apps.core import clock
from apps.core.formatting import fee_text
from apps.core.languages import colon_text
from apps.core.marked_texts import gettext
from apps.core.reasons import shown_text
from apps.messages.models import GasGuard, Message, Sender
from apps.messages.rules.causes import Cause, Refusal, refusal_read
from apps.messages.rules.guard_choice import guard_choose
from apps.messages.selectors.approvals import approval_of, approvers_of
from apps.messages.selectors.fees import shared_rules_load
from apps.messages.selectors.gas_guards import guards_spent
from apps.messages.selectors.receivers import receiver_kinds
from apps.messages.states import PRESSING, MessageState, NoncesBy, SenderState, Wait
from apps.users.selectors.grants import address_canonical, signer_granted, signers_granted
from poolsite.filecoin.actors.exitcodes import exit_code_text
from poolsite.filecoin.amounts import fil_format

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

BY_ITSELF: Final[dict[str, StrOrPromise]] = {
    Wait.NONE: _("nothing more"),
    Wait.NEXT_HEAD: _("it will be selected on the next head"),
    Wait.APPROVAL: _("nothing: it has no nonce and holds up no other message until another person decides"),
    Wait.QUOTA: _("it will be selected once an earlier message of the sender has landed"),
    Wait.BASE_FEE_GATE: _("it will be selected when the base fee falls to the limit"),
    Wait.HELD: _("it will be selected when the base fee falls, or when its hold period ends"),
    Wait.GAS_CAP: _("retries automatically with back-off; sent when fees drop below the cap"),
    Wait.DAILY_BUDGET: _("it will be selected when the budget resets at midnight UTC or is raised"),
    Wait.FUNDS: _("retries automatically with back-off, and as soon as the balance rises"),
    Wait.NO_ACTOR: _("it will be selected on the first head after the address is funded"),
    Wait.ESTIMATE: (
        _(
            "retries automatically with back-off, at most 60 epochs apart; after eight refusals by an actor "
            "it fails and is never signed"
        )
    ),
    Wait.FEE_LIMIT: _("retries automatically with back-off; sent when the base fee drops below its cap"),
    Wait.SIGNER_AWAY: _("it will be signed on the first head after the signer reconnects"),
    Wait.OFFLINE: _("nothing: it is published once its signature is imported"),
    Wait.SIGNED_BEFORE: _("it continues once the chain shows what happened to the nonce it was signed with"),
    Wait.RECOVERY: _("it will be selected once the pool has read back what was sent since the backup"),
    Wait.POLICY: _("retries automatically with back-off; it keeps failing until its cause is fixed"),
    Wait.STOPPED: _("nothing until the sender is started again"),
    Wait.OTHER_PROGRAM: _("nothing until somebody lets the pool send, on the sender's page"),
    Wait.EARLIER_NONCE: _("it can land once the earlier message has landed"),
    Wait.FEE_CAP: _("it lands when the base fee falls below its fee cap"),
    Wait.IN_POOL: _("a block will include it, usually the next one"),
    Wait.NODE_REFUSES: _("it is resubmitted to every node on each head"),
    Wait.NODE_AWAY: _("it is resubmitted on the first head after the nodes are back"),
    Wait.EXPIRED: _("nothing: it failed"),
    Wait.NONCE_TAKEN: _("nothing: push it again unless another message was sent in its place"),
}
"""What happens next without any action."""

ACTIONS: Final[dict[str, tuple[str, ...]]] = {
    Wait.NEXT_HEAD: ("mark-bad",),
    Wait.FUNDS: ("fund", "retry-now", "mark-bad"),
    Wait.NO_ACTOR: ("fund", "mark-bad"),
    Wait.ESTIMATE: ("retry-now", "mark-bad"),
    Wait.FEE_LIMIT: ("raise-fee", "fee-rules", "retry-now", "mark-bad"),
    Wait.BASE_FEE_GATE: ("fee-rules", "mark-bad"),
    Wait.HELD: ("fee-rules", "mark-bad"),
    Wait.GAS_CAP: ("fee-rules", "retry-now", "mark-bad"),
    Wait.DAILY_BUDGET: ("fee-rules", "mark-bad"),
    Wait.APPROVAL: ("approve", "mark-bad"),
    Wait.QUOTA: ("quota", "mark-bad"),
    Wait.SIGNER_AWAY: ("mark-bad",),
    Wait.OFFLINE: ("mark-bad",),
    Wait.SIGNED_BEFORE: ("mark-bad",),
    Wait.RECOVERY: ("mark-bad",),
    Wait.POLICY: ("retry-now", "policy", "mark-bad"),
    Wait.STOPPED: ("start-sender", "mark-bad"),
    Wait.OTHER_PROGRAM: ("send-too", "mark-bad"),
    Wait.FEE_CAP: ("replace", "cancel", "mark-bad"),
    Wait.NODE_REFUSES: ("replace", "republish", "cancel", "mark-bad"),
    Wait.NODE_AWAY: ("republish", "cancel", "mark-bad"),
    Wait.IN_POOL: ("replace", "republish", "cancel"),
    Wait.EARLIER_NONCE: ("replace-earlier", "cancel", "mark-bad"),
    Wait.NONCE_TAKEN: ("push-again", "mark-bad"),
}
"""What a person can do, best first; nothing that cannot help."""

BY_CAUSE: Final[dict[Cause, tuple[StrOrPromise, tuple[str, ...]]]] = {
    Cause.LIMIT: (_("it is refused again until the signer's policy allows it"), ("policy", "mark-bad")),
    Cause.FEE: (
        _("it is refused again until the signer's policy allows it, or its gas costs less"),
        ("policy", "lower-fee", "mark-bad"),
    ),
    Cause.DAY: (
        _("retries automatically with back-off; the sum of a day begins anew at midnight UTC"),
        ("policy", "mark-bad"),
    ),
    Cause.NO_RULE: (_("it is refused again until the signer's policy allows it"), ("policy", "mark-bad")),
    Cause.GRANT: (_("it is refused again until its tenant may use the address"), ("grant", "mark-bad")),
    Cause.OTHER_SIGNED: (_("it is refused again: push it under another id"), ("mark-bad",)),
    Cause.ACTOR: (
        _(
            "retries automatically with back-off, at most 60 epochs apart; after eight refusals by an actor "
            "it fails and is never signed"
        ),
        ("mark-bad",),
    ),
    Cause.GAS: (_("it is refused again: push it with another gas limit"), ("mark-bad",)),
}
"""What happens next, and what a person can do, where the exact cause decides it."""


NOTHING_BY_ITSELF: Final = (
    Wait.NONE,
    Wait.STOPPED,
    Wait.OTHER_PROGRAM,
    Wait.EXPIRED,
    Wait.APPROVAL,
    Wait.NONCE_TAKEN,
    Wait.OFFLINE,
)


SAID_ALONE: Final = (
    Wait.SIGNER_AWAY,
    Wait.SIGNED_BEFORE,
    Wait.EXPIRED,
    Wait.NONCE_TAKEN,
    Wait.NO_ACTOR,
)
"""Reasons of which the row says more than their name does, and all of it."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Why one message waits."""

    reason: Wait
    evidence: dict[str, Any] = field(default_factory=dict)
    """Figures by name; amounts as text in FIL or attoFIL."""
    next_epoch: int | None = None
    """When it is tried again, or may land; None where that takes an action."""
    refusal: Refusal = field(default_factory=lambda: Refusal(""))
    """What its signer, its trial or a node said."""

    @property
    def text(self) -> str:
        """The exact cause as a sentence; of a message that the chain refused, what its exit code means."""
        code = self.evidence.get("exit_code")
        if code is None:
            return self._cause_text()
        sentence = gettext("it failed on chain with exit code {exit_code}: {meaning}").format(
            exit_code=code, meaning=shown_text(self.evidence["text"])
        )
        if actor := self.evidence.get("actor"):
            return gettext("{text}; the actor said: {actor}").format(text=sentence, actor=shown_text(actor))
        return sentence

    @property
    def is_refused(self) -> bool:
        """Return whether the chain refused it."""
        return "exit_code" in self.evidence

    def _cause_text(self) -> str:
        """Return the figures where they say it all, else the reason with what was said."""
        if self.refusal.rule or self.refusal.cause == Cause.NO_RULE:
            return shown_text(self.refusal.text)
        if "gap" in self.evidence:
            return gettext("nonce {gap} of the sender is missing, and {nonce} waits behind it").format(
                gap=self.evidence["gap"], nonce=self.evidence["nonce"]
            )
        if "earlier_nonce" in self.evidence:
            return gettext(
                "an earlier message of the sender must land first, that with nonce {nonce}"
            ).format(nonce=self.evidence["earlier_nonce"])
        if "fee_cap" in self.evidence:
            return gettext("its fee cap of {fee_cap} is below the base fee of {base_fee}").format(
                fee_cap=fee_text(int(self.evidence["fee_cap"])),
                base_fee=fee_text(int(self.evidence["base_fee"])),
            )
        if "quota" in self.evidence:
            return gettext("the sender has {in_flight} messages in flight, and may have {quota}").format(
                in_flight=self.evidence["in_flight"], quota=self.evidence["quota"]
            )
        reason_text = shown_text(self.refusal.text)
        if self.reason == Wait.NONE:
            return reason_text
        if self.reason == Wait.APPROVAL:
            reason_text = shown_text(self.evidence["rule"])
        if reason_text and self.reason in SAID_ALONE:
            return reason_text
        return colon_text(self.reason.label, reason_text) if reason_text else str(self.reason.label)

    @property
    def by_itself(self) -> str:
        """Return what happens next."""
        if "exit_code" in self.evidence:
            return gettext("nothing: its nonce and gas are spent; push a new message to try again")
        if self.refusal.cause is not None:
            return str(BY_CAUSE[self.refusal.cause][0])
        if self.evidence.get("is_filled"):
            return gettext("the pool sends a transfer of nothing with the missing nonce, then it can land")
        return str(BY_ITSELF[self.reason])

    @property
    def actions(self) -> tuple[str, ...]:
        """Return what a person could do."""
        if self.refusal.cause is not None:
            return BY_CAUSE[self.refusal.cause][1]
        found = ACTIONS.get(self.reason, ())
        if self.reason == Wait.EARLIER_NONCE and "earlier_id" not in self.evidence:
            return tuple(one for one in found if one != "replace-earlier")
        return found


def message_diagnose(message: Message, *, head: Head | None) -> Diagnosis:
    """Find why `message` has not moved, and when it may."""
    found = _found(message, head=head)
    refusal = refusal_read(message) if found.reason == message.wait else Refusal("")
    if message.is_final or (refusal.cause is Cause.GRANT and _is_granted(message)):
        refusal = replace(refusal, cause=None)  # nothing helps any more, or an attempt does now
    return replace(found, next_epoch=_next_epoch(found.reason, message, head=head), refusal=refusal)


def rows_diagnose(rows: Collection[Message]) -> dict[str, Diagnosis]:
    """Return, by id, why messages are where they are as far as their own rows tell, with one query for all.

    Figures of their senders, guards and nonces differ between messages of one cause and are left out.
    """
    refusals = {row.pk: Refusal("") if row.is_final else refusal_read(row) for row in rows}
    barred = [row for row in rows if refusals[row.pk].cause is Cause.GRANT]
    granted = signers_granted({_granted_pair(row) for row in barred}) if barred else set()
    found: dict[str, Diagnosis] = {}
    for row in rows:
        refusal = refusals[row.pk]
        evidence: dict[str, Any] = {}
        if refusal.cause is Cause.GRANT and _granted_pair(row) in granted:
            refusal = replace(refusal, cause=None)
        if row.state == MessageState.LANDED and row.exit_code:
            evidence = {"exit_code": row.exit_code, "text": exit_code_text(row.exit_code)}
            evidence |= {"actor": row.error} if row.error else {}
        reason = Wait.APPROVAL if row.needs_approval else Wait(row.wait)
        found[row.pk] = Diagnosis(reason, evidence, refusal=refusal)
    return found


def _granted_pair(row: Message) -> tuple[int, str]:
    return row.tenant_id or 0, address_canonical(row.from_addr)


def attempts_barred(rows: Collection[Message]) -> dict[str, str]:
    """Return, by id, why another attempt of a waiting message cannot help, of those for which that is known.

    Whatever the message waits for otherwise, an attempt at once does no harm.
    """
    waiting = [row for row in rows if row.state == MessageState.UNFILLED]
    return {
        key: colon_text(shown_text(found.refusal.text), found.by_itself)
        if found.refusal.text
        else found.by_itself
        for key, found in rows_diagnose(waiting).items()
        if found.refusal.cause is not None and "retry-now" not in found.actions
    }


def _is_granted(message: Message) -> bool:
    """Return whether its tenant may use its sender by now."""
    return signer_granted(tenant_id=message.tenant_id or 0, address=message.from_addr)


def _next_epoch(reason: Wait, message: Message, *, head: Head | None) -> int | None:
    """Return the epoch at which something happens by itself."""
    if head is None or reason in NOTHING_BY_ITSELF:
        return None
    rest = message.retry_height if message.state == MessageState.UNFILLED else 0
    return max(rest, head.height + 1)


def _found(message: Message, *, head: Head | None) -> Diagnosis:
    sender = Sender.objects.filter(address=message.from_addr).first()
    if message.state == MessageState.UNFILLED:
        if message.needs_approval:
            return Diagnosis(Wait.APPROVAL, _approval_evidence(message))
        return _unfilled(message, sender, head=head)
    if message.state == MessageState.FILLED:
        return _filled(message, sender, head=head)
    if message.state == MessageState.LANDED and message.exit_code:
        text = exit_code_text(message.exit_code, actor=receiver_kinds([message.to]).get(message.to, ""))
        evidence = {"exit_code": message.exit_code, "text": text}
        return Diagnosis(Wait.NONE, evidence | ({"actor": message.error} if message.error else {}))
    if message.wait == Wait.NONCE_TAKEN:
        return Diagnosis(Wait.NONCE_TAKEN, {"nonce": message.nonce, "text": message.error})
    if message.wait == Wait.EXPIRED:
        return Diagnosis(Wait.EXPIRED, {"expire_epoch": message.expire_epoch})
    return Diagnosis(Wait.NONE)


def _unfilled(message: Message, sender: Sender | None, *, head: Head | None) -> Diagnosis:
    """Without a nonce: what holds the whole sender up goes before what holds this message up."""
    if sender is not None and (hold := _hold_of(sender, message)):
        return Diagnosis(hold, {"address": sender.address})
    is_quota = message.wait == Wait.QUOTA or (
        message.wait in ("", Wait.NEXT_HEAD) and sender is not None and sender.wait == Wait.QUOTA
    )
    if is_quota and sender is not None:
        return Diagnosis(Wait.QUOTA, _quota_evidence(sender))
    reason = Wait(message.wait or Wait.NEXT_HEAD)
    evidence: dict[str, Any] = {"attempts": message.attempts} if message.attempts else {}
    if message.error:
        evidence["text"] = message.error
    if message.retry_height and head is not None and message.retry_height > head.height:
        evidence["next_try_height"] = message.retry_height
    if reason == Wait.FUNDS and sender is not None and sender.balance is not None:
        evidence["balance"] = fil_format(sender.balance)
    if reason in (Wait.BASE_FEE_GATE, Wait.HELD, Wait.FEE_LIMIT, Wait.GAS_CAP) and head is not None:
        evidence["base_fee"] = str(head.base_fee)
    if reason == Wait.NEXT_HEAD:
        evidence["pushed_height"] = message.pushed_height
    if reason in (Wait.HELD, Wait.DAILY_BUDGET) and head is not None:
        evidence |= _guard_evidence(message, reason, head=head)
    return Diagnosis(reason, evidence)


def _hold_of(sender: Sender, message: Message) -> Wait:
    """Return what holds up all that a sender sends; of another program's sender, all that is not pressing."""
    if sender.state == SenderState.FORBIDDEN:
        return Wait.STOPPED
    if sender.nonces_by == NoncesBy.OTHER and message.priority not in PRESSING:
        return Wait.OTHER_PROGRAM
    return Wait(sender.wait) if sender.wait in (Wait.NO_ACTOR, Wait.OFFLINE) else Wait.NONE


def _approval_evidence(message: Message) -> dict[str, Any]:
    """Return what made it wait, who pushed it, and who may decide."""
    approval = approval_of(message)
    return {
        "rule": "" if approval is None else approval.rule,
        "pushed_by": message.pushed_by,
        "approvers": approvers_of(message),
    }


def _guard_evidence(message: Message, reason: Wait, *, head: Head) -> dict[str, Any]:
    """Return the figures of the guard that holds a message."""
    guards = list(GasGuard.objects.order_by("pk"))
    kind = receiver_kinds([message.to]).get(message.to, "") if guards else ""
    choice = guard_choose(message, guards=guards, receiver=kind)
    base_fee = int(head.base_fee)
    if reason == Wait.HELD:
        hold = choice.holding(base_fee=base_fee, height=head.height)
        return {} if hold is None else {"held_above": str(hold.base_fee), "held_until": hold.until or None}
    spent = guards_spent(choice.budgets, base_fee=base_fee, now=clock.now())
    tightest = min(choice.budgets, key=lambda row: int(row.daily_budget) - spent[row.pk], default=None)
    if tightest is None:
        return {}
    return {"budget": fil_format(int(tightest.daily_budget)), "spent_today": fil_format(spent[tightest.pk])}


def _quota_evidence(sender: Sender) -> dict[str, Any]:
    flight = Message.objects.filter(from_addr=sender.address, state=MessageState.FILLED).count()
    return {"in_flight": flight, "quota": sender.quota or shared_rules_load().quota}


def _filled(message: Message, sender: Sender | None, *, head: Head | None) -> Diagnosis:
    """With a nonce: the node's refusal, then an earlier nonce, then the fee cap, else it is on its way."""
    evidence: dict[str, Any] = {"nonce": message.nonce, "published": message.published_at is not None}
    if message.is_exported:
        return Diagnosis(Wait.OFFLINE, {"nonce": message.nonce})
    if message.wait in (Wait.NODE_REFUSES, Wait.NODE_AWAY):
        return Diagnosis(Wait(message.wait), {**evidence, "text": message.error})
    base_fee = int(head.base_fee) if head is not None else 0
    earlier = (
        Message.objects.filter(
            from_addr=message.from_addr, state=MessageState.FILLED, nonce__lt=message.nonce or 0
        )
        .order_by("nonce")
        .first()
    )
    if sender is not None and sender.gap_nonce is not None and sender.gap_nonce < (message.nonce or 0):
        gap = {"gap": sender.gap_nonce, "is_filled": not sender.is_offline}
        return Diagnosis(Wait.EARLIER_NONCE, evidence | gap)
    if earlier is not None:
        stuck = earlier.is_exported or earlier.wait == Wait.NODE_REFUSES or earlier.gas_fee_cap < base_fee
        if stuck:
            evidence["earlier_nonce"] = earlier.nonce
            if earlier.tenant_id == message.tenant_id:  # another tenant's message id is not disclosed
                evidence["earlier_id"] = earlier.push_id
            return Diagnosis(Wait.EARLIER_NONCE, evidence)
    if message.gas_fee_cap < base_fee:
        return Diagnosis(
            Wait.FEE_CAP, {**evidence, "fee_cap": str(message.gas_fee_cap), "base_fee": str(base_fee)}
        )
    return Diagnosis(Wait.IN_POOL, evidence)
