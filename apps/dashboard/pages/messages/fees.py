"""Raising a message's fees: at once, or by a form that says what they cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.chain.node.client import ChainClient, chain_client, page_client
from apps.core import formatting
from apps.core.clock import now
from apps.core.errors import DomainError
from apps.core.formatting import plural
from apps.dashboard.forms import PageForm, form_render
from apps.dashboard.number_fields import Amount, Integer
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.messages.changes import answer, head_needed, signer_only
from apps.dashboard.pages.messages.detail import message_detail, message_or_404
from apps.dashboard.refusals import refusal_text
from apps.dashboard.sessions import sign_in_required
from apps.messages.selectors.messages import messages_behind_count
from apps.messages.selectors.replacement_fees import NewFees, premium_floor_read
from apps.messages.services.budgets import Budgets
from apps.messages.services.publish import messages_publish
from apps.messages.services.replace import (
    fee_limits_set,
    message_replace,
    replacement_preview,
    version_require,
)
from apps.messages.states import MessageState
from apps.users.rules.principals import Principal
from poolsite.filecoin.message import Message as ChainMessage

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from apps.messages.models import Message


USED_PERCENT: Final = 80
"""Of the gas limit that a message usually uses: the limit is 1.25 times what the trial needed."""
CAP_OVER_BASE_FEE: Final = 10
"""Fee cap that the form proposes, in base fees: they double within six full blocks."""
FEE_LIMITS: Final = {"gas_fee_cap", "max_fee"}
"""Fields of the form for a message that is not signed yet."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What a replacement would cost, in FIL, before anything is signed."""

    now: str
    likely: str
    most: str


def offer_of(new: ChainMessage, *, base_fee: int) -> Offer:
    """Price a replacement: with the whole limit used now, with the usual use, and at its dearest."""
    price = min(new.gas_fee_cap, base_fee + new.gas_premium)
    tip = min(new.gas_premium, new.gas_fee_cap - min(base_fee, new.gas_fee_cap))
    used = new.gas_limit * USED_PERCENT // 100
    likely = used * min(base_fee, new.gas_fee_cap) + new.gas_limit * tip
    return Offer(
        now=formatting.fil(new.gas_limit * price),
        likely=formatting.fil(likely),
        most=formatting.fil(new.gas_limit * new.gas_fee_cap),
    )


class FeesForm(PageForm):
    """What a message pays, signed or not."""

    gas_premium = Amount(is_fee=True)
    gas_fee_cap = Amount(is_fee=True)
    gas_limit = Integer()
    max_fee = Amount()

    @property
    def fees(self) -> NewFees:
        """The fees of a message that is signed again."""
        sent = self.cleaned_data
        return NewFees(
            is_auto=False,
            premium=sent["gas_premium"],
            fee_cap=sent["gas_fee_cap"],
            gas_limit=sent["gas_limit"],
            max_fee=sent["max_fee"],
        )


@sign_in_required
def replace(request: HttpRequest, viewer: Principal, key: str) -> HttpResponse:
    """Send the message again under the same nonce.

    A POST without fees raises them as far as the present base fee asks; with fees, or asked for by GET,
    it is the form that says what they cost before anything is signed.  Limits that were typed before it was
    signed are shown in that form and replace nothing.
    """
    row = message_or_404(viewer, key)
    signer_only(viewer)
    if row.state == MessageState.UNFILLED:
        return fee_limits(request, viewer, row)
    if request.method != "POST" and row.state != MessageState.FILLED:
        return redirect("message", key)  # it landed meanwhile: its page shows that
    form, offer = FeesForm.of(request), None
    is_act = form.is_bound and "preview" not in request.POST
    client = chain_client() if is_act else page_client()
    if form.is_bound and "gas_premium" not in request.POST:
        if row.state != MessageState.FILLED or not FEE_LIMITS & request.POST.keys():
            return replace_at_once(request, viewer, row)
        text = gettext("it was signed in the meantime: check the new fees and replace it if it needs them")
        form.add_error(None, text)
    if not form.errors:
        with form.refusals():
            head = head_needed()
            fees = form.fees if form.is_bound else NewFees()
            budgets = Budgets(base_fee=int(head.base_fee), now=now())
            new = replacement_preview(row, fees=fees, client=client, head=head, budgets=budgets)
            offer = offer_of(new, base_fee=int(head.base_fee))
            if is_act:
                message_replace(message=row, fees=fees, client=client, head=head, now=now(), by=viewer)
                messages_publish([row.pk], now=now())
                return redirect("message", key)
            form.initial = {
                "gas_premium": new.gas_premium,
                "gas_fee_cap": new.gas_fee_cap,
                "gas_limit": new.gas_limit,
            }
    if is_act:  # refused: the form that says so waits no longer
        client = page_client()
    return replace_page(request, viewer, row, form=form, offer=offer, client=client)


