"""Sending FIL."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.views.decorators.http import require_http_methods

from apps.chain.client import chain_client
from apps.chain.errors import NodeRefused, NodeUnavailable
from apps.chain.selectors import head_current
from apps.core import formatting
from apps.core.errors import BadValue, DomainError
from apps.dashboard.confirm_page import ConfirmPage, confirm_page_render, is_confirm_submitted
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pickers import chosen_label, picker
from apps.dashboard.sessions import sign_in_required
from apps.messages.services import message_push
from apps.messages.services.dry_run import message_dry_run
from apps.messages.services.validate import PushItem
from poolsite.filecoin.amounts import BadAmount, fil_format, fil_parse
from poolsite.filecoin.message import METHOD_SEND

if TYPE_CHECKING:
    from apps.messages.models import Message
    from apps.users.principals import Principal


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def compose(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Send FIL from one of the viewer's wallets; the form's id makes a double click one message."""
    if not viewer.may("sign"):
        raise Http404
    form = {"id": uuid.uuid4().hex, "from": request.GET.get("from", ""), "to": "", "value": ""}
    errors: dict[str, str] = {}
    if request.method == "POST":
        form = {name: request.POST.get(name, "").strip() for name in form}
        try:
            if not is_confirm_submitted(request):
                return confirm_page_render(request, viewer, transfer_review(viewer, form))
            made = sent(viewer, form)
        except DomainError as refusal:
            field = refusal.field.rstrip("_")
            errors[field if field in form else "form"] = refusal.reason
        else:
            return redirect("message", made.id)
    data = PageData(viewer)
    return page_render(
        request,
        "messages/compose.html",
        title="Send FIL",
        section="messages",
        page_key="compose",
        data=data,
        status=422 if errors else 200,
        form=form,
        errors=errors,
        senders=picker(viewer, "wallet", value=form["from"]),
        receivers=picker(viewer, "wallet", value=form["to"]),
    )


def transfer_review(viewer: Principal, form: dict[str, str]) -> ConfirmPage:
    """Return the question before FIL is sent: from whom, to whom, and what it costs.

    Raises DomainError with the field to blame, also for what the chain would refuse.
    """
    wallet = next((row for row in PageData(viewer).wallets if row.address == form["from"]), None)
    if wallet is None:
        raise BadValue("choose one of the wallets", field="from")
    value, whose = amount_of(form), wallet.tenant.name
    is_own = wallet.tenant_id == viewer.tenant_id
    text = f"The key belongs to tenant {whose}: the transfer spends that tenant's FIL."
    return ConfirmPage(
        title="Review the transfer" if is_own else f"Send from a key of {whose}",
        text="A transfer that has landed cannot be taken back." if is_own else text,
        label=f"Send {fil_format(value)}" + ("" if is_own else f" of {whose}"),
        back=reverse("message-compose"),
        page="Send",
        section="messages",
        kept=tuple(form.items()),
        facts=(
            ("From", f"{wallet.label} {wallet.address}, {formatting.fil(wallet.balance)} FIL".strip()),
            ("To", receiver_text(viewer, form["to"])),
            ("Value", fil_format(value)),
            *price_facts(viewer, form, value=value),
        ),
    )


def receiver_text(viewer: Principal, address: str) -> str:
    """Describe the receiver: one of the viewer's wallets by its name."""
    label = chosen_label(viewer, "wallet", address)
    return f"{address} ({label})" if label else address


def price_facts(viewer: Principal, form: dict[str, str], *, value: int) -> tuple[tuple[str, str], ...]:
    """Return what the gas costs and what is left; why it is not known where no node answers.

    Raises BadValue if the chain would refuse the transfer, and what a push raises.
    """
    head = head_current()
    if head is None:
        return (("Gas", "not known: no node has answered yet"),)
    item = PushItem(id=form["id"], to=form["to"], from_=form["from"], value=value, method=METHOD_SEND)
    try:
        run = message_dry_run(item, principal=viewer, client=chain_client(), head=head)
    except (NodeUnavailable, NodeRefused) as refusal:
        return (("Gas", f"not known: {refusal.reason}"),)
    if run.balance_after < 0 and not run.gas_limit:
        raise BadValue(f"the sender has {fil_format(run.balance)}, less than this takes", field="value")
    if not run.gas_limit:
        return (("Gas", f"not known, the trial failed: {run.error or f'exit code {run.exit_code}'}"),)
    return (
        (
            "Gas",
            f"{fil_format(run.cost_expected - value)} expected, {fil_format(run.cost_max - value)} at most",
        ),
        ("Sender pays", f"{fil_format(run.cost_max)} at most"),
        ("Balance after it and all in flight", f"{fil_format(run.balance_after)} at least"),
    )


def amount_of(form: dict[str, str]) -> int:
    """Read the form's value in attoFIL.  Raises BadValue."""
    try:
        return int(fil_parse(form["value"]))
    except BadAmount:
        raise BadValue("write an amount in FIL, such as 1.5", field="value") from None


def sent(viewer: Principal, form: dict[str, str]) -> Message:
    """Push the form's message.  Raises DomainError with the field to blame."""
    return message_push(
        principal=viewer,
        id=form["id"],
        to=form["to"],
        from_=form["from"],
        value=amount_of(form),
        method=METHOD_SEND,
    )


urlpatterns: Final = [
    path("send/", compose, name="message-compose"),
]
