"""Passkeys between browser and console: the question goes out once, its answer is held against it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from apps.core import clock
from apps.users.services.passkeys import PasskeyOptions, RelyingParty

CHALLENGE: Final = "passkey_challenge"
"""Where a session keeps what the answer must hold, and a stranger's cookie: it costs the pool no row."""
STRANGER_ANSWERS_IN: Final = timedelta(minutes=5)


def place_of(request: HttpRequest) -> RelyingParty:
    """Return where the page was opened, as passkeys know it."""
    host = request.get_host()
    return RelyingParty(host=urlsplit(f"//{host}").hostname or host, origin=f"{request.scheme}://{host}")


def question_json(request: HttpRequest, question: PasskeyOptions) -> HttpResponse:
    """Return a question for the browser, and store what its answer must hold."""
    request.session[CHALLENGE] = question.challenge
    return _options_response(question)


def _options_response(question: PasskeyOptions) -> HttpResponse:
    return HttpResponse(
        question.options, content_type="application/json", headers={"Cache-Control": "no-store"}
    )


def challenge_pop(request: HttpRequest) -> str:
    """Return what the answer must hold, once; empty if nothing was asked."""
    return str(request.session.pop(CHALLENGE, ""))


def stranger_question_json(request: HttpRequest, question: PasskeyOptions) -> HttpResponse:
    """Return a question for a stranger's browser; a signed cookie keeps what its answer must hold."""
    response = _options_response(question)
    response.set_signed_cookie(
        CHALLENGE,
        f"{clock.now().timestamp()} {question.challenge}",
        salt=request.get_host(),
        max_age=STRANGER_ANSWERS_IN,
        path=reverse("login"),
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )
    return response


def stranger_challenge(request: HttpRequest) -> tuple[str, datetime | None]:
    """Return what a stranger's answer must hold and when it was asked for; empty if nothing was lately."""
    cookie = request.get_signed_cookie(
        CHALLENGE, default="", salt=request.get_host(), max_age=STRANGER_ANSWERS_IN
    )
    at, _, challenge = (cookie or "").partition(" ")
    return challenge, datetime.fromtimestamp(float(at), UTC) if challenge else None
