"""One message with its history and diagnosis."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.http import urlencode
from django.utils.text import capfirst
from django.utils.translation import gettext, pgettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from apps.checks.report.objects import report_of_message
from apps.core import formatting
from apps.core.errors import NotFound
from apps.core.languages import sentence_text
from apps.core.reasons import shown_text
from apps.dashboard.cards import Action, Check, Event, Fact
from apps.dashboard.fragments import FragmentContext, LivePage, fragment
from apps.dashboard.html_time import time_html
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.messages.diagnosis_checks import (
    CAUSES,
    UNHINDERED,
    cause_check,
    evidence_checks,
    limit_checks,
    message_checks,
    policy_href,
)
from apps.dashboard.pages.messages.facts import chain_facts, param_facts
from apps.dashboard.pages.messages.rows import URGENT_WAITS, USUAL_WAITS, message_label, message_why
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.todo import ObjectFindings, found_of
from apps.messages.errors import MessageIdAmbiguous, MessageNotFound
from apps.messages.rules.causes import error_words
from apps.messages.rules.methods import method_text
from apps.messages.selectors.diagnosis import Diagnosis, message_diagnose
from apps.messages.selectors.messages import message_events, message_get
from apps.messages.selectors.remedies import Remedy, message_remedies
from apps.messages.selectors.stuck import LATE_EPOCHS, stuck_mark
from apps.messages.states import ATTEMPT, MessageState, Wait
from apps.users.rules.principals import Principal

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from apps.messages.models import Message, MessageEvent


@dataclass(frozen=True, slots=True)
class Finding:
    """Why a message waits, in one sentence, and what happens without a click."""

    tone: str
    title: str
    text: str
    action: StrOrPromise = ""
    href: str = ""


def finding_of(
    message: Message, diagnosis: Diagnosis, data: PageData
) -> tuple[Finding | None, tuple[Check, ...]]:
    """Return why a message is where it is: the sentence and the lines below it; nothing where all is well."""
    if message.has_succeeded or not (diagnosis.reason or diagnosis.text or not message.is_final):
        return None, ()
    cause = cause_check(message, diagnosis, data)
    if message.is_final:
        return finding(diagnosis, message, data), (cause,)
    clicks = message_remedies(message, diagnosis, head=data.head)
    checks = [*message_checks(message, diagnosis, data), *limit_checks(message, diagnosis, data)]
    is_shown = any(check.tone == "bad" for check in checks)
    if diagnosis.reason in CAUSES or not (is_shown or diagnosis.reason in UNHINDERED):
        checks.insert(0, cause)
    checks += [*evidence_checks(diagnosis), *(click_check(click) for click in clicks)]
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
    if diagnosis.reason in URGENT_WAITS or message.state == MessageState.FAILED or diagnosis.is_refused:
        tone = "bad"
    elif diagnosis.reason not in USUAL_WAITS or message.state == MessageState.REPLACED:
        tone = "warn"
    action, href = headline_act(diagnosis, message, data)
    return Finding(
        tone=tone,
        title=sentence_text(capfirst(diagnosis.text)),
        text=gettext("What happens next: {by_itself}.{diagnosis}").format(
            by_itself=diagnosis.by_itself, diagnosis=when_text(diagnosis, data)
        ),
        action=action,
        href=href,
    )


def headline_act(diagnosis: Diagnosis, message: Message, data: PageData) -> tuple[StrOrPromise, str]:
    """Return the one act that ends the cause, and its page; empty where the viewer has none."""
    if earlier := str(diagnosis.evidence.get("earlier_id", "")):
        return gettext("Open that message"), reverse("message", args=[earlier])
    if "policy" in diagnosis.actions and (href := policy_href(diagnosis, message, data)):
        rule = diagnosis.refusal.rule
        return gettext("Change the rule…") if rule else gettext("Open the signing policy"), href
    if not data.viewer.may("sign"):
        return "", ""
    for act in diagnosis.actions:
        if act in HEADLINE_ACTS:
            label, page = HEADLINE_ACTS[act]
            return label, reverse(page, args=[message.id])
    if "fund" in diagnosis.actions:
        query = urlencode({"to": message.from_addr})
        return gettext("Send FIL…"), f"{reverse('message-compose')}?{query}"
    return "", ""


HEADLINE_ACTS: Final[dict[str, tuple[StrOrPromise, str]]] = {
    "raise-fee": (_("Raise fee…"), "message-replace"),
    "push-again": (_("Push again…"), "message-push-again"),
    "approve": (_("Review…"), "message-approve"),
}
"""Acts that end a cause: label and page."""


CLICKS: Final[dict[str, StrOrPromise]] = {
    "approve": _("If you review it"),
    "fund": _("If you fund the sender"),
    "raise-fee": _("If you raise its fee"),
    "fee-rules": _("If you change fee rules or guards"),
    "quota": _("If you raise the sender's quota"),
    "policy": _("If you change the signer's policy"),
    "lower-fee": _("If you limit its fee"),
    "grant": _("If its tenant is granted the address"),
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


def history_of(message: Message) -> Iterable[Event]:
    """Return what happened to it, newest first."""
    rows = [
        _row(
            message.created_at,
            "idle",
            "plus",
            pgettext("event", "Pushed"),
            gettext("by {pushed_by}").format(pushed_by=message.pushed_by or gettext("the pool")),
        ),
    ]
    if message.filled_at is not None:
        first = message.versions.order_by("pk").first() or message
        sub = gettext("nonce {nonce}, fee cap {gas_fee_cap}").format(
            nonce=formatting.whole(message.nonce), gas_fee_cap=formatting.fee_text(first.gas_fee_cap)
        )
        is_unsigned = message.exported_at is not None and not message.signed
        say = gettext("Nonce assigned, exported") if is_unsigned else gettext("Nonce assigned, signed")
        rows.append(_row(message.filled_at, "run", "access", say, sub))
    if message.published_at is not None:
        rows.append(_row(message.published_at, "run", "messages", gettext("Accepted by node")))
    if message.landed_at is not None and message.state == MessageState.LANDED:
        tone = "bad" if message.exit_code else "ok"
        sub = gettext("exit code {exit_code}, gas {gas_used}").format(
            exit_code=message.exit_code, gas_used=formatting.whole(message.gas_used)
        )
        say = gettext("Landed in epoch {height}").format(height=formatting.whole(message.height))
        rows.append(_row(message.landed_at, tone, tone, say, sub))
    rows += [_event(event, method=message.method) for event in message_events(message)]
    return [row for _, row in sorted(rows, key=lambda pair: pair[0], reverse=True)]


def _row(at: datetime, tone: str, icon: str, say: str, sub: str = "") -> tuple[datetime, Event]:
    return at, Event(str(time_html(at)), tone, icon, say, sub)


EVENTS: Final = {
    "approved": _("Approved"),
    ATTEMPT: _("Attempt failed"),
    "cancelled": _("Cancelled"),
    "cancels": _("Cancels"),
    "fee raised": _("Fee raised"),
    "matched": _("Matched"),
    "not approved": _("Not approved"),
    "replaced": _("Replaced"),
    "waits for approval": _("Waits for approval"),
    "taken back": _("Reopened"),
    "signed offline": _("Signature imported"),
    "tried by hand": _("Retried manually"),
    "marked bad": _("Marked as failed"),
}
"""Labels of stored events; the name of one that is not here any more is its own."""


def _event(event: MessageEvent, *, method: int) -> tuple[datetime, Event]:
    name = event.event.replace("_", " ")
    tone, icon = ("warn", "warn") if name == ATTEMPT else ("idle", "info")
    words = shown_text(error_words(event.text, method=method) if name == ATTEMPT else event.text)
    return _row(event.at, tone, icon, str(EVENTS.get(name, name.capitalize())), words)


@dataclass(frozen=True, slots=True)
class MessageDetail:
    """The whole of one message."""

    key: str
    """Unique in the whole pool."""
    push_id: str
    """The caller's id."""
    href: str
    method: str
    tone: str
    word: StrOrPromise
    icon: str
    tags: tuple[str, ...]
    say: str
    found: ObjectFindings
    why: str
    finding: Finding | None
    checks: tuple[Check, ...]
    facts: tuple[Fact, ...]
    params: tuple[Fact, ...]
    history: tuple[Event, ...]
    actions: tuple[Action, ...]


