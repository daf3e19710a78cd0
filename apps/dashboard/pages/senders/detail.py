"""One sender with its settings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST, require_safe

from apps.checks.report.objects import report_of_sender
from apps.core import formatting
from apps.core.formatting import plural
from apps.dashboard.cards import Action, Fact
from apps.dashboard.forms import FeeRulesForm, form_render
from apps.dashboard.fragments import FragmentContext, LivePage, fragment
from apps.dashboard.notices import notice_leave
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.senders.rows import SenderList, SenderRow
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.todo import ObjectFindings, found_of
from apps.messages.errors import SenderNotFound, SenderShared
from apps.messages.selectors.queue_costs import LEARN_DAYS
from apps.messages.selectors.senders import sender_get, sender_may_set
from apps.messages.selectors.spend import PACE_DAYS_LEAST
from apps.messages.services.senders import sender_set
from apps.messages.states import NoncesBy, SenderState
from apps.users.rules.principals import Principal

if TYPE_CHECKING:
    from apps.messages.models import Sender


@dataclass(frozen=True, slots=True)
class SenderDetail:
    """The whole of one sender."""

    row: SenderRow
    found: ObjectFindings
    actions: tuple[Action, ...]
    facts: tuple[Fact, ...]


def sender_detail(sender: Sender, data: PageData) -> SenderDetail:
    """Lay out the whole of one sender."""
    [row] = SenderList(data).rows([sender])
    found = found_of(report_of_sender(data, sender, stuck=row.stuck), data)
    return SenderDetail(row, found, sender_actions(sender, data), tuple(sender_facts(sender, row, data)))


def sender_actions(sender: Sender, data: PageData) -> tuple[Action, ...]:
    """Return what a person can do about a sender."""
    if not (data.viewer.may("sign") and sender_may_set(data.viewer, sender.address)):
        return ()
    by_op = {op: reverse("sender-act", args=[sender.address, op]) for op in OPS}
    if sender.state == SenderState.FORBIDDEN:
        return (Action("resume", _("Resume"), by_op["resume"], icon="run", kind="primary"),)
    pause = Action("pause", _("Pause"), by_op["pause"], icon="pause")
    if sender.nonces_by == NoncesBy.OTHER:
        return (pause, Action("send-too", _("Let the pool send"), by_op["send-too"], icon="run"))
    if sender.nonces_by == NoncesBy.BOTH:
        leave = Action("leave", _("Leave it to the other program"), by_op["leave"], icon="pause")
        return (pause, leave)
    return (pause,)


def sender_facts(sender: Sender, row: SenderRow, data: PageData) -> Iterable[Fact]:
    """Yield what is known of it."""
    _cost, days = data.spend_pace.get(sender.address, (0, 0))
    yield Fact(_("Address"), sender.address, mono=True)
    yield Fact(_("Balance"), f"{formatting.fil(row.balance)} FIL")
    yield Fact(
        _("Runway"),
        gettext("{runway}, at the gas cost of the last {span}").format(
            runway=row.runway, span=plural(days, "day")
        )
        if days >= PACE_DAYS_LEAST
        else gettext("not known yet: it takes {span} of spending").format(
            span=plural(PACE_DAYS_LEAST, "day")
        ),
    )
    yield Fact(
        gettext("Gas, {learn_days} days").format(learn_days=LEARN_DAYS), f"{formatting.fil(row.spent)} FIL"
    )
    yield Fact(
        _("In flight"),
        gettext("{in_flight} of {quota}").format(
            in_flight=formatting.whole(row.lane.in_flight), quota=formatting.whole(row.quota)
        ),
    )
    yield Fact(_("Waiting"), formatting.whole(row.lane.waiting))
    yield Fact(_("Next nonce"), formatting.whole(row.lane.next_nonce))
    yield Fact(_("Chain nonce"), formatting.whole(sender.chain_nonce))
    if sender.gap_nonce is not None:
        yield Fact(_("Missing nonce"), formatting.whole(sender.gap_nonce))
    if sender.nonces_by:
        yield Fact(_("Nonces assigned by"), str(NoncesBy(sender.nonces_by).label))
    if sender.foreign_at is not None:
        yield Fact(_("Used elsewhere"), sender.foreign_cid or gettext("seen in a node mempool"), mono=True)


def detail_fragment(context: FragmentContext) -> Iterable[str]:
    """Yield the head and the facts of one sender's page."""
    try:
        row = sender_get(context.viewer, context.key)
    except SenderNotFound:
        return
    detail = sender_detail(row, context.data)
    yield fragment("senders/_head.html", **head_context(detail))
    yield fragment("messages/_facts.html", facts=detail.facts, title=gettext("Status"), key="sender-facts")


