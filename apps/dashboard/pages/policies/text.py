"""A policy as text, and the review of a change before it is signed."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Final

from django.shortcuts import redirect
from django.urls import path
from django.views.decorators.http import require_http_methods, require_POST

from apps.core.errors import BadValue, DomainError
from apps.dashboard.pages.policies.page import editor_only, pack, policy_page, refused
from apps.dashboard.sessions import sign_in_required
from apps.messages.services.retry import policy_change
from apps.wallets.selectors import wallet_get
from apps.wallets.services.policies import policy_draft, policy_read
from poolsite.wire.codec import BadWire
from poolsite.wire.policy import REPLACE, PolicyChange, PolicyEdit

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

    from apps.users.principals import Principal
    from apps.wallets.models import Wallet


def unpack(packed: str) -> str:
    """Read it.  Raises BadValue."""
    try:
        return base64.b64decode(packed, validate=True).decode()
    except (binascii.Error, ValueError):
        raise BadValue("the text cannot be read", field="text") from None


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def text(request: HttpRequest, viewer: Principal, address: str) -> HttpResponse:
    """The policy as text; a POST shows what another text would change, also to go back to an old version."""
    wallet = wallet_get(viewer, address)
    editor_only(viewer)
    error, written = "", request.POST.get("written", "").replace("\r\n", "\n")
    try:
        if request.method == "POST":
            written = unpack(request.POST["packed"]) if "packed" in request.POST else written
            try:
                return review(request, viewer, wallet, PolicyEdit(op=REPLACE, text=written))
            except (BadWire, DomainError) as refusal:
                error = refusal.reason
        else:
            written = policy_read(viewer, address).text
    except DomainError as refusal:
        return refused(request, viewer, wallet, refusal)
    status = 422 if error else 200
    return policy_page(
        request, viewer, wallet, name="policy_text", status=status, written=written, error=error
    )


def review(
    request: HttpRequest, viewer: Principal, wallet: Wallet, edit: PolicyEdit, *, error: str = ""
) -> HttpResponse:
    """Show a change before anybody signs it: its text and what it would have decided otherwise."""
    draft = policy_draft(viewer, wallet.address, edit)
    state = policy_read(viewer, wallet.address)
    return policy_page(
        request,
        viewer,
        wallet,
        name="policy_review",
        status=422 if error else 200,
        draft=draft,
        state=state,
        packed=pack(draft.text),
        hidden=max(draft.refused + draft.allowed, len(draft.others)) - len(draft.others),
        error=error,
    )


@require_POST
@sign_in_required
def save(request: HttpRequest, viewer: Principal, address: str) -> HttpResponse:
    """Send a signed change to the signer."""
    wallet = wallet_get(viewer, address)
    editor_only(viewer)
    number = request.POST.get("number", "")
    try:
        change = PolicyChange(
            text=unpack(request.POST.get("packed", "")),
            number=int(number) if number.isdecimal() and len(number) < 9 else 0,
            editor=request.POST.get("editor", "")[:200],
            signature=request.POST.get("signature", "")[:200],
        )
        try:
            policy_change(viewer, address, change)
        except DomainError as refusal:
            edit = PolicyEdit(op=REPLACE, text=change.text)
            return review(request, viewer, wallet, edit, error=refusal.reason)
    except (BadWire, DomainError) as refusal:
        return refused(request, viewer, wallet, BadValue(refusal.reason))
    return redirect("policy", address)


urlpatterns: Final = [
    path("wallets/<str:address>/policy/text/", text, name="policy-text"),
    path("wallets/<str:address>/policy/save/", save, name="policy-save"),
]
