"""One message with its history and diagnosis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.http import urlencode
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from apps.checks.report.objects import report_of_message
from apps.core import formatting
from apps.core.errors import NotFound
from apps.dashboard.cards import Action, Check, Event, Fact
from apps.dashboard.fragments import FragmentContext, LivePage, fragment
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.messages.diagnosis import Finding, finding_of
from apps.dashboard.pages.messages.facts import chain_facts, param_facts
from apps.dashboard.pages.messages.history import history_of
from apps.dashboard.pages.messages.rows import message_label, message_why
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.todo import ObjectFindings, found_of
from apps.messages.errors import MessageIdAmbiguous, MessageNotFound
from apps.messages.rules.methods import method_text
from apps.messages.selectors.messages import message_get
from apps.messages.selectors.stuck import stuck_mark
from apps.messages.states import MessageState, Wait

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django_stubs_ext import StrOrPromise

    from apps.messages.models import Message
    from apps.users.rules.principals import Principal


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
    finding, checks = finding_of(message, data)
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
        actions=message_actions(message, data.viewer),
    )


def message_actions(message: Message, viewer: Principal) -> tuple[Action, ...]:
    """Return what a person can do about a message now."""
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
        return (
            Action(
                "replace", _("Raise its fees"), f"{reverse('message-replace', args=here)}?cid={message.cid}"
            ),
            Action("fees", _("Choose fees…"), reverse("message-replace", args=here), opens_page=True),
            Action("republish", _("Publish again"), reverse("message-republish", args=here)),
            Action(
                "cancel", _("Cancel…"), reverse("message-cancel", args=here), kind="danger", opens_page=True
            ),
            mark_failed,
        )
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
    return (retry_now, fee, mark_failed) if message.attempts else (fee, mark_failed)


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
