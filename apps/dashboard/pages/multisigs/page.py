"""Multisigs: an inbox of what waits for whom, and what the signers among the wallets do about it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.chain.node.client import chain_client, page_client
from apps.core.errors import DomainError, NotFound
from apps.core.formatting import plural
from apps.dashboard.cards import Verdict
from apps.dashboard.confirm_page import (
    ConfirmPage,
    confirm_page_render,
    is_confirm_submitted,
    signer_facts,
)
from apps.dashboard.forms import PageForm, form_render
from apps.dashboard.layout import page_render
from apps.dashboard.number_fields import Amount
from apps.dashboard.object_fields import Address
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.miners.addresses import head_required, price_facts
from apps.dashboard.pages.multisigs.rows import (
    MultisigRow,
    act_facts,
    decision_label,
    multisig_row,
    outcome_facts,
)
from apps.dashboard.reauthentication import reauthenticate_first
from apps.dashboard.refusals import refusal_text
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.text_fields import Key, Text
from apps.miners.selectors.multisigs import VisibleMultisig, multisig_get, multisigs_visible
from apps.miners.selectors.proposals import Act
from apps.miners.services.multisig_acts import (
    DecisionRequest,
    MultisigPlan,
    ProposalRequest,
    decision_plan,
    decision_push,
    may_act,
    proposal_plan,
    proposal_push,
    signer_refusal_read,
)
from apps.miners.states import Decision
from apps.users.rules.principals import Principal
from poolsite.filecoin.amounts import FIL
from poolsite.filecoin.message import METHOD_SEND
from poolsite.wire.proposals import multisig_rule, rule_text

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


@require_safe
@sign_in_required
def multisigs(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Show what waits in which multisig."""
    return inbox_page(request, viewer)


def inbox_page(request: HttpRequest, viewer: Principal, *, wrong: str = "") -> HttpResponse:
    """Render the inbox; `wrong` is why something was not done a moment ago."""
    data, away = PageData(viewer), ""
    rows: list[MultisigRow] = []
    named = request.GET.get("address", "").strip()
    try:
        client, head = page_client(), head_required(data)
        found = (
            [multisig_get(viewer, named, client=client, head=head)]
            if named
            else multisigs_visible(viewer, client=client, head=head)
        )
        rows = [multisig_row(one, viewer, data.names.wallets) for one in found]
    except NotFound as refusal:
        wrong = wrong or refusal_text(refusal)
    except DomainError as refusal:
        away = refusal_text(refusal)
    return page_render(
        request,
        "multisigs/page.html",
        title=_("Multisigs"),
        section="messages",
        page_key="",
        data=data,
        status=422 if wrong else 200,
        wrong=wrong,
        away=away,
        verdict=Verdict("", gettext("What waits is not known.")) if away else _verdict(rows),
        rows=rows,
        named=named,
        rule=rule_of(rows[0]) if rows and viewer.may("sign") else "",
    )


def rule_of(row: MultisigRow) -> str:
    """Return the rule of a signer's policy for one multisig, up to what that has, as policies write it."""
    return rule_text(multisig_rule(row.address, value_max=f"{-(-max(row.balance, FIL) // FIL)} FIL"))


def _verdict(rows: Sequence[MultisigRow]) -> Verdict:
    """Return in one sentence what waits for the viewer's signers."""
    waiting = [one for row in rows for one in row.proposals]
    if not waiting:
        return Verdict(gettext("No proposal waits for approvals."), "")
    mine = sum(one.may_approve for one in waiting)
    return Verdict(
        gettext("{waiting}, {mine} of them for your signers.").format(
            waiting=plural(len(waiting), "proposal waits", "proposals wait"), mine=mine
        ),
        "",
    )


def multisig_of(viewer: Principal, address: str, data: PageData) -> VisibleMultisig:
    """Return a multisig in which the viewer may act.  Raises Http404, DomainError."""
    found = multisig_get(viewer, address, client=chain_client(), head=head_required(data))
    if not may_act(viewer, multisig=found):
        raise Http404
    return found


