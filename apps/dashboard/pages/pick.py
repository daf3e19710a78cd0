"""Choices for a field with a picker, as somebody types."""

from __future__ import annotations

import re
from typing import Final

from django.http import Http404, HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import path
from django.utils.translation import gettext
from django.views.decorators.http import require_safe

from apps.core.errors import DomainError
from apps.dashboard.fragments import fragment
from apps.dashboard.pickers import SOURCES, suggested, tenant_viewer
from apps.dashboard.sessions import sign_in_required
from apps.miners.selectors.miners import miner_get, miner_principal
from apps.miners.services.address_changes import may_change
from apps.users.rules.principals import Principal

FIELD_ID: Final = re.compile(r"[a-z][a-z-]{0,40}")


@require_safe
@sign_in_required
def suggest(request: HttpRequest, viewer: Principal, kind: str, field: str) -> HttpResponse:
    """Return the suggestions for one field, and how what it holds is known; the field sends its own value."""
    if kind not in SOURCES or not FIELD_ID.fullmatch(field):
        raise Http404
    if of := request.GET.get("of", ""):
        miner = miner_get(viewer, of)
        if not may_change(viewer, miner=miner):
            raise Http404
        viewer = miner_principal(miner)
    if tenant := request.GET.get("tenant", ""):
        try:
            viewer = tenant_viewer(viewer, tenant)
        except DomainError:
            raise Http404 from None
    text = request.GET.get(request.GET.get("name", ""), "").strip()
    choices = suggested(viewer, kind, text, omit=request.GET.get("omit", ""))
    chosen = next((choice.label for choice in choices if choice.value == text), "")
    if text and not choices:
        chosen = gettext("No results for “{text}”.").format(text=text)
    options = render_to_string("core/_picker_options.html", {"choices": choices, "id": field})
    return HttpResponse(options + fragment("core/_picker_chosen.html", chosen=chosen, id=field))


urlpatterns: Final = [
    path("pick/<str:kind>/<str:field>/", suggest, name="pick"),
]
