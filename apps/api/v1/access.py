"""Who may call a REST route: a token or a session, its level and its scopes."""

from __future__ import annotations

from typing import Any, cast

from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from apps.api.callers import principal_from_request, principal_from_session, request_source
from apps.core import clock
from apps.core.errors import NotAllowed
from apps.core.marked_texts import gettext
from apps.users.rules.principals import Principal
from apps.users.services.reauthentication import is_reauthenticated


class Caller:
    """What DRF calls the user: somebody who was let in; the facts are in the principal."""

    is_authenticated = True
    is_anonymous = False
    pk = None

    def __init__(self, principal: Principal) -> None:
        self.principal = principal

    def __str__(self) -> str:
        return self.principal.actor


class TokenAuthentication(BaseAuthentication):
    """`Authorization: Bearer <token>`, or `?token=` as the Go clients write it."""

    def authenticate(self, request: Request) -> tuple[Any, Principal] | None:
        """Return who holds the token; None without one.  Raises TokenRefused."""
        if not request.headers.get("Authorization") and "token" not in request.query_params:
            return None
        principal = principal_from_request(request._request)
        return Caller(principal), principal

    def authenticate_header(self, request: Request) -> str:  # noqa: ARG002  # DRF's signature
        """Name the scheme for the 401 answer."""
        return "Bearer"


class PersonAuthentication(SessionAuthentication):
    """The session of a page; writing needs the CSRF token as everywhere."""

    def authenticate(self, request: Request) -> tuple[Any, Principal] | None:
        """Return which person is logged in; None if nobody is."""
        found = super().authenticate(request)
        if found is None:
            return None
        return found[0], principal_from_session(found[0], source=request_source(request._request))


def caller_of(request: Request) -> Principal | None:
    """Return whom our authentication classes found; DRF types its `auth` for tokens of its own."""
    return cast("Principal | None", request.auth)


class NotConfirmed(NotAllowed):
    """A person's session that is too long past the last proof of who they are; tokens are not asked."""

    code = "not_confirmed"

    def __init__(self) -> None:
        super().__init__(gettext("confirm your identity on the Account page first, or use a token"))


class MayCall(BasePermission):
    """Level and scope that the view asks for by `perms` and `scope`."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Raise NotAllowed that says what is missing, or return True."""
        principal = caller_of(request)
        if principal is None:
            return False
        need = view.perms.get(request.method, "admin")
        if not principal.may(need):
            raise NotAllowed(
                gettext("this requires the level '{need}', the caller has '{perm}'").format(
                    need=need, perm=principal.perm
                )
            )
        scopes = view.scopes or (view.scope,)
        if not any(principal.has_scope(scope) for scope in scopes):
            missing = " or ".join(one or "general" for one in scopes)
            raise NotAllowed(gettext("this requires a token with the scope '{scope}'").format(scope=missing))
        name = f"rest.{type(view).__name__}"
        if not principal.may_call(name):
            raise NotAllowed(gettext("this token does not allow {method}").format(method=name))
        is_operators = view.operator_only or request.method in view.operator_methods
        if is_operators and not principal.is_operator:
            raise NotAllowed(gettext("only the pool's operator can do this"))
        if principal.is_partial and (is_operators or request.method in view.whole_methods):
            raise NotAllowed(gettext("this token is limited to certain miners or signers"))
        if request.method in view.confirmed_methods and not is_proved(request):
            raise NotConfirmed
        return True


def is_proved(request: Request) -> bool:
    """Return whether a person proved lately who they are; a token is its own proof."""
    is_person = isinstance(request.successful_authenticator, PersonAuthentication)
    return not is_person or is_reauthenticated(request.session, now=clock.now())
