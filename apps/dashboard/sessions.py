"""The person before the page."""

from __future__ import annotations

from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import quote, urlsplit

from django.conf import settings
from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY, logout
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import SuspiciousOperation
from django.http import Http404, HttpResponse
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext

from apps.core.clock import now
from apps.core.errors import NotFound
from apps.users.errors import TokenRefused
from apps.users.rules.principals import Principal
from apps.users.selectors.people import sessions_decoded, users_active
from apps.users.selectors.principals import principal_of
from apps.users.services.sessions import SEEN_EVERY, session_touch

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from typing import Concatenate, ParamSpec

    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

    from apps.users.models import User

    Args = ParamSpec("Args")
    PageView = Callable[Concatenate[HttpRequest, Principal, Args], HttpResponseBase]
    SiteView = Callable[Concatenate[HttpRequest, Args], HttpResponseBase]


@dataclass(frozen=True, slots=True)
class Person:
    """How the frame names whoever is signed in."""

    name: str
    initials: str
    role: str


def person_of(request: HttpRequest) -> Person | None:
    """Return the person behind a request; None at the login."""
    if not request.user.is_authenticated:
        return None
    user = request.user
    name = user.get_username()
    return Person(name=name, initials=name[:2].upper(), role=str(user.get_role_display()).lower())


SEEN: Final = "seen_at"
"""Where a session keeps when it was last noted; so most requests ask the database nothing."""


def client_ip(request: HttpRequest) -> str:
    """Return the network address of whoever asks."""
    return str(request.META.get("REMOTE_ADDR", ""))


def user_agent(request: HttpRequest) -> str:
    """Return what the browser calls itself."""
    return request.headers.get("User-Agent", "").replace("\0", "")


def session_activity_note(request: HttpRequest) -> None:
    """Note now and then that this browser was here, for the page Account."""
    moment = now()
    key = request.session.session_key
    if key is None or moment.timestamp() - request.session.get(SEEN, 0) < SEEN_EVERY.total_seconds():
        return
    user = cast("User", request.user)
    session_touch(user, key=key, device=user_agent(request), source=client_ip(request), now=moment)
    request.session[SEEN] = int(moment.timestamp())


def nul_bytes_refuse(request: HttpRequest) -> None:
    """Refuse a request with a NUL, which no text in the database can hold.  Raises SuspiciousOperation."""
    values = [value for query in (request.GET, request.POST) for _, found in query.lists() for value in found]
    if any("\0" in value for value in (request.path, *values)):
        raise SuspiciousOperation(gettext("the address or a field contains a NUL byte"))


def login_redirect(request: HttpRequest) -> HttpResponseBase:
    """Lead to the login, and from there to the page that is open: the address of an action shows nothing."""
    htmx = getattr(request, "htmx", None)
    if htmx:  # a redirect would be followed unseen, and the login swapped into a row
        there = f"{settings.LOGIN_URL}?next={quote(htmx.current_url_abs_path or '/')}"
        return HttpResponse(status=204, headers={"HX-Redirect": there})
    if request.method in ("GET", "HEAD"):
        return redirect_to_login(request.get_full_path())
    before = urlsplit(request.headers.get("Referer", ""))
    return redirect_to_login(before.path if before.netloc == request.get_host() else "/")


def sign_in_required(view: PageView[Args]) -> SiteView[Args]:
    """Call the view with the principal of who is signed in; a closed account is signed out.

    What is not there, or not for this person, is a page that is missing.
    """

    @wraps(view)
    def guarded(request: HttpRequest, *args: Args.args, **kwargs: Args.kwargs) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return login_redirect(request)
        nul_bytes_refuse(request)
        try:
            viewer = principal_of(request.user, source=client_ip(request))
        except TokenRefused:
            logout(request)
            return login_redirect(request)
        session_activity_note(request)
        try:
            return view(request, viewer, *args, **kwargs)
        except NotFound as error:
            raise Http404 from error

    return cast("SiteView[Args]", guarded)


@dataclass(frozen=True, slots=True)
class PageSession:
    """A person in one session: what a page's socket was opened with."""

    user_id: int | None
    session_key: str | None


@dataclass(frozen=True, slots=True)
class Viewer:
    """Whoever a page is open for."""

    principal: Principal
    """What may be seen, without the person's name."""
    language: str
    """As the person chose; empty: the browser's."""
    time_zone: str
    """As the person chose; empty: UTC."""


def viewer_of(page_session: PageSession) -> Viewer | None:
    """Return what the session of a page may see; None if it is over."""
    return viewers_of({page_session}).get(page_session)


def viewers_of(page_sessions: Collection[PageSession]) -> dict[PageSession, Viewer]:
    """Return what each of these may see now, without names, so that colleagues share what is rendered.

    Missing are those whose session ended, whose password was changed since, or who may not sign in any more.
    """
    keys = {page_session.session_key for page_session in page_sessions if page_session.session_key}
    facts = sessions_decoded(keys, now=now())
    ids = {page_session.user_id for page_session in page_sessions if page_session.user_id is not None}
    people = {user.pk: user for user in users_active(ids)}
    found = {}
    for page_session in page_sessions:
        session, user = facts.get(page_session.session_key or "", {}), people.get(page_session.user_id or 0)
        if user is None or session.get(SESSION_KEY) != str(user.pk):
            continue
        if not constant_time_compare(session.get(HASH_SESSION_KEY, ""), user.get_session_auth_hash()):
            continue
        try:
            full = principal_of(user)
        except TokenRefused:
            continue
        principal = Principal(
            tenant_id=full.tenant_id,
            tenant_name=full.tenant_name,
            is_operator=full.is_operator,
            perm=full.perm,
        )
        found[page_session] = Viewer(principal, user.language, user.time_zone)
    return found
