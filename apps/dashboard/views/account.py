"""Signing in and out, the password, the theme."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from django.contrib.auth import login, logout, update_session_auth_hash
from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import PasswordChangeForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from apps.core import clock
from apps.dashboard.frame import THEME_COOKIE, THEMES, network_known, page_render
from apps.dashboard.people import nulls_refuse
from apps.dashboard.regions.scene import Scene
from apps.users.logins import LoginFailed, LoginTooEarly, person_login
from apps.users.selectors import principal_of
from apps.users.services import access_changed, password_change

if TYPE_CHECKING:
    from apps.users.models import User

YEAR_S = 365 * 86_400


def next_page(request: HttpRequest) -> str:
    """Where to go on: only ever an address of our own."""
    wanted = request.POST.get("next") or request.GET.get("next") or "/"
    allowed = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure())
    return wanted if allowed else "/"


@sensitive_post_parameters("password")
@ensure_csrf_cookie
def sign_in(request: HttpRequest) -> HttpResponse:
    """Show the login, or check name and password and go on to the page that was asked for."""
    nulls_refuse(request)
    if request.user.is_authenticated:
        return redirect(next_page(request))
    username, error = "", ""
    if request.method == "POST":
        username = request.POST.get("username", "")
        try:
            user = person_login(
                username=username,
                password=request.POST.get("password", ""),
                source=request.META.get("REMOTE_ADDR", ""),
                now=clock.now(),
                request=request,
            )
        except (LoginFailed, LoginTooEarly) as refusal:
            error = refusal.reason
        else:
            login(request, user)
            return redirect(next_page(request))
    network = network_known()
    context = {
        "title": "Sign in",
        "username": username,
        "error": error,
        "next": next_page(request),
        "network": network.name if network is not None else "",
        "theme": request.COOKIES.get(THEME_COOKIE, ""),
    }
    return render(request, "users/login.html", context, status=422 if error else 200)


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    """End the session; its other pages notice within a second."""
    logout(request)
    access_changed()
    return redirect("login")


@login_required
@sensitive_post_parameters()
def password(request: HttpRequest) -> HttpResponse:
    """Change one's own password."""
    user = cast("User", request.user)
    form = PasswordChangeForm(user, request.POST or None)
    if request.method == "POST" and form.is_valid():
        password_change(user=user, new_password=form.cleaned_data["new_password1"])
        update_session_auth_hash(request, user)
        access_changed()  # pages of the other sessions show nothing more
        return redirect("today")
    status = 422 if form.errors else 200
    return page_render(
        request,
        "users/password.html",
        title="Change password",
        section="",
        page_key="",
        scene=Scene(principal_of(user)),
        status=status,
        form=form,
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
