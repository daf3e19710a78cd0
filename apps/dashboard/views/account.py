"""A person's own account: password, second factor, passkeys, sessions, theme."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import urlencode

import segno
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import PasswordChangeForm
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.core import clock
from apps.core.errors import DomainError
from apps.dashboard.confirm_page import ConfirmPage, confirm_page_render, is_confirm_submitted
from apps.dashboard.layout import THEME_COOKIE, THEMES, page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.passkeys import challenge_take, place_of, question_json
from apps.dashboard.reauthentication import (
    credentials_check,
    is_submitted,
    reauthenticated,
    reauthentication_page,
)
from apps.dashboard.rows.people import passkey_row, session_row
from apps.dashboard.sessions import client_ip, sign_in_required
from apps.dashboard.views.entry import next_page
from apps.users.encryption import DecryptionFailed, text_decrypt, text_encrypt
from apps.users.models import Passkey, RecoveryCode, TotpDevice
from apps.users.selectors import principal_of
from apps.users.services import access_change_publish, audit_record, password_change
from apps.users.services.passkeys import assertion_options, passkey_add, passkey_remove, registration_options
from apps.users.services.reauthentication import password_reauthenticate
from apps.users.services.second_factor import (
    WrongCode,
    has_second_factor,
    recovery_codes_generate,
    recovery_codes_left,
    totp_begin,
    totp_confirm,
    totp_remove,
    totp_secret,
    totp_uri,
)
from apps.users.services.sessions import session_end, session_rekey, sessions_end, sessions_of

if TYPE_CHECKING:
    from apps.users.models import User
    from apps.users.principals import Principal

YEAR_S: Final = 365 * 86_400
CODES: Final = "recovery_codes"
"""Where a session keeps new recovery codes, sealed, until they were shown."""


def person_before(request: HttpRequest) -> User:
    """The person whose account it is."""
    return cast("User", request.user)


def own_page(
    request: HttpRequest, viewer: Principal, template: str, *, title: str, status: int = 200, **context: Any
) -> HttpResponse:
    """Render a page of one's own account."""
    return page_render(
        request,
        template,
        title=title,
        section="",
        page_key="",
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
    here = request.session.session_key or ""
    return own_page(
        request,
        viewer,
        "users/account.html",
        title="Account",
        status=422 if error else 200,
        error=error,
        totp=TotpDevice.objects.filter(user=person, confirmed_at__isnull=False).first(),
        codes_left=recovery_codes_left(person),
        passkeys=[passkey_row(row) for row in Passkey.objects.filter(user=person).order_by("created_at")],
        sessions=[session_row(row, here=here) for row in sessions_of(person)],
        has_second=has_second_factor(person),
        tenant=viewer.tenant_name,
        called=request.GET.get("passkey", "")[:60],
    )


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def confirm(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Ask once more who it is, and go on to the page that is only shown then."""
    error = ""
    if request.method == "POST":
        error = credentials_check(request) if is_submitted(request) else "Your password is needed."
        if not error:
            return redirect(next_page(request))
    return reauthentication_page(request, viewer, error=error)


@require_POST
@sign_in_required
def confirm_options(request: HttpRequest, _viewer: Principal) -> HttpResponse:
    """Ask the browser for one of the person's passkeys."""
    place = place_of(request)
    return question_json(request, assertion_options(person_before(request), place=place, must_verify=True))


class PasswordForm(PasswordChangeForm):
    """Asks for the old password as the login does: whoever found an open browser cannot guess it here."""

    def __init__(self, user: User, data: Any, *, source: str) -> None:
        super().__init__(user, data)
        self.source = source

    def clean_old_password(self) -> str:
        """Check the old password.  Raises ValidationError."""
        old = str(self.cleaned_data["old_password"])
        try:
            is_right = password_reauthenticate(self.user, password=old, source=self.source, now=clock.now())
        except DomainError as refusal:
            raise ValidationError(refusal.reason) from None
        if not is_right:
            raise ValidationError(self.error_messages["password_incorrect"])
        return old


@login_required
@sensitive_post_parameters()
def password(request: HttpRequest) -> HttpResponse:
    """Change one's own password."""
    user = person_before(request)
    form = PasswordForm(user, request.POST or None, source=client_ip(request))
    if request.method == "POST" and form.is_valid():
        password_change(user=user, new_password=form.cleaned_data["new_password1"])
        old = request.session.session_key or ""
        update_session_auth_hash(request, user)
        session_rekey(old=old, new=request.session.session_key or "")
        sessions_end(user, but=request.session.session_key or "")
        access_change_publish()  # pages of the other sessions show nothing more
        audit_record(
            principal=principal_of(user, source=client_ip(request)),
            action="person.password",
            target=user.get_username(),
        )
        return redirect("today")
    status = 422 if form.errors else 200
    return own_page(
        request, principal_of(user), "users/password.html", title="Change password", status=status, form=form
    )


def changed(viewer: Principal, action: str, **after: Any) -> None:
    """Write a change of one's own account to the audit log."""
    audit_record(principal=viewer, action=action, target=viewer.actor, after=after or None)


@sensitive_post_parameters("code")
@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
@reauthenticated
def totp(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Show a new app's secret, and take its first code."""
    person, error = person_before(request), ""
    device = totp_begin(person)
    if device.confirmed_at is not None:
        return redirect("account")
    if request.method == "POST":
        code = "".join(request.POST.get("code", "").split())[:16]
        try:
            totp_confirm(person, code=code, now=clock.now())
        except WrongCode as refusal:
            error = f"{refusal.reason} Is the phone's clock right?"
        else:
            changed(viewer, "person.totp.add")
            return codes_new(request, person) if not recovery_codes_left(person) else redirect("account")
    return own_page(
        request,
        viewer,
        "users/totp.html",
        title="Authenticator app",
        status=422 if error else 200,
        error=error,
        secret=totp_secret(device),
    )


@never_cache
@require_safe
@sign_in_required
@reauthenticated
def totp_qr(request: HttpRequest, _viewer: Principal) -> HttpResponse:
    """Draw the secret of an app that waits for its first code; afterwards it is shown to nobody."""
    device = TotpDevice.objects.filter(user=person_before(request), confirmed_at=None).first()
    uri = totp_uri(device) if device is not None else ""
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
        text = "Nobody is asked for its codes any more. Without another second factor your password lets in."
        return confirm_page_render(request, viewer, account_ask("Remove the app", text, "Remove it"))
    if totp_remove(person_before(request)):
        changed(viewer, "person.totp.remove")
    codes_drop_unneeded(person_before(request))
    return redirect("account")


def account_ask(title: str, text: str, label: str) -> ConfirmPage:
    """Write a question of this page."""
    return ConfirmPage(title, text, label, back=reverse("account"), page="Account", section="")


def codes_drop_unneeded(person: User) -> None:
    """Without a second factor recovery codes open nothing: they go too."""
    if not has_second_factor(person):
        RecoveryCode.objects.filter(user=person).delete()


def codes_new(request: HttpRequest, person: User) -> HttpResponse:
    """Make recovery codes and show them on a page of their own, once."""
    request.session[CODES] = text_encrypt(json.dumps(recovery_codes_generate(person)))
    return redirect("account-recovery")


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
@reauthenticated
def recovery(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Make new recovery codes, or show those that were just made."""
    if request.method == "POST":
        if not has_second_factor(person_before(request)):
            return redirect("account")
        if recovery_codes_left(person_before(request)) and not is_confirm_submitted(request):
            text = "The codes that you have now open nothing any more."
            return confirm_page_render(
                request, viewer, account_ask("Make new recovery codes", text, "Make new codes")
            )
        changed(viewer, "person.recovery.make")
        return codes_new(request, person_before(request))
    try:
        codes = json.loads(text_decrypt(request.session.pop(CODES, "")))
    except DecryptionFailed:
        return redirect("account")
    return own_page(request, viewer, "users/recovery.html", title="Recovery codes", codes=codes)


@require_POST
@sign_in_required
@reauthenticated
def passkey_options(request: HttpRequest, _viewer: Principal) -> HttpResponse:
    """Ask the browser for a new passkey."""
    return question_json(request, registration_options(person_before(request), place=place_of(request)))


@require_POST
@sign_in_required
@reauthenticated
def passkey_new(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Keep the browser's new passkey; who had to say first who they are goes on with the name they typed."""
    person = person_before(request)
    if not request.POST.get("answer"):
        called = urlencode({"passkey": request.POST.get("name", "").strip()[:60]})
        return redirect(f"{reverse('account')}?{called}#passkeys")
    try:
        row = passkey_add(
            person,
            answer=request.POST.get("answer", ""),
            challenge=challenge_take(request),
            place=place_of(request),
            name=request.POST.get("name", "").strip(),
        )
    except DomainError as refusal:
        return account_page(request, viewer, error=refusal.reason)
    changed(viewer, "person.passkey.add", name=row.name)
    return codes_new(request, person) if not recovery_codes_left(person) else redirect("account")


@require_POST
@sign_in_required
@reauthenticated
def passkey_drop(request: HttpRequest, viewer: Principal, pk: int) -> HttpResponse:
    """Forget one passkey."""
    row = Passkey.objects.filter(user=person_before(request), pk=pk).first()
    if row is not None and not is_confirm_submitted(request):
        text = "It lets you in no longer; a copy on your device opens nothing."
        return confirm_page_render(
            request, viewer, account_ask(f"Remove the passkey {row.name}", text, "Remove it")
        )
    name = passkey_remove(person_before(request), pk=pk)
    if not name:
        raise Http404
    changed(viewer, "person.passkey.remove", name=name)
    codes_drop_unneeded(person_before(request))
    return redirect("account")


@require_POST
@sign_in_required
@reauthenticated
def session_stop(request: HttpRequest, viewer: Principal, pk: int) -> HttpResponse:
    """Sign one browser out."""
    if not session_end(person_before(request), pk=pk):
        raise Http404
    changed(viewer, "person.session.end")
    return redirect("account")


@require_POST
@sign_in_required
@reauthenticated
def sessions_stop(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Sign all other browsers out."""
    ended = sessions_end(person_before(request), but=request.session.session_key or "")
    changed(viewer, "person.session.end", sessions=ended)
    return redirect("account")


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
