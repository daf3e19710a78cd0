"""The page for an address that is none: inside the frame for people, as ever for everybody else."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

from apps.core import health
from apps.dashboard.languages import language_activate
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.sessions import client_ip
from apps.users.errors import TokenRefused
from apps.users.selectors.principals import principal_of


def missing(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 404: with the frame for a signed-in person, with JSON for a program, else with a plain page."""
    if request.path.startswith(health.MACHINE_PATHS):
        return health.missing(request, exception)
    language_activate(request)
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return health.missing(request, exception)
    try:
        viewer = principal_of(user, source=client_ip(request))
    except TokenRefused:
        return health.missing(request, exception)
    return page_render(
        request,
        "dashboard/missing.html",
        title=_("Not found"),
        section="",
        data=PageData(viewer),
        status=404,
    )
