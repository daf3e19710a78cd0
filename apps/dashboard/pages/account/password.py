"""Changing one's own password."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import PasswordChangeForm
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_post_parameters

from apps.core import clock
from apps.core.errors import DomainError
from apps.dashboard.notices import notice_leave
from apps.dashboard.pages.account.page import own_page, person_before
from apps.dashboard.refusals import refusal_text
from apps.dashboard.sessions import client_ip
from apps.users.selectors.principals import principal_of
from apps.users.services.own_account import own_password_change
from apps.users.services.reauthentication import password_reauthenticate

if TYPE_CHECKING:
    from apps.users.models import User


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
            raise ValidationError(refusal_text(refusal)) from None
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

        def rekey() -> str:
            update_session_auth_hash(request, user)
            return request.session.session_key or ""

        own_password_change(
            user,
            new_password=form.cleaned_data["new_password1"],
            key=request.session.session_key or "",
            rekey=rekey,
            by=principal_of(user, source=client_ip(request)),
        )
        notice_leave(request, _("Password changed. Your other browsers are signed out."))
        return redirect("today")
    status = 422 if form.errors else 200
    return own_page(
        request,
        principal_of(user),
        "users/password.html",
        title=_("Change password"),
        status=status,
        form=form,
    )


urlpatterns: Final = [
    path("password/", password, name="password"),
]
