"""Recovery: why nothing is signed after a restore, and deciding about messages on chain without a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect

from apps.chain.client import chain_client
from apps.core import clock
from apps.core.errors import DomainError
from apps.core.formatting import amount_words, shortened
from apps.dashboard.frame import page_render
from apps.dashboard.people import for_people
from apps.dashboard.regions.scene import Scene
from apps.messages.models import Message
from apps.messages.selectors.recovery import recovery_row, senders_unread, unmatched_get, unmatched_open
from apps.messages.services.recover import recovery_end, unmatched_decide
from apps.messages.states import MessageState

if TYPE_CHECKING:
    from apps.users.principals import Principal

SHOWN: Final = 100
"""Messages, and waiting ones to choose from, on one page."""


@for_people
def recovery(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Show what is left to do, and take a decision; the operator's alone."""
    if not viewer.is_operator:
        raise Http404
    error = ""
    if request.method == "POST":
        if not viewer.may("admin"):
            raise Http404
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
    row = unmatched_get(request.POST.get("cid", ""))
    unmatched_decide(
        principal=viewer,
        row=row,
        message_id=request.POST.get("message", ""),
        client=chain_client(),
        now=clock.now(),
    )


def _page(request: HttpRequest, viewer: Principal, error: str) -> HttpResponse:
    row = recovery_row()
    found = list(unmatched_open()[:SHOWN])
    senders = {one.from_addr for one in found}
    waiting = Message.objects.filter(from_addr__in=senders, state=MessageState.UNFILLED)
    choices = list(waiting.order_by("created_at").values_list("pk", "push_id", "from_addr")[:SHOWN])
    lines = [
        {
            "row": one,
            "from": shortened(one.from_addr),
            "to": shortened(one.to),
            "value": amount_words(int(one.value)),
            "waiting": [(pk, name) for pk, name, sender in choices if sender == one.from_addr],
        }
        for one in found
    ]
    return page_render(
        request,
        "recovery/page.html",
        title="Recovery",
        section="messages",
        page_key="",
        scene=Scene(viewer),
        status=422 if error else 200,
        recovery=row,
        unread=senders_unread(row).count() if row.since is not None else 0,
        lines=lines,
        may_decide=viewer.may("admin"),
        error=error,
    )
