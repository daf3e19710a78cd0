"""Signing in with a password, and signing out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.contrib.auth import login, logout
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from apps.chain.selectors.status import network_known
from apps.checks.selectors.components import status_is_public
from apps.core import clock
from apps.dashboard.company_provider import company_sign_out_url
from apps.dashboard.forms import PageForm
from apps.dashboard.layout import THEME_COOKIE
from apps.dashboard.passkeys import CHALLENGE
from apps.dashboard.sessions import client_ip, nul_bytes_refuse, user_agent
from apps.dashboard.text_fields import Text
from apps.users.services.access import access_change_publish
from apps.users.services.logins import person_login
from apps.users.services.operator_file import operator_has_password
from apps.users.services.reauthentication import reauthentication_note
from apps.users.services.second_factor import has_second_factor
from apps.users.services.sessions import session_start
from apps.users.states import Factor

if TYPE_CHECKING:
    from apps.users.models import User

PENDING: Final = "pending"
"""Where a session keeps who gave a right password and owes the second step."""
COMPANY: Final = "company"
"""Session key of the token by which the company's provider ends its own session."""


def next_page(request: HttpRequest) -> str:
    """Return where to go on: only ever an address of our own."""
    wanted = request.POST.get("next") or request.GET.get("next") or "/"
    allowed = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure())
    return wanted if allowed and wanted.startswith("/") else "/"


def gate(request: HttpRequest, template: str, *, status: int = 200, **context: Any) -> HttpResponse:
    """Render a page outside the frame."""
    network = network_known()
    around = {
        "network": network.name if network is not None else "",
        "has_first_password": settings.EMBEDDED and operator_has_password(settings.VAR / "operator.json"),
        "shows_status": status_is_public(),
        "company": settings.OIDC_NAME if settings.OIDC_ISSUER else "",
        "theme": request.COOKIES.get(THEME_COOKIE, ""),
        "next": next_page(request),
    }
    return render(request, template, around | context, status=status)


def come_in(
    request: HttpRequest,
    person: User,
    *,
    factor: str,
    then: str,
    confirmed_at: float | None = None,
    ends_in_s: int = 0,
) -> HttpResponse:
    """Open the session and go on.

    The company's provider may let somebody in whom it asked nothing: `confirmed_at` is when it last did, and
    the session ends after `ends_in_s`, however it is used.
    """
    for name in (PENDING, CHALLENGE):
        request.session.pop(name, None)
    login(request, person)
    now = clock.now()
    if factor != Factor.COMPANY:
        reauthentication_note(request.session, now=now)
    elif confirmed_at is not None:
        reauthentication_note(request.session, now=min(now, datetime.fromtimestamp(confirmed_at, UTC)))
    if ends_in_s:
        request.session.set_expiry(now + timedelta(seconds=ends_in_s))
    session_start(
        person,
        key=request.session.session_key or "",
        device=user_agent(request),
        source=client_ip(request),
        factor=factor,
        now=clock.now(),
    )
    return redirect(then)


class LoginForm(PageForm):
    """Who comes in."""

    username = Text()
    password = Text(strip=False, is_secret=True)


@sensitive_post_parameters("password")
@ensure_csrf_cookie
@never_cache
def sign_in(request: HttpRequest) -> HttpResponse:
    """Show the login, or check name and password and go on to the page that was asked for."""
    nul_bytes_refuse(request)
    if request.user.is_authenticated:
        return redirect(next_page(request))
    form = LoginForm.of(request)
    if form.is_valid():
        with form.refusals():
            person = person_login(
                **form.cleaned_data, source=client_ip(request), now=clock.now(), request=request
            )
            return password_right(request, person)
    return login_page(request, username=form.typed["username"], error=form.why)


def login_page(request: HttpRequest, *, username: str, error: str, then: str = "") -> HttpResponse:
    """Show the login; after it comes `then`, or the page that the request names."""
    return gate(
        request,
        "users/login.html",
        status=422 if error else 200,
        title=_("Sign in"),
        username=username,
        error=error,
        next=then or next_page(request),
    )


def password_right(request: HttpRequest, person: User) -> HttpResponse:
    """Sign a person in, or ask for the second step."""
    then = next_page(request)
    if not has_second_factor(person):
        return come_in(request, person, factor=Factor.PASSWORD, then=then)
    request.session[PENDING] = {
        "user": person.pk,
        "hash": person.get_session_auth_hash(),
        "at": clock.now().timestamp(),
        "next": then,
    }
    return redirect("login-second")


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    """End the session; its other pages notice within a second.

    The browser goes to the company's provider by a page, as the policy of content sends no form elsewhere.
    """
    id_token = request.session.get(COMPANY, "")
    logout(request)
    access_change_publish()
    if id_token and settings.OIDC_ISSUER:
        back = request.build_absolute_uri(reverse("login"))
        if there := company_sign_out_url(id_token=id_token, back=back):
            return gate(request, "users/signed_out.html", title=_("Signed out"), there=there)
    return redirect("login")


urlpatterns: Final = [
    path("login/", sign_in, name="login"),
    path("logout/", sign_out, name="logout"),
]
