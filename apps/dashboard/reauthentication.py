"""Asking once more who it is, in the way of what would let a stranger in; nothing that was typed is lost.

The question comes in place of the page's answer: its form goes to the same address and carries the fields of
the first click along, so the action goes on where it was held up.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.core import clock
from apps.core.errors import DomainError
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.passkeys import challenge_pop, place_of
from apps.dashboard.refusals import refusal_text
from apps.dashboard.sessions import client_ip
from apps.users.rules.principals import Principal
from apps.users.selectors.people import is_company_person, passkeys_of, totp_confirmed
from apps.users.services.reauthentication import (
    code_reauthenticate,
    is_reauthenticated,
    passkey_reauthenticate,
    password_reauthenticate,
    reauthentication_note,
)

if TYPE_CHECKING:
    from apps.users.models import User

PASSWORD: Final = "confirm-password"  # noqa: S105  # the name of a field
CODE: Final = "confirm-code"
PASSKEY: Final = "confirm-passkey"
BACK: Final = "confirm-back"
"""Fields of the question; the page that asked has none of these names."""
OWN: Final = frozenset({PASSWORD, CODE, PASSKEY, BACK, "csrfmiddlewaretoken"})


def reauthenticated(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Pass whoever proved lately who they are; others are asked first."""

    @wraps(view)
    def guarded(request: HttpRequest, viewer: Principal, *args: Any, **kwargs: Any) -> HttpResponse:
        held = reauthenticate_first(request, viewer)
        return held if held is not None else view(request, viewer, *args, **kwargs)

    return guarded


def reauthenticate_first(request: HttpRequest, viewer: Principal) -> HttpResponse | None:
    """Return the question, or None to whoever proved lately who they are or does so with this request."""
    if is_reauthenticated(request.session, now=clock.now()):
        return None
    if request.method != "POST" or not expects_page(request):
        return redirect_to_reauthentication(request)
    if not is_submitted(request):
        return reauthentication_page(request, viewer)
    error = credentials_check(request)
    return reauthentication_page(request, viewer, error=error) if error else None


def expects_page(request: HttpRequest) -> bool:
    """Return whether the answer is shown as a page: neither swapped into one, nor read by a script."""
    return not getattr(request, "htmx", False) and "application/json" not in request.headers.get("Accept", "")


def redirect_to_reauthentication(request: HttpRequest) -> HttpResponse:
    """Lead to the question, and from there back to this address, or to the page that is open.

    A script is told where the question is, not refused: it goes there, and the browser logs no failure.
    """
    there = request.get_full_path()
    htmx = getattr(request, "htmx", None)
    if htmx:
        there = htmx.current_url_abs_path or "/"
    elif request.method == "POST":
        there = reverse("account")
    there = f"{reverse('account-confirm')}?{urlencode({'next': there})}"
    if htmx:
        return HttpResponse(status=204, headers={"HX-Redirect": there})
    return redirect(there) if expects_page(request) else JsonResponse({"confirm": there})


def is_submitted(request: HttpRequest) -> bool:
    """Return whether the question was answered, rightly or not."""
    return any(request.POST.get(name) for name in (PASSWORD, CODE, PASSKEY))


def credentials_check(request: HttpRequest) -> str:
    """Compare the answer with what the person has; note a right one, return what is wrong with another."""
    person, now, source = cast("User", request.user), clock.now(), client_ip(request)
    wrong = ""
    try:
        if request.POST.get(PASSKEY):
            passkey_reauthenticate(
                person,
                answer=request.POST[PASSKEY],
                challenge=challenge_pop(request),
                place=place_of(request),
                source=source,
                now=now,
            )
        elif request.POST.get(PASSWORD):
            password = request.POST[PASSWORD]
            if not password_reauthenticate(person, password=password, source=source, now=now):
                wrong = gettext("Wrong password.")
        elif not code_reauthenticate(person, code=request.POST[CODE][:64], source=source, now=now):
            wrong = gettext("That code is wrong or has already been used.")
    except DomainError as refusal:
        return refusal_text(refusal)
    if not wrong:
        reauthentication_note(request.session, now=now)
    return wrong


def reauthentication_page(request: HttpRequest, viewer: Principal, *, error: str = "") -> HttpResponse:
    """Show the question; the form goes to the same address with all that came with this request."""
    person = cast("User", request.user)
    sent = [(name, value) for name, values in request.POST.lists() for value in values if name not in OWN]
    return page_render(
        request,
        "users/confirm.html",
        title=_("Confirm"),
        section="",
        page_key="",
        data=PageData(viewer),
        status=422 if error else 200,
        error=error,
        hidden_fields=[*sent, (BACK, back_of(request))],
        back=back_of(request),
        company=settings.OIDC_NAME if is_company_person(person) else "",
        has_app=totp_confirmed(person) is not None,
        has_passkey=passkeys_of(person).exists(),
    )


def back_of(request: HttpRequest) -> str:
    """Return where whoever does not go on came from: only ever an address of our own."""
    before = urlsplit(request.headers.get("Referer", ""))
    referer = before._replace(scheme="", netloc="").geturl() if before.netloc == request.get_host() else ""
    wanted = request.POST.get(BACK) or referer
    return wanted if url_has_allowed_host_and_scheme(wanted, None) else reverse("today")
