"""A policy as text, and the review of a change before it is signed."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Final

from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_POST

from apps.core.errors import BadValue, DomainError
from apps.dashboard.forms import PageForm
from apps.dashboard.number_fields import Integer
from apps.dashboard.pages.policies.page import editor_only, pack, policy_page, refused
from apps.dashboard.refusals import refusal_text
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.text_fields import Text
from apps.messages.services.retry import policy_change
from apps.users.rules.principals import Principal
from apps.wallets.selectors import wallet_get
from apps.wallets.services.policies import policy_draft_make, policy_read
from poolsite.wire.codec import BadWire
from poolsite.wire.policy import REPLACE, PolicyChange, PolicyEdit

if TYPE_CHECKING:
    from apps.wallets.models import Wallet


class Packed(Text):
    """A text as a page carries it from one form to the next."""

    def clean(self, value: Any) -> str:
        """Return the unpacked text.  Raises ValidationError."""
        try:
            return base64.b64decode(super().clean(value), validate=True).decode()
        except ValueError:
            raise ValidationError(_("the text cannot be read")) from None


class TextForm(PageForm):
    """A policy's text, written or packed by a page of ours."""

    written = Text(strip=False)
    packed = Packed()

    @property
    def text(self) -> str:
        """The text that is asked about."""
        if not self.is_bound:
            return str(self.initial["written"])
        name = "packed" if "packed" in self.data else "written"
        return str(self.cleaned_data.get(name, "")).replace("\r\n", "\n")


class ChangeForm(PageForm):
    """A change that an editor signed in the browser."""

    packed = Packed()
    number = Integer()
    editor = Text(strip=False)
    signature = Text(strip=False)


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def text(request: HttpRequest, viewer: Principal, address: str) -> HttpResponse:
    """Return the policy as text; a POST shows what another text, or an old version, would change."""
    wallet = wallet_get(viewer, address)
    editor_only(viewer)
    form = TextForm.of(request)
    try:
        if not form.is_bound:
            form.initial["written"] = policy_read(viewer, address=address).text
        elif form.is_valid():
            with form.refusals():
                return review(request, viewer, wallet, PolicyEdit(op=REPLACE, text=form.text))
    except BadWire as refusal:
        form.add_error(None, refusal_text(refusal))
    except DomainError as refusal:
        return refused(request, viewer, wallet, refusal)
    status = 422 if form.errors else 200
    return policy_page(
        request, viewer, wallet, name="policy_text", status=status, written=form.text, error=form.why
    )


def review(
    request: HttpRequest, viewer: Principal, wallet: Wallet, edit: PolicyEdit, *, error: str = ""
) -> HttpResponse:
    """Show a change before anybody signs it: its text and what it would have decided otherwise."""
    draft = policy_draft_make(viewer, address=wallet.address, edit=edit)
    state = policy_read(viewer, address=wallet.address)
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
    form = ChangeForm(request.POST)
    if not form.is_valid():
        return refused(request, viewer, wallet, BadValue(form.why))
    try:
        change = PolicyChange(text=form.cleaned_data.pop("packed"), **form.cleaned_data)
        try:
            policy_change(viewer, address=address, change=change)
        except DomainError as refusal:
            edit = PolicyEdit(op=REPLACE, text=change.text)
            return review(request, viewer, wallet, edit, error=refusal_text(refusal))
    except (BadWire, DomainError) as refusal:
        return refused(request, viewer, wallet, BadValue(refusal.reason))
    return redirect("policy", address)


urlpatterns: Final = [
    path("wallets/<str:address>/policy/text/", text, name="policy-text"),
    path("wallets/<str:address>/policy/save/", save, name="policy-save"),
]
