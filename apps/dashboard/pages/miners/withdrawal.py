"""Withdrawing what a miner has earned: how much can go to whom, then the message with its price."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from apps.chain.node.client import chain_client, page_client
from apps.core import formatting
from apps.core.errors import DomainError
from apps.dashboard.confirm_page import ConfirmPage, confirm_page_render, is_confirm_submitted
from apps.dashboard.forms import PageForm, form_render
from apps.dashboard.number_fields import Amount
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.miners.addresses import head_required, price_facts
from apps.dashboard.pages.multisigs.rows import outcome_facts
from apps.dashboard.reauthentication import reauthenticate_first
from apps.dashboard.refusals import refusal_text
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.text_fields import Key, Text
from apps.miners.selectors.miners import miner_get
from apps.miners.selectors.proposals import is_id
from apps.miners.services.address_changes import may_change
from apps.miners.services.withdrawals import (
    WithdrawalFunds,
    WithdrawalPlan,
    WithdrawalRequest,
    funds_check,
    funds_read,
    signer_refusal_read,
    withdrawal_plan,
    withdrawal_push,
)
from apps.users.rules.principals import Principal
from poolsite.filecoin.amounts import FIL, fil_format
from poolsite.wire.proposals import multisig_rule, rule_text, withdrawals_rule

if TYPE_CHECKING:
    from apps.miners.models import Miner


class AmountOrAll(Text):
    """FIL as attoFIL; None for an empty field or the word All."""

    def clean(self, value: Any) -> int | None:
        """Return the attoFIL, or None for all.  Raises ValidationError."""
        text = super().clean(value)
        return None if text.lower() in {"", "all", _("All").lower()} else Amount().clean(text)


class WithdrawalForm(PageForm):
    """How much; the key makes a double click one message."""

    amount = AmountOrAll()
    key = Key()

    def request(self) -> WithdrawalRequest:
        """Return what is asked."""
        return WithdrawalRequest(amount=self.cleaned_data["amount"], key=self.cleaned_data["key"])


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def withdraw(request: HttpRequest, viewer: Principal, address: str) -> HttpResponse:
    """Show what is available; the form asks with the price first, and is sent after the second click."""
    miner, data = miner_get(viewer, address), PageData(viewer)
    form = WithdrawalForm.from_address(request)
    if request.method == "POST" and not may_change(viewer, miner=miner):
        raise Http404
    if request.method == "POST" and form.is_valid():
        is_confirmed = is_confirm_submitted(request)
        if is_confirmed and (held := reauthenticate_first(request, viewer)) is not None:
            return held
        with form.refusals():
            wanted, head, client = form.request(), head_required(data), chain_client()
            if is_confirmed:
                sent = withdrawal_push(miner, request=wanted, principal=viewer, client=client, head=head)
                return redirect("message", sent.message.pk)
            plan = withdrawal_plan(miner, request=wanted, principal=viewer, client=client, head=head)
            plan.run_check()
            refused = signer_refusal_read(plan, by=viewer)
            back = form.address_of(reverse("miner-withdraw", args=[miner.address]))
            return confirm_page_render(request, viewer, confirm_of(miner, wanted, plan, refused, back=back))
    return page_of(request, viewer, miner, form)


def confirm_of(
    miner: Miner, wanted: WithdrawalRequest, plan: WithdrawalPlan, refused: str, *, back: str
) -> ConfirmPage:
    """Return the question, with the price and what the signer would say.

    It names the amount that was reviewed, also where all was asked for.
    """
    text = _("This sends one message. The receiver has the amount once it has landed.")
    if plan.proposal is not None:
        text = _(
            "This sends one message to the multisig. The receiver has the amount once enough approve it."
        )
    if refused:
        text = _(
            "The message waits until the signer signs it: its policy needs the rule on the previous page."
        )
    return ConfirmPage(
        is_danger=False,
        title=_("Withdraw"),
        text=text,
        label=_("Send message"),
        back=back,
        page=_("Withdraw"),
        section="miners",
        hidden_fields=(("amount", Amount().prepare_value(plan.amount)), ("key", wanted.key)),
        facts=(
            (_("Amount"), fil_format(plan.amount)),
            (_("Receiver"), receiver_text(miner, plan.funds)),
            (_("Remains available"), fil_format(plan.remains)),
            *outcome_facts(plan.proposal),
            (_("Sent by"), str(plan.item.from_)),
            *price_facts(plan.run),
            (_("Signer's policy"), refused or _("allows the message")),
        ),
    )


def receiver_text(miner: Miner, funds: WithdrawalFunds) -> str:
    """Return who receives a withdrawal."""
    if funds.has_term:
        return _("beneficiary {receiver}").format(receiver=funds.receiver)
    return _("owner {receiver}, {key}").format(receiver=funds.receiver, key=miner.owner)


def funds_rows(miner: Miner, funds: WithdrawalFunds) -> Iterable[tuple[str, str]]:
    """Yield what is available, what reduces it, and who receives it."""
    yield _("Available"), f"{formatting.fil(funds.available)} FIL"
    if miner.fee_debt:
        debt = formatting.fil(miner.fee_debt)
        yield _("Fee debt"), _("{debt} FIL, paid first and not included in Available").format(debt=debt)
    if funds.in_progress:
        yield _("Withdrawals in progress"), f"{formatting.fil(funds.in_progress)} FIL"
    yield _("Receiver"), receiver_text(miner, funds)
    if funds.quota_left is not None:
        yield (
            _("Beneficiary's quota"),
            _("{left} FIL left, until epoch {epoch}").format(
                left=formatting.fil(funds.quota_left), epoch=formatting.whole(funds.expire_epoch)
            ),
        )
    if funds.most != funds.available:
        yield _("Can be withdrawn now"), f"{formatting.fil(funds.most)} FIL"


def page_of(request: HttpRequest, viewer: Principal, miner: Miner, form: WithdrawalForm) -> HttpResponse:
    """Render the page; without a node, or if nothing can be withdrawn, it says why."""
    data, away, stopped, allowed = PageData(viewer), "", "", FIL
    rows: list[tuple[str, str]] = []
    try:
        funds = funds_read(miner, client=page_client(), head=head_required(data))
        rows, allowed = list(funds_rows(miner, funds)), max(funds.available, FIL)
        funds_check(funds)
    except DomainError as refusal:
        away, stopped = ("", refusal_text(refusal)) if rows else (refusal_text(refusal), "")
    may_sign = may_change(viewer, miner=miner) and not away
    value_max = f"{-(-allowed // FIL)} FIL"
    rule = withdrawals_rule(miner.address, value_max=value_max)
    if is_id(str(miner.owner)):
        rule = multisig_rule(str(miner.owner), value_max=value_max)
    return form_render(
        request,
        viewer,
        "miners/withdraw.html",
        form,
        title=_("Withdraw"),
        section="miners",
        data=data,
        miner=miner,
        name=f"{miner.name} {miner.address}".strip(),
        back=reverse("miner", args=[miner.address or miner.uuid]),
        rows=rows,
        away=away,
        stopped=stopped,
        may_sign=may_sign,
        rule=rule_text(rule),
    )


urlpatterns: Final = [
    path("miners/<str:address>/withdraw/", withdraw, name="miner-withdraw"),
]
