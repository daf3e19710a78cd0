"""What people do to a message on its way: publish again, try now, cancel, give up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from apps.chain.node.client import chain_client
from apps.chain.selectors.heads import head_current
from apps.core.clock import now
from apps.core.errors import BadValue, DomainError
from apps.dashboard.forms import PageForm, form_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.messages.detail import message_detail, message_or_404, message_page
from apps.dashboard.reauthentication import reauthenticate_first
from apps.dashboard.refusals import refusal_text
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.text_fields import Text
from apps.messages.services.cancel import message_cancel, message_mark_bad
from apps.messages.services.offline import export_withdraw
from apps.messages.services.publish import message_republish, messages_publish
from apps.messages.services.replace import version_require
from apps.messages.services.retry import message_retry_now
from apps.messages.services.taken_nonces import message_push_again
from apps.messages.states import MessageState
from apps.users.rules.principals import Principal

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from apps.chain.models import Head
    from apps.messages.models import Message


def head_needed() -> Head:
    """Return the newest head.  Raises BadValue before the first one."""
    head = head_current()
    if head is None:
        raise BadValue(gettext("there is no chain head yet"))
    return head


def signer_only(viewer: Principal) -> None:
    """Refuse whoever may not sign: this costs money."""
    if not viewer.may("sign"):
        raise Http404


def answer(request: HttpRequest, viewer: Principal, key: str, *, error: str) -> HttpResponse:
    """Show what became of a click: the page, or only its head to htmx."""
    is_htmx = getattr(request, "htmx", False)
    if not error and not is_htmx:
        return redirect("message", key)
    row = message_or_404(viewer, key)
    if not is_htmx:
        return message_page(request, viewer, row, error=error)
    detail = message_detail(row, PageData(viewer))
    return render(
        request, "messages/_state.html", {"message": detail, "error": error}, status=422 if error else 200
    )


@require_POST
@sign_in_required
def republish(request: HttpRequest, viewer: Principal, key: str) -> HttpResponse:
    """Publish a message in flight to every node again."""
    row = message_or_404(viewer, key)
    signer_only(viewer)
    error = ""
    if row.state != MessageState.FILLED:
        error = gettext("only a message in flight can be published again")
    else:
        published = message_republish(message=row, now=now(), by=viewer)
        refused = published.refused.get(row.pk, gettext("no node answers"))
        error = "" if row.pk in published.accepted else refused
    return answer(request, viewer, key, error=error)


@require_POST
@sign_in_required
def retry_now(request: HttpRequest, viewer: Principal, key: str) -> HttpResponse:
    """Retry a message that backs off after a failure at once."""
    row = message_or_404(viewer, key)
    signer_only(viewer)
    error = ""
    try:
        message_retry_now(message=row, now=now(), by=viewer)
    except DomainError as refusal:
        error = refusal_text(refusal)
    return answer(request, viewer, key, error=error)


@sign_in_required
def cancel(request: HttpRequest, viewer: Principal, key: str) -> HttpResponse:
    """Cancel a message by an empty one with its nonce, after a confirmation."""
    row = message_or_404(viewer, key)
    signer_only(viewer)
    form = PageForm.of(request)
    if form.is_valid():
        with form.refusals():
            made = message_cancel(
                message=row, client=chain_client(), head=head_needed(), now=now(), by=viewer
            )
            messages_publish([made.pk], now=now())
            return redirect("message", key)
    return asking_page(
        request, viewer, row, form, template="messages/cancel.html", title=_("Cancel a message")
    )


@sign_in_required
def push_again(request: HttpRequest, viewer: Principal, key: str) -> HttpResponse:
    """Push a message again whose nonce another one used, after a confirmation."""
    row = message_or_404(viewer, key)
    signer_only(viewer)
    form = PageForm.of(request)
    if form.is_valid():
        with form.refusals():
            message_push_again(message=row, client=chain_client(), head=head_needed(), now=now(), by=viewer)
            return redirect("message", key)
    return asking_page(
        request, viewer, row, form, template="messages/push_again.html", title=_("Push a message again")
    )


class VersionForm(PageForm):
    """The version of a message of which something was asked: its CID, empty before it is signed."""

    cid = Text()


@sign_in_required
def mark_bad(request: HttpRequest, viewer: Principal, key: str) -> HttpResponse:
    """Mark a message failed, after a confirmation of what that means to the version that it showed."""
    row = message_or_404(viewer, key)
    signer_only(viewer)
    form = VersionForm.of(request)
    if form.is_valid():
        with form.refusals():
            version_require(row, cids=(form.cleaned_data["cid"],))
            message_mark_bad(message=row, now=now(), by=viewer)
            return redirect("message", key)
    return asking_page(
        request, viewer, row, form, template="messages/mark_bad.html", title=_("Mark a message as failed")
    )


@sign_in_required
def withdraw_export(request: HttpRequest, viewer: Principal, key: str) -> HttpResponse:
    """Withdraw an exported message, after a review of what that means."""
    row = message_or_404(viewer, key)
    signer_only(viewer)
    form = PageForm.of(request)
    if form.is_bound and (held := reauthenticate_first(request, viewer)) is not None:
        return held
    if form.is_valid():
        with form.refusals():
            export_withdraw(principal=viewer, message=row, now=now())
            return redirect("offline")
    return asking_page(
        request, viewer, row, form, template="messages/withdraw.html", title=_("Withdraw an export")
    )


def asking_page(
    request: HttpRequest,
    viewer: Principal,
    row: Message,
    form: PageForm,
    *,
    template: str,
    title: StrOrPromise,
) -> HttpResponse:
    """Render the question before something that cannot be taken back."""
    data = PageData(viewer)
    return form_render(
        request,
        viewer,
        template,
        form,
        title=title,
        section="messages",
        data=data,
        message=message_detail(row, data),
        is_signed=row.nonce is not None,
        cid=row.cid,
        error=form.why,
    )


urlpatterns: Final = [
    path("message/republish/<path:key>/", republish, name="message-republish"),
    path("message/retry-now/<path:key>/", retry_now, name="message-retry-now"),
    path("message/cancel/<path:key>/", cancel, name="message-cancel"),
    path("message/push-again/<path:key>/", push_again, name="message-push-again"),
    path("message/mark-bad/<path:key>/", mark_bad, name="message-mark-bad"),
    path("message/withdraw-export/<path:key>/", withdraw_export, name="message-withdraw-export"),
]
