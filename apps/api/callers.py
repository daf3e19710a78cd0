"""Who sends a request: from the token in its header or query, or from the session of a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.http import HttpRequest

from apps.core import clock
from apps.users.errors import TokenRefused
from apps.users.rules.principals import Principal
from apps.users.selectors.principals import principal_of, principal_of_token
from apps.users.selectors.tokens import token_by_text
from apps.users.services.tokens import token_use_record

if TYPE_CHECKING:
    from apps.users.models import User

BEARER: Final = "Bearer "


def token_text(authorization: str, query_token: str = "") -> str:
    """Return the token of the header, else out of `?token=`; empty if there is none.

    Raises TokenRefused for a header of another scheme.
    """
    if authorization:
        if not authorization.lower().startswith(BEARER.lower()):
            raise TokenRefused("the Authorization header must start with 'Bearer '")
        return authorization[len(BEARER) :].strip()
    return query_token.removeprefix(BEARER).strip()


def principal_from_token(text: str, *, source: str) -> Principal:
    """Return who holds a token and note its use.  Raises TokenRefused."""
    now = clock.now()
    row = token_by_text(text)
    if row is None:
        raise TokenRefused("this token is not registered here")
    principal = principal_of_token(row, now=now, source=source)
    token_use_record(row, now=now, source=source)
    return principal


def principal_from_request(request: HttpRequest) -> Principal:
    """Return who sends a request that must carry a token.  Raises TokenRefused."""
    text = token_text(request.headers.get("Authorization", ""), request.GET.get("token", ""))
    if not text:
        raise TokenRefused("a token is required: send 'Authorization: Bearer <token>'")
    return principal_from_token(text, source=request_source(request))


def principal_from_session(user: User, *, source: str) -> Principal:
    """Return who a logged-in person is.  Raises TokenRefused."""
    return principal_of(user, source=source)


def request_source(request: HttpRequest) -> str:
    """Return the network address of the caller."""
    return str(request.META.get("REMOTE_ADDR", ""))