class TransferForm(PageForm):
    """A transfer that a multisig is to make; the key makes a double click one message."""

    to = Address(required=True)
    value = Amount()
    key = Key()

    def request(self) -> ProposalRequest:
        """Return what is proposed."""
        sent = self.cleaned_data
        return ProposalRequest(act=Act(sent["to"], METHOD_SEND, b"", sent["value"]), key=sent["key"])


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def propose(request: HttpRequest, viewer: Principal, address: str) -> HttpResponse:
    """Propose a transfer: the form asks with the price first, and is sent after the second click."""
    data = PageData(viewer)
    form = TransferForm.from_address(request)
    try:
        row = multisig_of(viewer, address, data)
    except NotFound:
        raise Http404 from None
    except DomainError as refusal:
        return inbox_page(request, viewer, wrong=refusal_text(refusal))
    if form.is_valid():
        is_confirmed = is_confirm_submitted(request)
        if is_confirmed and (held := reauthenticate_first(request, viewer)) is not None:
            return held
        with form.refusals():
            wanted, head, client = form.request(), head_required(data), chain_client()
            if is_confirmed:
                sent = proposal_push(row, request=wanted, principal=viewer, client=client, head=head)
                return redirect("message", sent.pk)
            plan = proposal_plan(row, request=wanted, principal=viewer, client=client, head=head)
            plan.run_check()
            return confirm_page_render(
                request,
                viewer,
                confirm_of(
                    plan,
                    viewer,
                    title=_("Propose"),
                    hidden_fields=tuple(form.typed.items()),
                    back=form.address_of(reverse("multisig-propose", args=[row.facts.address])),
                ),
            )
    return form_render(
        request,
        viewer,
        "multisigs/propose.html",
        form,
        title=_("Propose a transfer"),
        section="messages",
        data=data,
        address=row.facts.address,
        balance=row.facts.balance,
    )


class DecisionForm(PageForm):
    """What one signer decides, about the proposal that was shown."""

    hash = Text()


@require_POST
@sign_in_required
def decide(request: HttpRequest, viewer: Principal, address: str, key: int, op: str) -> HttpResponse:
    """Approve or cancel a proposal: the first click shows what it means, the second sends the message."""
    form = DecisionForm.of(request)
    if op not in Decision.values or not form.is_valid():
        raise Http404
    is_confirmed = is_confirm_submitted(request)
    if is_confirmed and (held := reauthenticate_first(request, viewer)) is not None:
        return held
    data, wanted = PageData(viewer), DecisionRequest(decision=op, id=key, hash=form.cleaned_data["hash"])
    try:
        row, head, client = multisig_of(viewer, address, data), head_required(data), chain_client()
        if is_confirmed:
            sent = decision_push(row, request=wanted, principal=viewer, client=client, head=head)
            return redirect("message", sent.pk)
        plan = decision_plan(row, request=wanted, principal=viewer, client=client, head=head)
        plan.run_check()
    except DomainError as refusal:
        return inbox_page(request, viewer, wrong=refusal_text(refusal))
    question = confirm_of(
        plan,
        viewer,
        title=decision_label(op),
        hidden_fields=(("hash", wanted.hash),),
        back=reverse("multisigs"),
    )
    return confirm_page_render(request, viewer, question)


def confirm_of(
    plan: MultisigPlan,
    viewer: Principal,
    *,
    title: StrOrPromise,
    hidden_fields: tuple[tuple[str, str], ...],
    back: str,
) -> ConfirmPage:
    """Return the question, with the act and the price."""
    return ConfirmPage(
        is_danger=False,
        title=title,
        text=_("This sends one message to the multisig."),
        label=_("Send message"),
        back=back,
        page=_("Multisigs"),
        section="messages",
        hidden_fields=hidden_fields,
        facts=(
            *act_facts(plan.act),
            *outcome_facts(plan.outcome),
            (gettext("Sent by"), str(plan.item.from_)),
            *price_facts(plan.run),
            *signer_facts(signer_refusal_read(plan, by=viewer)),
        ),
    )


urlpatterns: Final = [
    path("multisigs/", multisigs, name="multisigs"),
    path("multisigs/<str:address>/propose/", propose, name="multisig-propose"),
    path("multisigs/<str:address>/<int:key>/<str:op>/", decide, name="multisig-decide"),
]
