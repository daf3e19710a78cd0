"""The second step of signing in: a code or a passkey."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from apps.core import clock
from apps.core.errors import DomainError
from apps.dashboard.forms import CodeForm
from apps.dashboard.pages.entry.sign_in import PENDING, come_in, gate, login_page, next_page
from apps.dashboard.passkeys import (
    challenge_pop,
    place_of,
    question_json,
    stranger_challenge,
    stranger_question_json,
)
from apps.dashboard.refusals import refusal_text
from apps.dashboard.sessions import client_ip, nul_bytes_refuse
from apps.users.selectors.people import passkeys_of, totp_confirmed, users_active
from apps.users.services.logins import passkey_login, second_step_verify
from apps.users.services.passkeys import assertion_options_generate
from apps.users.states import Factor

if TYPE_CHECKING:
    from apps.users.models import User

PENDING_FOR: Final = timedelta(minutes=5)


def pending_of(request: HttpRequest) -> User | None:
    """Return who owes the second step; None if nobody does, or not any more."""
    pending = request.session.get(PENDING)
    if not pending:
        return None
    if clock.now() - datetime.fromtimestamp(pending["at"], UTC) > PENDING_FOR:
        return None
    person = users_active([pending["user"]]).first()
    if person is None or not constant_time_compare(pending["hash"], person.get_session_auth_hash()):
        return None
    return person


@sensitive_post_parameters("code")
@ensure_csrf_cookie
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def second_step(request: HttpRequest) -> HttpResponse:
    """Check a code or a passkey after a right password."""
    nul_bytes_refuse(request)
    person = pending_of(request)
    if person is None:
        return redirect("login")
    form = CodeForm.of(request)
    if form.is_valid():
        with form.refusals():
            code = form.cleaned_data["code"]
            factor = second_step_verify(person, code=code, source=client_ip(request), now=clock.now())
            return come_in(request, person, factor=factor, then=request.session[PENDING]["next"])
    return second_page(request, person, error=form.why)


def second_page(request: HttpRequest, person: User, *, error: str = "") -> HttpResponse:
    """Show the second step."""
    return gate(
        request,
        "users/second.html",
        status=422 if error else 200,
        title=_("Second step"),
        error=error,
        has_app=totp_confirmed(person) is not None,
        has_passkey=passkeys_of(person).exists(),
    )


@require_POST
def passkey_options(request: HttpRequest) -> HttpResponse:
    """Start a check by passkey: of whoever owes the second step, else of anybody."""
    person = pending_of(request)
    ask = question_json if person is not None else stranger_question_json
    return ask(request, assertion_options_generate(person, place=place_of(request)))


@require_POST
@never_cache
def passkey(request: HttpRequest) -> HttpResponse:
    """Sign in with a passkey, alone or as the second factor; a refused one leads back to its page."""
    nul_bytes_refuse(request)
    person, then, asked_at = pending_of(request), next_page(request), None
    if person is not None:
        challenge, then = challenge_pop(request), request.session[PENDING]["next"]
    else:
        challenge, asked_at = stranger_challenge(request)
    try:
        owner = passkey_login(
            answer=request.POST.get("answer", ""),
            challenge=challenge,
            asked_at=asked_at,
            place=place_of(request),
            source=client_ip(request),
            now=clock.now(),
            person=person,
        )
    except DomainError as refusal:
        if person is not None:
            return second_page(request, person, error=refusal_text(refusal))
        return login_page(request, username="", error=refusal_text(refusal))
    return come_in(request, owner, factor=Factor.PASSKEY, then=then)


urlpatterns: Final = [
    path("login/second/", second_step, name="login-second"),
    path("login/passkey/", passkey, name="login-passkey"),
    path("login/passkey/options/", passkey_options, name="login-passkey-options"),
]
