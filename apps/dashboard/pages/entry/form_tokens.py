"""What a form gets whose token is not the browser's any more: signing in gives all windows another one."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from apps.dashboard.languages import language_activate


def form_token_refused(request: HttpRequest, reason: str = "") -> HttpResponse:  # noqa: ARG001  # Django's
    """Show the login once more, which leads on if somebody signed in meanwhile; of other forms say why."""
    language_activate(request)
    if request.path == reverse("login"):
        return redirect(request.get_full_path())
    return render(request, "403_csrf.html", status=403)