def message_detail(message: Message, data: PageData) -> MessageDetail:
    """Lay out the whole of one message."""
    stuck_mark([message], head=data.head, network=data.network)
    word = message_label(message)
    why, _ = message_why(message)
    names = data.names
    sender = names.wallets.get(message.from_addr) or formatting.shortened(message.from_addr)
    receiver = (
        names.miners.get(message.to) or names.wallets.get(message.to) or formatting.shortened(message.to)
    )
    diagnosis = message_diagnose(message, head=data.head)
    finding, checks = finding_of(message, diagnosis, data)
    tags = (
        gettext("method {method}").format(method=message.method),
        message.kind.replace("_", " "),
        gettext("time-sensitive") if message.time_sensitive else "",
    )
    return MessageDetail(
        key=message.id,
        push_id=message.push_id,
        href=reverse("message", args=[message.id]),
        method=method_text(message.to, message.method, kind=message.kind, miners=names.miners),
        tone=word.tone,
        word=word.word,
        icon=word.sign,
        tags=tuple(tag for tag in tags if tag),
        say=gettext("From {sender} to {receiver}, pushed by {pushed_by}.").format(
            sender=sender, receiver=receiver, pushed_by=message.pushed_by or gettext("the pool")
        ),
        found=found_of(report_of_message(data, message), data),
        why=why,
        finding=finding,
        checks=checks,
        facts=tuple(chain_facts(message)),
        params=tuple(param_facts(message, miners=set(names.miners))),
        history=tuple(history_of(message)),
        actions=message_actions(message, diagnosis, data.viewer),
    )


