"""Signing in through the company's identity provider."""

from __future__ import annotations

import re
from typing import Any, Final

from django.conf import settings
from django.core import signing
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from apps.core import clock
from apps.core.errors import DomainError
from apps.dashboard.company_provider import CompanyAnswer, company_answer, company_ask
from apps.dashboard.notices import notice_leave
from apps.dashboard.pages.entry.sign_in import COMPANY, come_in, login_page, next_page
from apps.dashboard.refusals import refusal_text
from apps.dashboard.sessions import client_ip, nul_bytes_refuse
from apps.users.errors import CompanyRefused
from apps.users.services.company_logins import company_login, company_reauthenticate
from apps.users.services.reauthentication import reauthentication_note
from apps.users.states import Factor

QUESTION: Final = "company_asked"
"""The signed cookie of the values that the provider's answer must have: a stranger's question costs
the pool no row.  It goes with the first answer, and the provider takes a code once."""
QUESTION_KEPT_S: Final = 600
NEXT_MAX: Final = 1_000
"""Bytes of the address to go on to that the cookie has room for."""
ERROR: Final = re.compile(r"[a-z_]{1,60}")
"""A code of OAuth; anybody may write another text into the address."""


def back_url(request: HttpRequest) -> str:
    """Return where the provider sends the browser; it must know this address."""
    return request.build_absolute_uri(reverse("login-company-back"))


@require_safe
@never_cache
def company_start(request: HttpRequest) -> HttpResponse:
    """Send the browser to the provider; with `again` for a new proof of who sits there."""
    nul_bytes_refuse(request)
    if not settings.OIDC_ISSUER:
        raise Http404
    is_again = bool(request.GET.get("again")) and request.user.is_authenticated
    if request.user.is_authenticated and not is_again:
        return redirect(next_page(request))
    try:
        question = company_ask(redirect_uri=back_url(request), is_again=is_again)
    except DomainError as refusal:
        return refused(request, refusal_text(refusal), then=next_page(request))
    then, response = next_page(request), redirect(question.url)
    data = {
        "state": question.state,
        "nonce": question.nonce,
        "verifier": question.verifier,
        "next": then if len(then.encode()) <= NEXT_MAX else "/",
        "again": is_again,
        "at": clock.now().timestamp(),
    }
    response.set_cookie(
        QUESTION,
        signing.dumps(data, salt=question_salt(request), compress=True),
        max_age=QUESTION_KEPT_S,
        path=reverse("login"),
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )
    return response


def question_salt(request: HttpRequest) -> str:
    """Return for what alone a cookie is signed: a question of this host."""
    return f"{QUESTION} {request.get_host()}"


def question_read(request: HttpRequest) -> dict[str, Any] | None:
    """Return what this browser asked the provider; None if it asked nothing lately."""
    try:
        question: dict[str, Any] = signing.loads(
            request.COOKIES.get(QUESTION, ""), salt=question_salt(request), max_age=QUESTION_KEPT_S
        )
    except signing.BadSignature:
        return None
    is_late = clock.now().timestamp() - question["at"] > QUESTION_KEPT_S
    return None if is_late else question


@require_safe
@never_cache
def company_back(request: HttpRequest) -> HttpResponse:
    """Accept the provider's answer to a request that this browser began within ten minutes; only once."""
    nul_bytes_refuse(request)
    if not settings.OIDC_ISSUER:
        raise Http404
    question = question_read(request)
    response = answered(request, question)
    response.delete_cookie(QUESTION, path=reverse("login"), samesite="Lax")
    return response


def answered(request: HttpRequest, question: dict[str, Any] | None) -> HttpResponse:
    """Sign in the person whom the provider named, or confirm an act."""
    then = question["next"] if question is not None else "/"
    try:
        answer = answer_read(request, question)
        if question is not None and question["again"]:
            return confirmed(request, answer)
        person = company_login(
            answer.claims,
            rules=settings.OIDC_GROUPS,
            provider=settings.OIDC_NAME,
            source=client_ip(request),
        )
    except DomainError as refusal:
        return refused(request, refusal_text(refusal), then=then)
    response = come_in(
        request,
        person,
        factor=Factor.COMPANY,
        then=then,
        confirmed_at=answer.authenticated_at,
        ends_in_s=settings.OIDC_SESSION_H * 3600,
    )
    request.session[COMPANY] = answer.id_token
    return response


def answer_read(request: HttpRequest, question: dict[str, Any] | None) -> CompanyAnswer:
    """Return whom the provider signed in.  Raises CompanyRefused, CompanyUnavailable."""
    state, code = request.GET.get("state", ""), request.GET.get("code", "")
    if question is None or not constant_time_compare(state, question["state"]):
        raise CompanyRefused(
            gettext("this sign-in was begun in another browser or too long ago: begin again")
        )
    if not code:
        error = request.GET.get("error", "")
        text = gettext("{provider} did not sign you in ({error})")
        error = error if ERROR.fullmatch(error) else "–"
        raise CompanyRefused(text.format(provider=settings.OIDC_NAME, error=error))
    return company_answer(
        code=code[:4096],
        issuer=request.GET.get("iss", ""),
        nonce=question["nonce"],
        verifier=question["verifier"],
        redirect_uri=back_url(request),
    )


def confirmed(request: HttpRequest, answer: CompanyAnswer) -> HttpResponse:
    """Note that the person proved again who they are.  Raises CompanyRefused."""
    if not request.user.is_authenticated:
        return redirect("login")
    company_reauthenticate(
        request.user,
        claims=answer.claims,
        authenticated_at=answer.authenticated_at,
        now=clock.now(),
    )
    reauthentication_note(request.session, now=clock.now())
    notice_leave(request, gettext("Confirmed: go on in the window that asked for it."))
    return redirect("account")


def refused(request: HttpRequest, reason: str, *, then: str) -> HttpResponse:
    """Show why the sign-in was refused: on the login page, or the account page of who is signed in."""
    if request.user.is_authenticated:
        notice_leave(request, reason, tone="bad")
        return redirect("account")
    return login_page(request, username="", error=reason, then=then)


urlpatterns: Final = [
    path("login/company/", company_start, name="login-company"),
    path("login/company/back/", company_back, name="login-company-back"),
]
