"""A person's own account: what stands there, theme, and the question who it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.urls import path
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.core import clock
from apps.core.clock import DAY_S
from apps.core.errors import BadValue
from apps.core.local_time import UTC_NAME, page_zone, zone_find, zone_names
from apps.dashboard.languages import language_activate, zone_activate
from apps.dashboard.layout import THEME_COOKIE, THEMES, page_render
from apps.dashboard.notices import notice_leave
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.entry.sign_in import next_page
from apps.dashboard.passkeys import place_of, question_json
from apps.dashboard.reauthentication import credentials_check, is_submitted, reauthentication_page
from apps.dashboard.refusals import refusal_text
from apps.dashboard.sessions import sign_in_required
from apps.users.rules.principals import Principal
from apps.users.selectors.people import is_company_person, passkeys_of, totp_confirmed
from apps.users.services.language import language_choose
from apps.users.services.passkeys import assertion_options_generate
from apps.users.services.reauthentication import is_reauthenticated
from apps.users.services.second_factor import recovery_codes_count
from apps.users.services.sessions import sessions_list
from apps.users.services.time_zone import time_zone_choose

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from apps.users.models import User

YEAR_S: Final = 365 * DAY_S


def person_before(request: HttpRequest) -> User:
    """Return the person whose account it is."""
    return cast("User", request.user)


def own_page(
    request: HttpRequest,
    viewer: Principal,
    template: str,
    *,
    title: StrOrPromise,
    status: int = 200,
    **context: Any,
) -> HttpResponse:
    """Render a page of one's own account."""
    return page_render(
        request,
        template,
        title=title,
        section="",
        data=PageData(viewer),
        status=status,
        **context,
    )


@require_safe
@sign_in_required
def account(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Everything about one's own account."""
    return account_page(request, viewer)


def account_page(request: HttpRequest, viewer: Principal, *, error: str = "") -> HttpResponse:
    """Show the account, with a refusal where there was one."""
    person = person_before(request)
    totp, passkeys = totp_confirmed(person), passkeys_of(person)
    return own_page(
        request,
        viewer,
        "users/account.html",
        title=_("Account"),
        status=422 if error else 200,
        error=error,
        totp=totp,
        codes_left=recovery_codes_count(person),
        passkeys=passkeys,
        company=settings.OIDC_NAME if is_company_person(person) else "",
        sessions=sessions_list(person),
        here=request.session.session_key,
        has_second=totp is not None or bool(passkeys),
        tenant=viewer.tenant_name,
        called=request.GET.get("passkey", "")[:60],
        languages=[("", _("As the browser asks")), *settings.LANGUAGES],
        language=person.language,
        time_zones=zone_names(),
        time_zone=person.time_zone,
        is_zone_unknown=bool(person.time_zone) and page_zone().name == UTC_NAME,
    )


@require_POST
@sign_in_required
def language(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Keep the language that the person chose, and go on in it."""
    try:
        language_choose(person_before(request), language=request.POST.get("language", ""))
    except BadValue as refusal:
        return account_page(request, viewer, error=refusal_text(refusal))
    language_activate(request)
    notice_leave(request, gettext("Saved: the pages are in this language now."))
    return redirect("account")


@require_POST
@sign_in_required
def time_zone(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Keep the time zone that the person chose, and go on in it."""
    try:
        time_zone_choose(person_before(request), time_zone=zone_find(request.POST.get("time_zone", "")))
    except BadValue as refusal:
        return account_page(request, viewer, error=refusal_text(refusal))
    zone_activate(request)
    notice_leave(request, gettext("Saved: times are {zone} now.").format(zone=page_zone().text))
    return redirect("account")


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def confirm(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Confirm once more who it is, and go on to the page that is only shown then."""
    error = ""
    if request.method == "POST":
        if is_submitted(request):
            error = credentials_check(request)
        elif not is_company_person(person_before(request)):
            error = gettext("Enter your password.")
        elif not is_reauthenticated(request.session, now=clock.now()):
            error = gettext("{name} has not confirmed it yet.").format(name=settings.OIDC_NAME)
        if not error:
            return redirect(next_page(request))
    return reauthentication_page(request, viewer, error=error)


@require_POST
@sign_in_required
def confirm_options(request: HttpRequest, _viewer: Principal) -> HttpResponse:
    """Start a check by one of the person's passkeys."""
    place = place_of(request)
    return question_json(
        request, assertion_options_generate(person_before(request), place=place, must_verify=True)
    )


@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    """Keep the chosen theme in a cookie; an unknown one means the system's."""
    chosen = request.POST.get("theme", "")
    response = HttpResponseRedirect(next_page(request))
    if chosen in {value for value, _ in THEMES if value}:
        response.set_cookie(THEME_COOKIE, chosen, max_age=YEAR_S, samesite="Lax", httponly=True)
    else:
        response.delete_cookie(THEME_COOKIE)
    return response


urlpatterns: Final = [
    path("account/", account, name="account"),
    path("account/language/", language, name="account-language"),
    path("account/time-zone/", time_zone, name="account-time-zone"),
    path("account/confirm/", confirm, name="account-confirm"),
    path("account/confirm/passkey/", confirm_options, name="account-confirm-options"),
    path("theme/", theme, name="theme"),
]
