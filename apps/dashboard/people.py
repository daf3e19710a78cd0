"""The person before the page."""

from __future__ import annotations

from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, cast

from django.contrib.auth import logout
from django.contrib.auth.decorators import login_required
from django.shortcuts import redirect

from apps.users.errors import TokenRefused
from apps.users.selectors import principal_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Concatenate, ParamSpec

    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

    from apps.users.models import User
    from apps.users.principals import Principal

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
    """Give the person behind a request; None at the login."""
    if not request.user.is_authenticated:
        return None
    user = request.user
    name = user.get_username()
    return Person(name=name, initials=name[:2].upper(), role=str(user.get_role_display()).lower())


def for_people(view: PageView[Args]) -> SiteView[Args]:
    """Let signed-in people in and hand their principal to the view; a closed account is signed out."""

    @login_required
    @wraps(view)
    def guarded(request: HttpRequest, *args: Args.args, **kwargs: Args.kwargs) -> HttpResponseBase:
        try:
            viewer = principal_of(cast("User", request.user), source=request.META.get("REMOTE_ADDR", ""))
        except TokenRefused:
            logout(request)
            return redirect("login")
        return view(request, viewer, *args, **kwargs)

    return cast("SiteView[Args]", guarded)
