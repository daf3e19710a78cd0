"""Recovery: why nothing is signed after a restore, and deciding about messages on chain without a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect

from apps.chain.client import chain_client
from apps.core import clock
from apps.core.errors import BadValue, DomainError
from apps.dashboard.confirm_page import ConfirmPage, confirm_page_render, is_confirm_submitted
from apps.dashboard.fragments.recovery import context_of
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.sessions import sign_in_required
from apps.messages.selectors.recovery import unmatched_get
from apps.messages.services.recovery.restore import recovery_end, unmatched_decide

if TYPE_CHECKING:
    from apps.users.principals import Principal

OUTSIDE: Final = "outside"
"""Value of the choice that a message was sent outside the pool."""
END: Final = ConfirmPage(
    title="End recovery",
    text="What was not read back yet may then be paid or sealed a second time. Go on only if you know that "
    "nothing was sent or sealed since the backup.",
    label="End recovery",
    back="/recovery/",
    page="Recovery",
    section="messages",
    kept=(("end", "1"),),
)


@sign_in_required
def recovery(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Show what is left to do, and take a decision; the operator's alone."""
    if not viewer.is_operator:
        raise Http404
    error = ""
    if request.method == "POST":
        if not viewer.may("admin"):
            raise Http404
        if request.POST.get("end") == "1" and not is_confirm_submitted(request):
            return confirm_page_render(request, viewer, END)
        try:
            _decide(request, viewer)
        except DomainError as refusal:
            error = refusal.reason
        else:
            return redirect("recovery")
    return _page(request, viewer, error)


def _decide(request: HttpRequest, viewer: Principal) -> None:
    """Do what a form asks.  Raises DomainError."""
    if request.POST.get("end") == "1":
        recovery_end(principal=viewer, now=clock.now())
        return
    chosen = request.POST.get("message", "")
    if not chosen:
        raise BadValue("choose which message it is", field="message")
    row = unmatched_get(request.POST.get("cid", ""))
    unmatched_decide(
        principal=viewer,
        row=row,
        message_id="" if chosen == OUTSIDE else chosen,
        client=chain_client(),
        now=clock.now(),
    )


def _page(request: HttpRequest, viewer: Principal, error: str) -> HttpResponse:
    return page_render(
        request,
        "recovery/page.html",
        title="Recovery",
        section="messages",
        page_key="recovery",
        data=PageData(viewer),
        status=422 if error else 200,
        may_decide=viewer.may("admin"),
        error=error,
        **context_of(),
    )