def head_context(detail: SenderDetail) -> dict[str, Any]:
    """Return what the head of the page needs."""
    return {"sender": detail.row, "found": detail.found, "acts": detail.actions}


OPS: Final[dict[str, dict[str, Any]]] = {
    "pause": {"state": SenderState.FORBIDDEN},
    "resume": {"state": SenderState.ALIVE},
    "send-too": {"nonces_by": NoncesBy.BOTH},
    "leave": {"nonces_by": NoncesBy.OTHER},
}
"""What each action sets."""


@require_safe
@sign_in_required
def sender(request: HttpRequest, viewer: Principal, address: str) -> HttpResponse:
    """One sender with its lane and settings."""
    return sender_page(request, viewer, sender_get(viewer, address))


def sender_page(
    request: HttpRequest, viewer: Principal, row: Sender, form: FeeRulesForm | None = None
) -> HttpResponse:
    """Render a sender's page with the form of its settings."""
    data = PageData(viewer)
    detail = sender_detail(row, data)
    return form_render(
        request,
        viewer,
        "senders/detail.html",
        form or FeeRulesForm.of_row(request, row),
        title=detail.row.name,
        section="senders",
        page_key=f"sender:{row.address}",
        page_href=reverse("sender", args=[row.address]),
        data=data,
        **head_context(detail),
        facts=detail.facts,
        can_set=viewer.may("sign") and sender_may_set(viewer, row.address),
        is_shared=not sender_may_set(viewer, row.address),
    )


@require_POST
@sign_in_required
def settings(request: HttpRequest, viewer: Principal, address: str) -> HttpResponse:
    """Change fee rules and quota of a sender; an empty field leaves the choice to the rules below."""
    row = sender_get(viewer, address)
    if not viewer.may("sign"):
        raise Http404
    form = FeeRulesForm.of_row(request, row)
    if form.is_valid():
        with form.refusals():
            quota = form.cleaned_data["quota"]
            sender_set(principal=viewer, address=row.address, fees=form.fees, quota=quota)
            notice_leave(request, _("Saved."))
            return redirect("sender", row.address)
    return sender_page(request, viewer, row, form)


@require_POST
@sign_in_required
def action(request: HttpRequest, viewer: Principal, address: str, op: str) -> HttpResponse:
    """Pause a sender, let it go on, or say who gives its nonces."""
    row = sender_get(viewer, address)
    if op not in OPS or not viewer.may("sign"):
        raise Http404
    try:
        sender_set(principal=viewer, address=row.address, **OPS[op])
    except SenderShared:
        raise Http404 from None
    if not getattr(request, "htmx", False):
        return redirect("sender", row.address)
    detail = sender_detail(sender_get(viewer, address), PageData(viewer))
    return render(request, "senders/_head.html", head_context(detail))


urlpatterns: Final = [
    path("senders/<str:address>/", sender, name="sender"),
    path("senders/<str:address>/settings/", settings, name="sender-settings"),
    path("senders/<str:address>/<str:op>/", action, name="sender-act"),
]
LIVE: Final = {
    "sender": LivePage(dict.fromkeys(("message", "messages", "sender", "head"), (detail_fragment,)))
}
