"""Ending one's own sessions."""

from __future__ import annotations

from typing import Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path
from django.utils.translation import gettext
from django.views.decorators.http import require_POST

from apps.core.errors import NotFound
from apps.core.formatting import plural
from apps.dashboard.notices import notice_leave
from apps.dashboard.pages.account.page import person_before
from apps.dashboard.reauthentication import reauthenticated
from apps.dashboard.sessions import sign_in_required
from apps.users.rules.principals import Principal
from apps.users.services.own_account import own_session_end, own_sessions_end


@require_POST
@sign_in_required
@reauthenticated
def session_stop(request: HttpRequest, viewer: Principal, pk: int) -> HttpResponse:
    """Sign one browser out."""
    try:
        own_session_end(person_before(request), pk=pk, by=viewer)
    except NotFound:
        raise Http404 from None
    return redirect("account")


@require_POST
@sign_in_required
@reauthenticated
def sessions_stop(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Sign all other browsers out."""
    key = request.session.session_key or ""
    ended = own_sessions_end(person_before(request), but=key, by=viewer)
    notice_leave(request, gettext("Signed out: {browsers}.").format(browsers=plural(ended, "other browser")))
    return redirect("account")


urlpatterns: Final = [
    path("account/sessions/end/", sessions_stop, name="account-sessions-end"),
    path("account/sessions/<int:pk>/end/", session_stop, name="account-session-end"),
]
