"""A person's authenticator app and recovery codes."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final

import segno
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.dashboard.confirm_page import ConfirmPage, confirm_page_render, is_confirm_submitted
from apps.dashboard.forms import CodeForm
from apps.dashboard.pages.account.page import own_page, person_before
from apps.dashboard.reauthentication import reauthenticated
from apps.dashboard.refusals import refusal_text
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.shown_once import secret_keep, secret_take
from apps.users.errors import WrongCode
from apps.users.rules.principals import Principal
from apps.users.selectors.people import is_company_person, totp_waiting
from apps.users.services.own_account import own_recovery_codes_make, own_totp_add, own_totp_remove
from apps.users.services.second_factor import (
    has_second_factor,
    recovery_codes_count,
    totp_begin,
    totp_secret_format,
    totp_uri_build,
)

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


CODES: Final = "recovery_codes"


def account_ask(title: StrOrPromise, text: StrOrPromise, label: StrOrPromise) -> ConfirmPage:
    """Write a question of this page."""
    return ConfirmPage(title, text, label, back=reverse("account"), page=_("Account"), section="")


@sensitive_post_parameters("code")
@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
@reauthenticated
def totp(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Show a new app's secret, and take its first code."""
    person, form = person_before(request), CodeForm.of(request)
    if is_company_person(person):  # whose second factor is the provider's
        return redirect("account")
    device = totp_begin(person)
    if device.confirmed_at is not None:
        return redirect("account")
    error = ""
    if form.is_valid():
        try:
            return codes_show(request, own_totp_add(person, code=form.cleaned_data["code"], by=viewer))
        except WrongCode as refusal:
            error = gettext("{reason} Check that the phone's clock is correct.").format(
                reason=refusal_text(refusal)
            )
    return own_page(
        request,
        viewer,
        "users/totp.html",
        title=_("Authenticator app"),
        status=422 if error else 200,
        error=error,
        secret=totp_secret_format(device),
    )


@never_cache
@require_safe
@sign_in_required
@reauthenticated
def totp_qr(request: HttpRequest, _viewer: Principal) -> HttpResponse:
    """Draw the secret of an app that waits for its first code; afterwards it is shown to nobody."""
    device = totp_waiting(person_before(request))
    uri = totp_uri_build(device) if device is not None else ""
    if not uri:
        raise Http404
    drawing = io.BytesIO()
    segno.make(uri, error="m").save(drawing, kind="svg", scale=5, border=3, dark="#000", light="#fff")
    return HttpResponse(drawing.getvalue(), content_type="image/svg+xml")


@require_POST
@sign_in_required
@reauthenticated
def totp_delete(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Forget the app."""
    if not is_confirm_submitted(request):
        text = gettext(
            "Its codes stop working. Without another second factor, your password alone signs you in."
        )
        return confirm_page_render(request, viewer, account_ask(_("Remove the app"), text, _("Remove")))
    own_totp_remove(person_before(request), by=viewer)
    return redirect("account")


def codes_show(request: HttpRequest, codes: list[str]) -> HttpResponse:
    """Show new recovery codes on a page of their own, once; without any go back to the account."""
    if not codes:
        return redirect("account")
    secret_keep(request, CODES, codes=codes)
    return redirect("account-recovery")


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
@reauthenticated
def recovery(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Make new recovery codes, or show those that were just made."""
    if request.method == "POST":
        if not has_second_factor(person_before(request)):
            return redirect("account")
        if recovery_codes_count(person_before(request)) and not is_confirm_submitted(request):
            text = gettext("Your current recovery codes stop working.")
            return confirm_page_render(
                request, viewer, account_ask(_("Generate new recovery codes"), text, _("Generate codes"))
            )
        return codes_show(request, own_recovery_codes_make(person_before(request), by=viewer))
    made = secret_take(request, CODES)
    if not made:
        return redirect("account")
    return own_page(request, viewer, "users/recovery.html", title=_("Recovery codes"), codes=made["codes"])


urlpatterns: Final = [
    path("account/totp/", totp, name="account-totp"),
    path("account/totp.svg", totp_qr, name="account-totp-qr"),
    path("account/totp/remove/", totp_delete, name="account-totp-remove"),
    path("account/recovery/", recovery, name="account-recovery"),
]
