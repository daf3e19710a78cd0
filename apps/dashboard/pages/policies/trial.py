"""What a policy says of a message that is not signed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from django.urls import path
from django.views.decorators.http import require_http_methods

from apps.core.errors import BadValue, DomainError
from apps.dashboard.pages.policies.page import policy_page, wallet_or_404
from apps.dashboard.sessions import sign_in_required
from apps.messages.selectors import message_get, messages_visible
from apps.wallets.services.policies import policy_try
from poolsite.filecoin.kinds import BadField
from poolsite.filecoin.message import message_from_json
from poolsite.wire.codec import BadWire

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

    from apps.users.principals import Principal
    from poolsite.filecoin.message import Message


MESSAGES_SHOWN: Final = 10

JSON_MAX: Final = 64 * 1024


def message_read(request: HttpRequest, viewer: Principal) -> Message:
    """Read the message to try: one of ours, or what was pasted.  Raises DomainError."""
    key, pasted = request.POST.get("message", ""), request.POST.get("json", "").strip()
    if not pasted:
        return message_get(viewer, key).chain_message()
    try:
        return message_from_json(json.loads(pasted[:JSON_MAX]))
    except BadField as error:
        raise BadValue(str(error), field="json") from None
    except (ValueError, RecursionError):
        raise BadValue("this is no JSON", field="json") from None


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def trial(request: HttpRequest, viewer: Principal, address: str) -> HttpResponse:
    """Ask the policy about a message that is not signed."""
    wallet = wallet_or_404(viewer, address)
    verdict, error = None, ""
    if request.method == "POST":
        try:
            verdict = policy_try(viewer, address, message_read(request, viewer))
        except (BadWire, DomainError) as refusal:
            error = refusal.reason
    rows = messages_visible(viewer).filter(from_addr=wallet.address).order_by("-created_at")
    return policy_page(
        request,
        viewer,
        wallet,
        name="policy_trial",
        status=422 if error else 200,
        messages=list(rows[:MESSAGES_SHOWN]),
        chosen=request.POST.get("message", ""),
        pasted=request.POST.get("json", ""),
        found=verdict,
        error=error,
    )


urlpatterns: Final = [
    path("wallets/<str:address>/policy/try/", trial, name="policy-try"),
]
