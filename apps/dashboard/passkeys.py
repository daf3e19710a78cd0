"""Passkeys between browser and session: the question goes out once, its answer is held against it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from django.http import HttpRequest, HttpResponse

from apps.users.services.passkeys import RelyingParty

if TYPE_CHECKING:
    from apps.users.services.passkeys import PasskeyOptions

CHALLENGE: Final = "passkey_challenge"
"""Where a session keeps what the answer must hold."""


def place_of(request: HttpRequest) -> RelyingParty:
    """Where the page was opened, as passkeys know it."""
    host = request.get_host()
    return RelyingParty(host=urlsplit(f"//{host}").hostname or host, origin=f"{request.scheme}://{host}")


def question_json(request: HttpRequest, question: PasskeyOptions) -> HttpResponse:
    """Return a question for the browser, and store what its answer must hold."""
    request.session[CHALLENGE] = question.challenge
    return HttpResponse(
        question.options, content_type="application/json", headers={"Cache-Control": "no-store"}
    )


def challenge_pop(request: HttpRequest) -> str:
    """Return what the answer must hold, once; empty if nothing was asked."""
    return str(request.session.pop(CHALLENGE, ""))
