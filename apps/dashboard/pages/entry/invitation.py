"""An invited person chooses a password."""

from __future__ import annotations

from typing import Final

from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from apps.core.errors import DomainError
from apps.dashboard.forms import PageForm
from apps.dashboard.pages.entry.sign_in import gate
from apps.dashboard.refusals import refusal_text
from apps.dashboard.sessions import client_ip, nul_bytes_refuse
from apps.dashboard.text_fields import Text
from apps.users.errors import InvitationExpired, LoginFailed
from apps.users.selectors.principals import principal_of
from apps.users.services.people import invitation_accept, invitation_read


class WelcomeForm(PageForm):
    """The password that somebody chose, twice."""

    password = Text(strip=False, is_secret=True)
    again = Text(strip=False, is_secret=True)

    def clean(self) -> None:
        """Compare the two.  Raises ValidationError."""
        if self.cleaned_data.get("password") != self.cleaned_data.get("again"):
            raise ValidationError(_("The two passwords do not match."))


@sensitive_post_parameters()
@ensure_csrf_cookie
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def invitation(request: HttpRequest, who: str, token: str) -> HttpResponse:
    """Set the password of somebody who was invited, or whose account was reset."""
    nul_bytes_refuse(request)
    try:
        person = invitation_read(who, token=token)
        principal = principal_of(person, source=client_ip(request))
    except InvitationExpired as over:
        return gate(
            request,
            "users/invitation.html",
            status=404,
            title=_("Link"),
            person=None,
            error=refusal_text(over),
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
    path("invitation/<str:who>/<str:token>/", invitation, name="invitation"),
]
