"""What a policy says of a message that is not signed."""

from __future__ import annotations

import json
from typing import Final

from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from apps.core.errors import BadValue
from apps.dashboard.forms import PageForm
from apps.dashboard.pages.policies.page import policy_page
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.text_fields import Text
from apps.messages.selectors.messages import message_get, messages_visible
from apps.users.rules.principals import Principal
from apps.wallets.selectors import wallet_get
from apps.wallets.services.policies import policy_try
from poolsite.filecoin.kinds import BadField
from poolsite.filecoin.message import Message, message_from_json
from poolsite.wire.codec import BadWire

MESSAGES_SHOWN: Final = 10
JSON_MAX: Final = 64 * 1024


class TrialForm(PageForm):
    """A message to try: one of ours, or what was pasted."""

    message = Text()
    json = Text()

    def clean_json(self) -> Message | None:
        """Read what was pasted; None if nothing was.  Raises ValidationError."""
        pasted = self.cleaned_data["json"]
        try:
            return message_from_json(json.loads(pasted[:JSON_MAX])) if pasted else None
        except BadField as error:
            raise ValidationError(str(error)) from None
        except (ValueError, RecursionError):
            raise ValidationError(_("this is not valid JSON")) from None


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def trial(request: HttpRequest, viewer: Principal, address: str) -> HttpResponse:
    """Try the policy on a message that is not signed."""
    if not viewer.may("write"):
        raise Http404
    wallet = wallet_get(viewer, address)
    form, verdict = TrialForm.of(request), None
    if form.is_valid():
        with form.refusals():
            sent = form.cleaned_data
            message = sent["json"] or message_get(viewer, sent["message"]).chain_message()
            try:
                verdict = policy_try(viewer, address=address, message=message)
            except BadWire as error:
                raise BadValue(error.reason) from None
    rows = messages_visible(viewer).filter(from_addr=wallet.address).order_by("-created_at")
    return policy_page(
        request,
        viewer,
        wallet,
        name="policy_trial",
        status=422 if form.errors else 200,
        messages=list(rows[:MESSAGES_SHOWN]),
        chosen=form.typed["message"],
        pasted=form.typed["json"],
        found=verdict,
        error=form.why,
    )


urlpatterns: Final = [
    path("wallets/<str:address>/policy/try/", trial, name="policy-try"),
]