def fee_limits(request: HttpRequest, viewer: Principal, row: Message) -> HttpResponse:
    """Set the largest fee and the fee cap of a message that is not signed yet."""
    data = PageData(viewer)
    base_fee = 0 if data.head is None else int(data.head.base_fee)
    cap = int(row.gas_fee_cap) or CAP_OVER_BASE_FEE * base_fee
    form = FeesForm.of(request, max_fee=int(row.max_fee), gas_fee_cap=cap)
    if form.is_valid():
        with form.refusals():
            sent = form.cleaned_data
            limits = {name: sent[name] for name in ("max_fee", "gas_fee_cap")}
            fee_limits_set(message=row, **limits, now=now(), by=viewer)
            return redirect("message", row.id)
    return fees_page(request, data, row, name="fee_limits", title=_("Raise a message's fee"), form=form)


def fees_page(
    request: HttpRequest,
    data: PageData,
    row: Message,
    *,
    name: str,
    title: StrOrPromise,
    form: FeesForm,
    **more: Any,
) -> HttpResponse:
    """Render a form about a message's fees beside what the message is and the base fee."""
    return form_render(
        request,
        data.viewer,
        f"messages/{name}.html",
        form,
        title=title,
        section="messages",
        data=data,
        message=message_detail(row, data),
        base_fee=formatting.fee_text(0 if data.head is None else int(data.head.base_fee)),
        **more,
    )


def replace_at_once(request: HttpRequest, viewer: Principal, row: Message) -> HttpResponse:
    """Raise the fees as far as the present base fee asks, and show the message's page or its head.

    The button names the version that it raises: a click that was answered too late to be seen, and is made
    again, raises nothing twice.
    """
    error = ""
    try:
        version_require(row, cids=(request.GET.get("cid") or row.cid,))
        message_replace(
            message=row, fees=NewFees(), client=chain_client(), head=head_needed(), now=now(), by=viewer
        )
        messages_publish([row.id], now=now())
    except DomainError as refusal:
        error = refusal_text(refusal)
    return answer(request, viewer, row.id, error=error)


def replace_page(
    request: HttpRequest,
    viewer: Principal,
    row: Message,
    *,
    form: FeesForm,
    offer: Offer | None,
    client: ChainClient,
) -> HttpResponse:
    """Render the form with the old fees, the least premium and the price."""
    behind = messages_behind_count(row)
    return fees_page(
        request,
        PageData(viewer),
        row,
        name="replace",
        title=_("Replace a message"),
        form=form,
        offer=offer,
        old_premium=formatting.fee_text(row.gas_premium),
        old_cap=formatting.fee_text(row.gas_fee_cap),
        floor=formatting.fee_text(floor_of(row, client=client)),
        behind=plural(behind, "message") if behind else "",
    )


def floor_of(row: Message, *, client: ChainClient) -> int | None:
    """Return the least premium that takes the old one's place; None while no node answers."""
    try:
        return premium_floor_read(row, client=client)
    except DomainError:
        return None


urlpatterns: Final = [
    path("message/replace/<path:key>/", replace, name="message-replace"),
]
