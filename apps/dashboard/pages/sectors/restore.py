"""A sector that was given up comes back: what the chain allows is shown first."""

from __future__ import annotations

import uuid
from typing import Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path
from django.utils.translation import gettext

from apps.core.errors import DomainError
from apps.dashboard.forms import PageForm, form_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.sectors.detail import sector_detail
from apps.dashboard.refusals import refusal_text
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.text_fields import Text, Tick
from apps.sectors.selectors.sealing_context import sealing_context_read
from apps.sectors.selectors.sectors import sector_get
from apps.sectors.services.sealing.restore import restoration_plan, sector_restore
from apps.users.rules.principals import Principal
from poolsite.wire.pipeline import SectorState


class RestoreForm(PageForm):
    """Why, and whether it is sealed without the data that it had."""

    sure = Tick()
    force = Tick()
    reason = Text()


@sign_in_required
def restore(request: HttpRequest, viewer: Principal, key: uuid.UUID) -> HttpResponse:
    """Show where a sector would go, or why it stays; bring it back with the second click."""
    row = sector_get(viewer, str(key))
    if not viewer.may("write"):
        raise Http404
    form = RestoreForm.of(request)
    if form.is_valid() and form.cleaned_data["sure"]:
        with form.refusals():
            reason, force = form.cleaned_data["reason"][:500], form.cleaned_data["force"]
            sector_restore(row, force=force, reason=reason, by=viewer, work=sealing_context_read())
            return redirect("sector", key)
    plan, wrong = None, ""
    try:
        plan = restoration_plan(row, force=True, work=sealing_context_read(is_preview=True))
        wrong = plan.refusal
    except DomainError as refusal:
        wrong = refusal_text(refusal)
    data = PageData(viewer)
    detail = sector_detail(row, data)
    return form_render(
        request,
        viewer,
        "sectors/restore.html",
        form,
        title=gettext("Restore {name}").format(name=detail.row.name),
        section="sectors",
        data=data,
        sector=detail,
        wrong=wrong,
        error=form.why,
        plan=plan,
        is_proving=plan is not None and plan.state == SectorState.PROVING,
        has_data=any(piece.get("payload") for piece in row.pieces),
    )


urlpatterns: Final = [path("sectors/<uuid:key>/restore/", restore, name="sector-restore")]
