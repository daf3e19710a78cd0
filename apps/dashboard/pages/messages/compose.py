"""Sending FIL, or calling any method of an actor: the form, and what is pushed."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from apps.dashboard.confirm_page import confirm_page_render, is_confirm_submitted
from apps.dashboard.forms import PageForm, form_render
from apps.dashboard.number_fields import Amount, Whole
from apps.dashboard.pages.messages.call_params import (
    FIELD,
    RAW,
    SEND,
    TRANSFERS,
    Call,
    call_read,
    method_names,
    param_fields,
    params_build,
)
from apps.dashboard.pages.messages.send_review import send_review
from apps.dashboard.pickers import picker
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.text_fields import Text, new_key
from apps.messages.errors import BadMessage
from apps.messages.rules.push_items import Gas, PushItem, SendSpec
from apps.messages.services.push import message_push
from apps.messages.services.receiver_lookup import receiver_kind_read
from apps.users.rules.principals import Principal
from poolsite.filecoin.gas import BLOCK_GAS_LIMIT
from poolsite.filecoin.message import METHOD_SEND

if TYPE_CHECKING:
    from apps.messages.models import Message

FEES: Final = ("gas_limit", "gas_fee_cap", "gas_premium", "max_fee")


class SendForm(PageForm):
    """A message from one of the viewer's wallets; the id makes a double click one message."""

    id = Text(initial=new_key)
    to = Text()
    value = Amount()
    method = Text(initial=SEND)
    params = Text()
    gas_limit = Whole(least=0, most=BLOCK_GAS_LIMIT, empty=0)
    gas_fee_cap = Amount(is_fee=True)
    gas_premium = Amount(is_fee=True)
    max_fee = Amount()

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.fields["from"] = Text()
        self.call, method = Call("", METHOD_SEND), self.typed_text("method")
        with suppress(BadMessage):  # its fields stay while the receiver is refused
            self.call = call_read(method, kind="")
        with self.refusals():
            kind = receiver_kind_read(self.typed_text("to"), asks_node=method not in TRANSFERS)
            self.call = call_read(method, kind=kind)
        self.params_shown = param_fields(self.call)
        for one in self.params_shown:
            self.fields[one.name] = Text()

    def typed_text(self, name: str) -> str:
        """Return what stands in a field, before the form is read."""
        return str((self.data if self.is_bound else self.initial).get(name, "")).strip()

    @property
    def asks_for_params(self) -> bool:
        """Return whether it was sent without fields that its method has: they were not shown yet."""
        is_shown = any(one.name in self.data for one in self.params_shown)
        return bool(self.params_shown) and not is_shown and not self.typed_text(RAW)

    @property
    def has_fees(self) -> bool:
        """Return whether fees were typed, so that they are shown."""
        return any(self.typed[name] for name in FEES)

    def clean_value(self) -> int:
        """Require it of a transfer; a call may carry none.  Raises ValidationError."""
        if not self.typed_text("value") and self.call.number == METHOD_SEND:
            raise ValidationError(_("enter an amount in FIL, such as 1.5"))
        return int(self.cleaned_data["value"])

    @property
    def item(self) -> PushItem:
        """Return the message.  Raises BadMessage."""
        sent = self.cleaned_data
        return PushItem(
            id=sent["id"],
            to=sent["to"],
            from_=sent["from"],
            value=sent["value"],
            method=self.call.number,
            params=params_build(self.call, sent),
            spec=SendSpec(max_fee=sent["max_fee"]),
            gas=Gas(limit=sent["gas_limit"], fee_cap=sent["gas_fee_cap"], premium=sent["gas_premium"]),
        )


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def compose(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Send FIL from one of the viewer's wallets, or call a method of an actor."""
    if not viewer.may("sign"):
        raise Http404
    form = SendForm.of(request, **begin_values(request))
    if form.is_valid() and not form.asks_for_params:
        with form.refusals():
            item = form.item
            if not is_confirm_submitted(request):
                back = form.address_of(reverse("message-compose"))
                question = send_review(viewer, item, call=form.call, typed=form.typed, back=back)
                return confirm_page_render(request, viewer, question)
            return redirect("message", sent(viewer, item).id)
    call = form.call
    return form_render(
        request,
        viewer,
        "messages/compose.html",
        form,
        title=_("Send"),
        section="messages",
        page_key="compose",
        senders=picker(viewer, "sender", value=form.typed["from"]),
        receivers=picker(viewer, "wallet", value=form.typed["to"]),
        methods=method_names(call.kind),
        params=[(one, form[one.name]) for one in form.params_shown],
        takes_bytes=call.number != METHOD_SEND,
        is_raw=call.is_raw or bool(form.typed[RAW]),
    )


def begin_values(request: HttpRequest) -> dict[str, str]:
    """Return what a link, or the way back from the review, has filled in."""
    names = ("from", "to", "value", "method", RAW, *FEES)
    found = {name: request.GET[name] for name in names if name in request.GET}
    return {"method": SEND, **found, **{k: str(v) for k, v in request.GET.items() if k.startswith(FIELD)}}


def sent(viewer: Principal, item: PushItem) -> Message:
    """Push the message.  Raises DomainError with the field to blame."""
    return message_push(
        principal=viewer,
        id=item.id,
        to=item.to,
        from_=item.from_,
        value=item.value,
        method=item.method,
        params=item.params,
        spec=item.spec,
        gas=item.gas,
    )


urlpatterns: Final = [
    path("send/", compose, name="message-compose"),
]
