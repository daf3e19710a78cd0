"""A message that waits for a second person: all that it does, and the two answers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from apps.core import formatting
from apps.core.clock import now
from apps.core.languages import list_text
from apps.core.reasons import shown_text
from apps.dashboard.cards import Fact
from apps.dashboard.forms import PageForm, form_render
from apps.dashboard.notices import notice_leave
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.messages.changes import signer_only
from apps.dashboard.pages.messages.detail import message_detail, message_or_404
from apps.dashboard.pages.messages.facts import kind_of, param_facts, proposal_facts
from apps.dashboard.reauthentication import reauthenticate_first
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.text_fields import Choice, Text
from apps.messages.selectors.approval_choice import amount_moved_compute, content_digest_compute
from apps.messages.selectors.approvals import approval_of, approval_until, approvers_of
from apps.messages.services.approvals import message_approve, message_refuse
from apps.messages.states import MessageState
from apps.users.rules.principals import Principal
from poolsite.filecoin.actors.decode import method_name
from poolsite.filecoin.amounts import fil_format

if TYPE_CHECKING:
    from apps.messages.models import Message


PARAMS_WHOLE: Final = 200_000
"""Characters of one parameter: whoever approves a message sees all of it."""


class DecisionForm(PageForm):
    """The answer, and the digest of what was shown."""

    decision = Choice([("approve", ""), ("refuse", "")])
    content = Text()
    reason = Text()


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def approve(request: HttpRequest, viewer: Principal, key: str) -> HttpResponse:
    """Show a message that waits for a second person, and approve or refuse it."""
    row = message_or_404(viewer, key)
    signer_only(viewer)
    if request.method == "POST" and (question := reauthenticate_first(request, viewer)) is not None:
        return question
    form = DecisionForm.of(request)
    if form.is_valid():
        with form.refusals():
            decide(request, viewer, row, form)
            return redirect("message", row.pk)
    return decision_page(request, viewer, row, form)


def decide(request: HttpRequest, viewer: Principal, row: Message, form: DecisionForm) -> None:
    """Carry out the answer.  Raises DomainError."""
    sent = form.cleaned_data
    if sent["decision"] == "approve":
        message_approve(message=row, by=viewer, content=sent["content"], now=now())
        notice_leave(request, _("Approved. It will be selected on the next head."))
    else:
        message_refuse(message=row, by=viewer, reason=sent["reason"], now=now())
        notice_leave(request, _("Refused. The message has failed."))


def decision_page(request: HttpRequest, viewer: Principal, row: Message, form: DecisionForm) -> HttpResponse:
    """Render what there is to decide."""
    data, approvers = PageData(viewer), approvers_of(row)
    detail, miners = message_detail(row, data), set(data.names.miners)
    return form_render(
        request,
        viewer,
        "messages/approve.html",
        form,
        title=_("Review a message"),
        section="messages",
        data=data,
        message=detail,
        pushed_at=row.created_at,
        until=approval_until(row),
        waits=row.needs_approval and row.state == MessageState.UNFILLED,
        may_decide=viewer.actor in approvers,
        approvers=list_text(approvers),
        content=content_digest_compute(row),
        facts=tuple(decision_facts(row, data)),
        params=(
            *param_facts(row, miners=miners, most=PARAMS_WHOLE),
            *proposal_facts(row, miners=miners),
        ),
    )


def decision_facts(row: Message, data: PageData) -> Iterable[Fact]:
    """Yield what the message does, who asked for it, and what makes it wait."""
    names, approval = data.names, approval_of(row)
    kind = kind_of(row, miners=set(names.miners))
    method, moved = method_name(kind, row.method), amount_moved_compute(row, receiver=kind)
    yield Fact(_("Value"), fil_format(int(row.value)))
    if moved != row.value:
        yield Fact(_("Moves at most"), fil_format(moved))
    yield Fact(_("From"), named(row.from_addr, names.wallets.get(row.from_addr)), mono=True)
    receiver = names.miners.get(row.to) or names.wallets.get(row.to)
    yield Fact(_("To"), named(row.to, receiver), mono=True)
    yield Fact(_("Method"), gettext("{name}, number {method}").format(name=method, method=row.method))
    yield Fact(_("Pushed by"), row.pushed_by or formatting.NOTHING)
    if approval is not None:
        yield Fact(_("Rule"), shown_text(approval.rule))


def named(address: str, name: str | None) -> str:
    """Return an address in full, with its name where it has one."""
    return address if name in (None, address) else f"{address} ({name})"


urlpatterns: Final = [
    path("message/approve/<path:key>/", approve, name="message-approve"),
]
