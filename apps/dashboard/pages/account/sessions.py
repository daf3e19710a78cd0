"""Ending one's own sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path
from django.utils.translation import gettext
from django.views.decorators.http import require_POST

from apps.core.formatting import plural
from apps.dashboard.notices import notice_leave
from apps.dashboard.pages.account.page import changed, person_before
from apps.dashboard.reauthentication import reauthenticated
from apps.dashboard.sessions import sign_in_required
from apps.users.services.sessions import session_end, sessions_end

if TYPE_CHECKING:
    from apps.users.rules.principals import Principal


@require_POST
@sign_in_required
@reauthenticated
def session_stop(request: HttpRequest, viewer: Principal, pk: int) -> HttpResponse:
    """Sign one browser out."""
    with transaction.atomic():
        if not session_end(person_before(request), pk=pk):
            raise Http404
        changed(viewer, "person.session.end")
    return redirect("account")


@require_POST
@sign_in_required
@reauthenticated
def sessions_stop(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Sign all other browsers out."""
    with transaction.atomic():
        ended = sessions_end(person_before(request), but=request.session.session_key or "")
        changed(viewer, "person.session.end", sessions=plural(ended, "session"))
    notice_leave(request, gettext("Signed out: {browsers}.").format(browsers=plural(ended, "other browser")))
    return redirect("account")


urlpatterns: Final = [
    path("account/sessions/end/", sessions_stop, name="account-sessions-end"),
    path("account/sessions/<int:pk>/end/", session_stop, name="account-session-end"),
]
