"""Sending FIL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from apps.chain.errors import NodeRefused, NodeUnavailable
from apps.chain.node.client import chain_client
from apps.chain.selectors.heads import head_current
from apps.core import formatting
from apps.core.addresses import address_both
from apps.core.errors import BadValue
from apps.core.languages import list_text
from apps.dashboard.confirm_page import (
    ConfirmPage,
    approval_facts,
    confirm_page_render,
    is_confirm_submitted,
    signer_facts,
)
from apps.dashboard.forms import PageForm, form_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pickers import chosen_label, picker
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.text_fields import Text, new_key
from apps.messages.rules.push_items import PushItem
from apps.messages.services.dry_run import message_approval_read, message_dry_run
from apps.messages.services.push import message_push
from apps.messages.services.signer_trials import run_refusal_find
from apps.users.rules.principals import Principal
from poolsite.filecoin.amounts import BadAmount, fil_format, fil_parse
from poolsite.filecoin.message import METHOD_SEND

if TYPE_CHECKING:
    from apps.messages.models import Message
    from apps.wallets.models import Wallet


class TransferForm(PageForm):
    """FIL from one of the viewer's wallets; the id makes a double click one message."""

    id = Text(initial=new_key)
    to = Text()
    value = Text()

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.fields["from"] = Text()

    def clean_value(self) -> int:
        """Read attoFIL.  Raises ValidationError."""
        try:
            return int(fil_parse(self.cleaned_data["value"]))
        except BadAmount:
            raise ValidationError(_("enter an amount in FIL, such as 1.5")) from None


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def compose(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Send FIL from one of the viewer's wallets."""
    if not viewer.may("sign"):
        raise Http404
    form = TransferForm.of(request, **{name: request.GET.get(name, "") for name in ("from", "to", "value")})
    if form.is_valid():
        with form.refusals():
            item = item_of(form.cleaned_data)
            if not is_confirm_submitted(request):
                return confirm_page_render(request, viewer, transfer_review(viewer, form, item))
            return redirect("message", sent(viewer, item).id)
    return form_render(
        request,
        viewer,
        "messages/compose.html",
        form,
        title=_("Send FIL"),
        section="messages",
        page_key="compose",
        senders=picker(viewer, "wallet", value=form.typed["from"]),
        receivers=picker(viewer, "wallet", value=form.typed["to"]),
    )


def item_of(sent: dict[str, Any]) -> PushItem:
    """Return the form's message."""
    return PushItem(id=sent["id"], to=sent["to"], from_=sent["from"], value=sent["value"], method=METHOD_SEND)


def transfer_review(viewer: Principal, form: TransferForm, item: PushItem) -> ConfirmPage:
    """Return the question before FIL is sent: from whom, to whom, and what it costs.

    Raises DomainError with the field to blame, also for what the chain would refuse.
    """
    wallet = next((row for row in PageData(viewer).wallets if row.address == item.from_), None)
    if wallet is None:
        raise BadValue(gettext("choose one of the wallets"), field="from")
    value, whose = item.value, wallet.tenant.name
    is_own = wallet.tenant_id == viewer.tenant_id
    text = gettext("The key belongs to tenant {whose}: the transfer spends that tenant's FIL.").format(
        whose=whose
    )
    return ConfirmPage(
        title=_("Review the transfer")
        if is_own
        else gettext("Send from a key of {whose}").format(whose=whose),
        text=_("A transfer cannot be undone once it has landed.") if is_own else text,
        label=gettext("Send {value}").format(value=fil_format(value))
        + ("" if is_own else gettext(" from {whose}").format(whose=whose)),
        back=form.address_of(reverse("message-compose")),
        page=_("Send"),
        section="messages",
        hidden_fields=tuple(form.typed.items()),
        facts=(
            (gettext("From"), wallet_text(wallet)),
            (gettext("To"), receiver_text(viewer, form.cleaned_data["to"])),
            (gettext("Value"), fil_format(value)),
            *price_facts(viewer, item),
            *approval_facts(message_approval_read(item, principal=viewer)),
        ),
    )


def wallet_text(wallet: Wallet) -> str:
    """Return a wallet with its address in full and its balance."""
    named = f"{wallet.label} {wallet.address}".strip()
    return list_text((named, f"{formatting.fil(wallet.balance)} FIL"))


def receiver_text(viewer: Principal, address: str) -> str:
    """Describe the receiver: one of the viewer's wallets by its name."""
    label = chosen_label(viewer, "wallet", address)
    return f"{address} ({label})" if label else address_both(address)


def price_facts(viewer: Principal, item: PushItem) -> tuple[tuple[str, str], ...]:
    """Return what the gas costs and what is left; why it is not known where no node answers.

    Raises BadValue if the chain would refuse the transfer, and what a push raises.
    """
    head = head_current()
    if head is None:
        return ((gettext("Gas"), gettext("unknown: no node has answered yet")),)
    try:
        run = message_dry_run(item, principal=viewer, client=chain_client(), head=head)
    except (NodeUnavailable, NodeRefused) as refusal:
        return ((gettext("Gas"), gettext("unknown: {reason}").format(reason=refusal.reason)),)
    if run.is_short and not run.gas_limit:
        raise BadValue(
            gettext("the sender has {balance}, less than this transfer needs").format(
                balance=fil_format(run.balance)
            ),
            field="value",
        )
    if not run.gas_limit:
        return (
            (
                gettext("Gas"),
                gettext("unknown, the dry run failed: {error}").format(
                    error=run.error or gettext("exit code {exit_code}").format(exit_code=run.exit_code)
                ),
            ),
        )
    return (
        (
            gettext("Gas"),
            gettext("{cost_expected} expected, {cost_max} at most").format(
                cost_expected=fil_format(run.cost_expected - item.value),
                cost_max=fil_format(run.cost_max - item.value),
            ),
        ),
        (gettext("Sender pays"), gettext("{cost_max} at most").format(cost_max=fil_format(run.cost_max))),
        (
            gettext("Balance after this and all messages in progress"),
            gettext("{balance_after} at least").format(balance_after=fil_format(run.balance_after)),
        ),
        *signer_facts(run_refusal_find(run, by=viewer)),
    )


def sent(viewer: Principal, item: PushItem) -> Message:
    """Push the message.  Raises DomainError with the field to blame."""
    return message_push(
        principal=viewer, id=item.id, to=item.to, from_=item.from_, value=item.value, method=item.method
    )


urlpatterns: Final = [
    path("send/", compose, name="message-compose"),
]