def message_actions(message: Message, diagnosis: Diagnosis, viewer: Principal) -> tuple[Action, ...]:
    """Return what a person can do about a message now; nothing that cannot help it."""
    if not viewer.may("sign"):
        return ()
    mark_failed = Action(
        "mark-bad",
        _("Mark as failed…"),
        reverse("message-mark-bad", args=[message.id]),
        kind="danger",
        opens_page=True,
    )
    if message.is_exported:
        withdraw = reverse("message-withdraw-export", args=[message.id])
        query = urlencode({"message": message.id})
        sign = f"{reverse('offline-sign', args=[message.from_addr])}?{query}"
        return (
            Action("sign-offline", _("Sign offline…"), sign, kind="primary", opens_page=True),
            Action("import", _("Import its signature…"), reverse("offline"), opens_page=True),
            Action("withdraw", _("Withdraw the export…"), withdraw, kind="danger", opens_page=True),
        )
    if message.state == MessageState.FILLED:
        here = [message.id]
        replace_href = reverse("message-replace", args=here)
        found = (
            Action("replace", _("Raise its fees"), f"{replace_href}?cid={message.cid}"),
            Action("fees", _("Choose fees…"), replace_href, opens_page=True),
            Action("republish", _("Publish again"), reverse("message-republish", args=here)),
            Action(
                "cancel", _("Cancel…"), reverse("message-cancel", args=here), kind="danger", opens_page=True
            ),
        )
        useful = {*diagnosis.actions, *(("fees",) if "replace" in diagnosis.actions else ())}
        return (*(act for act in found if act.key in useful), mark_failed)
    if message.wait == Wait.NONCE_TAKEN:
        again = reverse("message-push-again", args=[message.id])
        return (Action("again", _("Push again…"), again, kind="primary", opens_page=True), mark_failed)
    if message.state != MessageState.UNFILLED:
        return ()
    if message.needs_approval:
        review = reverse("message-approve", args=[message.id])
        return (Action("approve", _("Review…"), review, kind="primary", opens_page=True), mark_failed)
    retry_now = Action("retry-now", _("Retry now"), reverse("message-retry-now", args=[message.id]))
    fee = Action("fees", _("Raise fee…"), reverse("message-replace", args=[message.id]), opens_page=True)
    if message.wait == Wait.OFFLINE:
        export = Action("export", _("Export…"), reverse("offline"), kind="primary", opens_page=True)
        return (export, fee, mark_failed)
    is_retried = message.attempts and "retry-now" in diagnosis.actions
    is_fee = diagnosis.reason in UNHINDERED or not FEE_ACTS.isdisjoint(diagnosis.actions)
    return (*((retry_now,) if is_retried else ()), *((fee,) if is_fee else ()), mark_failed)


FEE_ACTS: Final = frozenset({"raise-fee", "lower-fee", "fee-rules"})
"""Acts for which a message's own fee limits are the place."""


def detail_fragments(context: FragmentContext, row: Message) -> Iterable[str]:
    message = message_detail(row, context.data)
    yield fragment("messages/_state.html", message=message)
    yield fragment("messages/_checks.html", finding=message.finding, checks=message.checks)
    yield fragment(
        "messages/_facts.html", facts=message.facts, title=gettext("On the chain"), key="message-facts"
    )
    yield fragment("sectors/_timeline.html", events=message.history, key="message")


def detail_fragment(context: FragmentContext) -> Iterable[str]:
    """All that changes on a message's page; on a head that is the diagnosis of one that waits."""
    try:
        row = message_get(context.viewer, context.key)
    except (MessageNotFound, MessageIdAmbiguous):
        return
    is_changed = context.has_changed("message", row.pk) or context.has_changed("messages", "all")
    if is_changed or (not row.is_final and {"head", "signer"} & set(context.changed)):
        yield from detail_fragments(context, row)


def message_or_404(viewer: Principal, key: str) -> Message:
    """One message; a stranger's is as absent as one that never was."""
    try:
        return message_get(viewer, key)
    except (NotFound, MessageIdAmbiguous):
        raise Http404 from None


@require_safe
@sign_in_required
def message(request: HttpRequest, viewer: Principal, key: str) -> HttpResponse:
    """One message with its diagnosis and history; the list where several tenants have one of this id."""
    try:
        row = message_get(viewer, key)
    except MessageIdAmbiguous:
        return redirect(f"{reverse('messages')}?{urlencode({'q': key})}")
    except NotFound:
        raise Http404 from None
    return message_page(request, viewer, row)


def message_page(request: HttpRequest, viewer: Principal, row: Message, *, error: str = "") -> HttpResponse:
    """Render a message's page; `error` is what was refused a moment ago."""
    data = PageData(viewer)
    detail = message_detail(row, data)
    return page_render(
        request,
        "messages/detail.html",
        title=detail.method,
        section="messages",
        page_key=f"message:{row.id}",
        data=data,
        act_error=error,
        page_href=reverse("message", args=[row.id]),
        message=detail,
    )


urlpatterns: Final = [
    path("messages/<path:key>/", message, name="message"),
]
LIVE: Final = {
    "message": LivePage(dict.fromkeys(("message", "messages", "head", "signer"), (detail_fragment,)))
}
