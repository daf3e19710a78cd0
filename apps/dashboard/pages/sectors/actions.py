"""What can be done about a sector that failed."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_POST

from apps.core.clock import now
from apps.core.errors import BadValue, DomainError
from apps.dashboard.confirm_page import ConfirmPage, confirm_page_render, is_confirm_submitted
from apps.dashboard.forms import PageForm, form_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.sectors.detail import sector_detail, sector_page
from apps.dashboard.refusals import refusal_text
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.text_fields import Text, Tick
from apps.sectors.selectors.sectors import sector_get
from apps.sectors.services.sealing.steps import sector_abort, sector_retry, sector_stop
from apps.users.rules.principals import Principal

if TYPE_CHECKING:
    from apps.sectors.models import Sector


def sector_acted(
    request: HttpRequest,
    viewer: Principal,
    key: uuid.UUID,
    action: Callable[[Sector], Any],
    *,
    level: str = "write",
) -> HttpResponse:
    """Do `action` to a sector; return the fragment that shows it, or the refusal there."""
    row = sector_get(viewer, str(key))
    if not viewer.may(level):
        raise Http404
    error = ""
    try:
        action(row)
    except DomainError as refusal:
        error = refusal_text(refusal)
    if not getattr(request, "htmx", False):
        return sector_page(request, viewer, key, error=error) if error else redirect("sector", key)
    if request.htmx.target == "f-sector-head":  # type: ignore[attr-defined]  # set by django-htmx's middleware
        detail = sector_detail(sector_get(viewer, str(key)), PageData(viewer))
        return render(
            request, "sectors/_head.html", {"sector": detail, "error": error}, status=422 if error else 200
        )
    return render(
        request, "sectors/_refusal.html", {"key": key, "error": error}, status=422 if error else 200
    )


@require_POST
@sign_in_required
def retry(request: HttpRequest, viewer: Principal, key: uuid.UUID) -> HttpResponse:
    """Try the failed stage again."""
    return sector_acted(
        request, viewer, key, lambda row: sector_retry(row, actor=viewer.actor, now=now(), by=viewer)
    )


@require_POST
@sign_in_required
def pause(request: HttpRequest, viewer: Principal, key: uuid.UUID) -> HttpResponse:
    """Pause a sector until somebody retries it."""
    return sector_acted(
        request, viewer, key, lambda row: sector_stop(row, actor=viewer.actor, now=now(), by=viewer)
    )


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def end_stage(request: HttpRequest, viewer: Principal, key: uuid.UUID) -> HttpResponse:
    """Pause a sector and end what its host computes for it, once that is confirmed."""
    row = sector_get(viewer, str(key))
    if not viewer.may("write"):
        raise Http404
    if not is_confirm_submitted(request):
        return confirm_page_render(request, viewer, _end_stage_question(row))
    return sector_acted(
        request,
        viewer,
        key,
        lambda row: sector_stop(row, actor=viewer.actor, now=now(), ends_stage=True, by=viewer),
    )


@require_POST
@sign_in_required
def back(request: HttpRequest, viewer: Principal, key: uuid.UUID, state: str) -> HttpResponse:
    """Set a paused sector back to an earlier state."""
    return sector_acted(
        request,
        viewer,
        key,
        lambda row: sector_retry(row, actor=viewer.actor, now=now(), state=state, by=viewer),
    )


def _end_stage_question(row: Sector) -> ConfirmPage:
    return ConfirmPage(
        title=gettext("Pause sector {number} and end its stage?").format(number=row.number),
        text=_(
            "Its host ends the program that computes the stage, even one that hangs, and what that has "
            "computed so far may be lost. The sector keeps its state and files; Retry starts the stage again."
        ),
        label=_("Pause and end the stage"),
        back=reverse("sector", args=[row.uuid]),
        page=gettext("Sector {number}").format(number=row.number),
        section="sectors",
    )


class AbortForm(PageForm):
    """Why a sector is given up, and the words that confirm it."""

    sure = Tick()
    reason = Text()
    confirm = Text()


@sign_in_required
def abort(request: HttpRequest, viewer: Principal, key: uuid.UUID) -> HttpResponse:
    """Abort a sector for good, after act and number were typed."""
    row = sector_get(viewer, str(key))
    if not viewer.may("sign"):
        raise Http404
    form, phrase = AbortForm.of(request), gettext("abort {number}").format(number=row.number)
    if form.is_valid() and form.cleaned_data["sure"]:
        with form.refusals():
            if form.cleaned_data["confirm"].strip().lower() != phrase:
                raise BadValue(gettext("type “{phrase}” to confirm").format(phrase=phrase), field="confirm")
            reason = form.cleaned_data["reason"][:200]
            sector_abort(row, actor=viewer.actor, reason=reason, now=now(), by=viewer)
            return redirect("sector", key)
    data = PageData(viewer)
    detail = sector_detail(row, data)
    return form_render(
        request,
        viewer,
        "sectors/abort.html",
        form,
        title=gettext("Abort {name}").format(name=detail.row.name),
        section="sectors",
        data=data,
        sector=detail,
        error=form.refusal,
        phrase=phrase,
    )


urlpatterns: Final = [
    path("sectors/<uuid:key>/retry/", retry, name="sector-retry"),
    path("sectors/<uuid:key>/pause/", pause, name="sector-pause"),
    path("sectors/<uuid:key>/end-stage/", end_stage, name="sector-end-stage"),
    path("sectors/<uuid:key>/back/<str:state>/", back, name="sector-back"),
    path("sectors/<uuid:key>/abort/", abort, name="sector-abort"),
]
