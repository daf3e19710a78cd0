"""Proposed changes of a policy: naming the miners, transfers among own wallets."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.utils.translation import gettext
from django.views.decorators.http import require_POST, require_safe

from apps.core.errors import BadValue, DomainError
from apps.dashboard.pages.policies.page import (
    editor_only,
    miners_of,
    miners_proposal,
    refused,
    transfers_proposal,
)
from apps.dashboard.pages.policies.text import review
from apps.dashboard.refusals import refusal_text
from apps.dashboard.sessions import sign_in_required
from apps.miners.selectors.miners import miner_get
from apps.miners.states import MinerState
from apps.users.rules.principals import Principal
from apps.wallets.selectors import wallet_get
from apps.wallets.services.policies import policy_read, signer_find
from poolsite.filecoin.amounts import BadAmount, fil_format, fil_parse
from poolsite.wire.proposals import own_miners_edit, own_transfers_edit, proofs_edit, publishing_edit

if TYPE_CHECKING:
    from apps.miners.models import Miner


@require_POST
@sign_in_required
def name_miners(request: HttpRequest, viewer: Principal, address: str) -> HttpResponse:
    """Show the change that lets the signer seal and prove for the tenant's own miners only."""
    wallet = wallet_get(viewer, address)
    editor_only(viewer)
    miners = miners_of(viewer, wallet, also=request.POST.get("miner", ""))
    try:
        edit = own_miners_edit(policy_read(viewer, address=address).rules, miners)
        return redirect("policy", address) if edit is None else review(request, viewer, wallet, edit)
    except DomainError as refusal:
        return refused(request, viewer, wallet, refusal)


@require_POST
@sign_in_required
def proofs(request: HttpRequest, viewer: Principal, address: str) -> HttpResponse:
    """Show the change that gives proofs and declarations a rule of their own without a sum of a day."""
    wallet = wallet_get(viewer, address)
    editor_only(viewer)
    try:
        edit = proofs_edit(policy_read(viewer, address=address).rules)
        return redirect("policy", address) if edit is None else review(request, viewer, wallet, edit)
    except DomainError as refusal:
        return refused(request, viewer, wallet, refusal)


@require_POST
@sign_in_required
def publishing(request: HttpRequest, viewer: Principal, address: str) -> HttpResponse:
    """Show the change that adds a rule for publishing clients' deals."""
    wallet = wallet_get(viewer, address)
    editor_only(viewer)
    try:
        edit = publishing_edit(policy_read(viewer, address=address).rules)
        return redirect("policy", address) if edit is None else review(request, viewer, wallet, edit)
    except DomainError as refusal:
        return refused(request, viewer, wallet, refusal)


@require_POST
@sign_in_required
def own_transfers(request: HttpRequest, viewer: Principal, address: str) -> HttpResponse:
    """Show the change that allows transfers between the signer's own keys up to the amounts typed."""
    wallet = wallet_get(viewer, address)
    editor_only(viewer)
    try:
        amounts = {name: amount_typed(request, name) for name in ("value_max", "value_per_day")}
        state = policy_read(viewer, address=address)
        proposal = transfers_proposal(wallet, state, signer_find(viewer, address=address))
        if proposal is None:
            raise BadValue(gettext("this signer holds only one key: there is no other wallet to send to"))
        return review(request, viewer, wallet, own_transfers_edit(state.rules, proposal.wallets, **amounts))
    except DomainError as refusal:
        return refused(request, viewer, wallet, refusal)


def amount_typed(request: HttpRequest, name: str) -> str:
    """Read an amount of FIL as the policy writes it.  Raises BadValue."""
    text = request.POST.get(name, "").strip()
    try:
        amount = fil_parse(text)
    except BadAmount as error:
        raise BadValue(
            gettext("{text!r} is not an amount: {error}").format(text=text, error=error), field=name
        ) from None
    if amount <= 0:
        raise BadValue(gettext("enter an amount above zero"), field=name)
    return fil_format(amount)


@require_safe
@sign_in_required
def miner_signing(request: HttpRequest, viewer: Principal, address: str) -> HttpResponse:
    """Show on a miner's page whether its worker's signer signs for it, and how its owner allows it."""
    miner = miner_get(viewer, address)
    return render(request, "miners/_signing.html", {"miner_key": address, **signing_of(viewer, miner)})


def signing_of(viewer: Principal, miner: Miner) -> dict[str, Any]:
    """Return what the fragment shows: a proposal, why the policy is not known, or that all is allowed."""
    found: dict[str, Any] = {"may_edit": viewer.may("admin")}
    if miner.state != MinerState.ACTIVE:
        return {**found, "is_waiting": miner.state == MinerState.CREATING}
    try:
        wallet = wallet_get(viewer, miner.worker)
        state = policy_read(viewer, address=wallet.address)
    except DomainError as refusal:
        return {**found, "unknown": refusal_text(refusal)}
    proposal = miners_proposal(wallet, state, [miner.address])
    return {**found, "proposal": proposal and replace(proposal, shown_by=miner.address)}


urlpatterns: Final = [
    path("miners/<str:address>/signing/", miner_signing, name="miner-signing"),
    path("wallets/<str:address>/policy/miners/", name_miners, name="policy-miners"),
    path("wallets/<str:address>/policy/proofs/", proofs, name="policy-proofs"),
    path("wallets/<str:address>/policy/publishing/", publishing, name="policy-publishing"),
    path("wallets/<str:address>/policy/transfers/", own_transfers, name="policy-transfers"),
]
