"""Coming in and going out: password, second step, passkey, the link of somebody who was invited."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.contrib.auth import login, logout
from django.core.exceptions import ValidationError
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.utils.crypto import constant_time_compare
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from apps.chain.chain_status import network_known
from apps.core import clock
from apps.core.errors import DomainError
from apps.dashboard.forms import CodeForm, PageForm
from apps.dashboard.layout import THEME_COOKIE
from apps.dashboard.passkeys import CHALLENGE, challenge_take, place_of, question_json
from apps.dashboard.sessions import client_ip, nul_bytes_refuse, user_agent
from apps.dashboard.text_fields import Text
from apps.users.selectors import passkeys_of, principal_of, totp_confirmed, users_active
from apps.users.services.access import access_change_publish
from apps.users.services.logins import LoginFailed, passkey_login, person_login, second_step_code
from apps.users.services.operator_file import operator_has_password
from apps.users.services.passkeys import assertion_options
from apps.users.services.people import InvitationExpired, invitation_accept, invitation_read
from apps.users.services.reauthentication import reauthentication_note
from apps.users.services.second_factor import has_second_factor
from apps.users.services.sessions import session_start
from apps.users.states import Factor

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

    from apps.users.models import User


PENDING: Final = "pending"
"""Where a session keeps who gave a right password and owes the second step."""
PENDING_FOR: Final = timedelta(minutes=5)


def next_page(request: HttpRequest) -> str:
    """Where to go on: only ever an address of our own."""
    wanted = request.POST.get("next") or request.GET.get("next") or "/"
    allowed = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure())
    return wanted if allowed and wanted.startswith("/") else "/"


def gate(request: HttpRequest, template: str, *, status: int = 200, **context: Any) -> HttpResponse:
    """Render a page outside the frame."""
    network = network_known()
    around = {
        "network": network.name if network is not None else "",
        "has_first_password": settings.EMBEDDED and operator_has_password(settings.VAR / "operator.json"),
        "theme": request.COOKIES.get(THEME_COOKIE, ""),
        "next": next_page(request),
    }
    return render(request, template, around | context, status=status)


def come_in(request: HttpRequest, person: User, *, factor: str, then: str) -> HttpResponse:
    """Open the session and go on."""
    for name in (PENDING, CHALLENGE):
        request.session.pop(name, None)
    login(request, person)
    reauthentication_note(request.session, now=clock.now())
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
    password = Text(strip=False)


class WelcomeForm(PageForm):
    """The password that somebody chose, twice."""

    password = Text(strip=False)
    again = Text(strip=False)

    def clean(self) -> None:
        """Compare the two.  Raises ValidationError."""
        if self.cleaned_data.get("password") != self.cleaned_data.get("again"):
            raise ValidationError(_("The two passwords do not match."))


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


def login_page(request: HttpRequest, *, username: str, error: str) -> HttpResponse:
    """Show the login."""
    status = 422 if error else 200
    return gate(
        request, "users/login.html", status=status, title=_("Sign in"), username=username, error=error
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
            factor = second_step_code(person, code=code, source=client_ip(request), now=clock.now())
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
    return question_json(request, assertion_options(pending_of(request), place=place_of(request)))


@require_POST
@never_cache
def passkey(request: HttpRequest) -> HttpResponse:
    """Take the browser's answer."""
    nul_bytes_refuse(request)
    person, then = pending_of(request), next_page(request)
    if person is not None:
        then = request.session[PENDING]["next"]
    try:
        owner = passkey_login(
            answer=request.POST.get("answer", ""),
            challenge=challenge_take(request),
            place=place_of(request),
            source=client_ip(request),
            now=clock.now(),
            person=person,
        )
    except DomainError as refusal:
        if person is not None:
            return second_page(request, person, error=refusal.reason)
        return login_page(request, username="", error=refusal.reason)
    return come_in(request, owner, factor=Factor.PASSKEY, then=then)


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    """End the session; its other pages notice within a second."""
    logout(request)
    access_change_publish()
    return redirect("login")


@sensitive_post_parameters()
@ensure_csrf_cookie
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def invitation(request: HttpRequest, who: str, token: str) -> HttpResponse:
    """Set the password of somebody who was invited, or whose account was reset."""
    nul_bytes_refuse(request)
    try:
        person = invitation_read(who, token)
        principal = principal_of(person, source=client_ip(request))
    except InvitationExpired as over:
        return gate(
            request, "users/invitation.html", status=404, title=_("Link"), person=None, error=over.reason
        )
    except DomainError:
        return gate(
            request,
            "users/invitation.html",
            status=404,
            title=_("Link"),
            person=None,
            error=LoginFailed().reason,
        )
    form = WelcomeForm.of(request)
    if form.is_valid():
        with form.refusals():
            invitation_accept(person, password=form.cleaned_data["password"], principal=principal)
            return redirect(f"{reverse('login')}?kept=1")
    status = 422 if form.errors else 200
    return gate(
        request, "users/invitation.html", status=status, title=_("Welcome"), person=person, error=form.why
    )


urlpatterns: Final = [
    path("login/", sign_in, name="login"),
    path("login/second/", second_step, name="login-second"),
    path("login/passkey/", passkey, name="login-passkey"),
    path("login/passkey/options/", passkey_options, name="login-passkey-options"),
    path("logout/", sign_out, name="logout"),
    path("invitation/<str:who>/<str:token>/", invitation, name="invitation"),
]
