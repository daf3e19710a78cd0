"""A message's diagnosis as the page shows it: the doctor's finding, then what the chain would check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.urls import reverse
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.core import formatting
from apps.core.languages import sentence_text
from apps.dashboard.cards import Check
from apps.dashboard.pages.messages.diagnosis_checks import evidence_checks, limit_checks, message_checks
from apps.dashboard.pages.messages.rows import URGENT_WAITS, USUAL_WAITS
from apps.messages.selectors.diagnosis import message_diagnose
from apps.messages.selectors.remedies import message_remedies
from apps.messages.selectors.stuck import LATE_EPOCHS
from apps.messages.states import MessageState, Wait
from apps.wallets.selectors import wallets_visible
from poolsite.filecoin.actors.exitcodes import exit_code_text

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from apps.dashboard.page_data import PageData
    from apps.messages.models import Message
    from apps.messages.selectors.diagnosis import Diagnosis
    from apps.messages.selectors.remedies import Remedy


@dataclass(frozen=True, slots=True)
class Finding:
    """Why a message waits, in one sentence, and what happens without a click."""

    tone: str
    title: str
    text: str
    action: str = ""
    href: str = ""


def finding_of(message: Message, data: PageData) -> tuple[Finding | None, tuple[Check, ...]]:
    """Diagnose a message: the sentence and the lines below it; nothing for one that has its end."""
    if message.state == MessageState.LANDED and message.exit_code:
        return refusal_of(message), ()
    if message.is_final and message.wait not in (Wait.EXPIRED, Wait.NONCE_TAKEN):
        return None, ()
    diagnosis = message_diagnose(message, head=data.head)
    checks: tuple[Check, ...] = ()
    if not message.is_final:
        clicks = message_remedies(message, diagnosis, head=data.head)
        checks = (
            *message_checks(message, data),
            *limit_checks(message, diagnosis, data),
            *evidence_checks(diagnosis),
            *(click_check(click) for click in clicks),
        )
    return finding_late(message, diagnosis, data) or finding(diagnosis, message, data), tuple(checks)


def finding_late(message: Message, diagnosis: Diagnosis, data: PageData) -> Finding | None:
    """Return the note that blocks pass over a message that pays enough and is in flight for long."""
    since = message.published_at
    if diagnosis.reason != Wait.IN_POOL or since is None or data.head is None or data.network is None:
        return None
    age_s = (data.head.arrived_at - since).total_seconds()
    if age_s < LATE_EPOCHS * data.network.epoch_s:
        return None
    held = gettext("Not included in a block for {age_s}, although its fee cap is above the base fee.").format(
        age_s=formatting.time_left(age_s)
    )
    return Finding(
        tone="warn",
        title=held,
        text=gettext(
            "Blocks may be full of messages with a higher premium, or the nodes do not propagate it."
            " Raise its fees, publish it again, and check the nodes (page Chain)."
        ),
    )


def refusal_of(message: Message) -> Finding:
    """Return why the chain refused a message that landed."""
    text = gettext(exit_code_text(message.exit_code))
    return Finding(
        tone="bad",
        title=gettext("It failed on chain with exit code {exit_code}.").format(exit_code=message.exit_code),
        text=gettext("{first}{rest}. Its nonce and gas are spent; send a new message.").format(
            first=text[:1].upper(), rest=text[1:]
        ),
    )


def when_text(diagnosis: Diagnosis, data: PageData) -> str:
    """Return when something happens by itself; empty where nobody knows."""
    if diagnosis.next_epoch is None or data.head is None:
        return ""
    epochs = diagnosis.next_epoch - data.head.height
    if epochs <= 1 or data.network is None:
        return gettext(" Next check: epoch {next_epoch}, the next head.").format(
            next_epoch=formatting.whole(diagnosis.next_epoch)
        )
    in_text = formatting.time_left(epochs * data.network.epoch_s)
    return gettext(" Next check: epoch {next_epoch}, in about {in_text}.").format(
        next_epoch=formatting.whole(diagnosis.next_epoch), in_text=in_text
    )


def finding(diagnosis: Diagnosis, message: Message, data: PageData) -> Finding:
    """Put a diagnosis into the page's words."""
    tone = "run"
    if diagnosis.reason in URGENT_WAITS:
        tone = "bad"
    elif diagnosis.reason not in USUAL_WAITS:
        tone = "warn"
    earlier = str(diagnosis.evidence.get("earlier_id", ""))
    action, href = (gettext("Open that message"), reverse("message", args=[earlier])) if earlier else ("", "")
    held = wallets_visible(data.viewer).filter(address=message.from_addr)
    if diagnosis.reason == Wait.POLICY and held.exists():
        action, href = gettext("Open the signing policy"), reverse("policy", args=[message.from_addr])
    if diagnosis.reason == Wait.FEE_LIMIT and data.viewer.may("sign"):
        action, href = gettext("Raise fee…"), reverse("message-replace", args=[message.id])
    if diagnosis.reason == Wait.NONCE_TAKEN and data.viewer.may("sign"):
        action, href = gettext("Push again…"), reverse("message-push-again", args=[message.id])
    if diagnosis.reason == Wait.APPROVAL and data.viewer.may("sign"):
        action, href = gettext("Review…"), reverse("message-approve", args=[message.id])
    return Finding(
        tone=tone,
        title=sentence_text(capfirst(diagnosis.text)),
        text=gettext("What happens next: {by_itself}.{diagnosis}").format(
            by_itself=diagnosis.by_itself, diagnosis=when_text(diagnosis, data)
        ),
        action=action,
        href=href,
    )


CLICKS: Final[dict[str, StrOrPromise]] = {
    "approve": _("If you review it"),
    "fund": _("If you fund the sender"),
    "raise-fee": _("If you raise its fee"),
    "fee-rules": _("If you change fee rules or guards"),
    "quota": _("If you raise the sender's quota"),
    "start-sender": _("If you resume the sender"),
    "send-too": _("If you let the pool send"),
    "republish": _("If you publish it again"),
    "replace": _("If you raise its fees"),
    "replace-earlier": _("If you replace the earlier one"),
    "cancel": _("If you cancel it"),
    "push-again": _("If you push it again"),
    "retry-now": _("Retry now"),
    "mark-bad": _("If you mark it as failed"),
}
"""Actions as the first words of a sentence."""


def click_check(click: Remedy) -> Check:
    """Return what an action would do, and what it costs at most."""
    cost = (
        ""
        if click.cost is None
        else gettext(", for at most {cost} FIL").format(cost=formatting.fil(click.cost))
    )
    return Check(CLICKS[click.action], f"{click.does}{cost}", "idle", "")
