"""What the operator does on the status page: announce and end maintenance, note, choose who sees it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_POST

from apps.checks.report.status_page import incident_text
from apps.checks.selectors.components import incident_get, maintenance_get
from apps.checks.services.status_page import (
    can_manage_status,
    incident_note_set,
    maintenance_add,
    maintenance_end,
    status_visibility_set,
)
from apps.checks.states import Component
from apps.core import clock
from apps.core.local_time import NoSuchTime, local_read, moment_text, page_zone
from apps.dashboard.forms import PageForm, form_render
from apps.dashboard.notices import notice_leave
from apps.dashboard.pages.status.rows import maintenance_row
from apps.dashboard.reauthentication import reauthenticate_first
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.text_fields import Text, TextList
from apps.users.rules.principals import Principal


class MomentField(Text):
    """A minute in the person's zone, as browsers send it."""

    def clean(self, value: Any) -> Any:
        """Return the moment in UTC.  Raises ValidationError."""
        typed = super().clean(value)
        try:
            at = datetime.fromisoformat(typed)
            return local_read(at) if at.tzinfo is None else at.astimezone(UTC)
        except NoSuchTime:
            say = gettext("there is no such time in {zone}: the clocks are set forward then")
            raise ValidationError(say.format(zone=page_zone().name)) from None
        except (ValueError, OverflowError):  # of the first or the last day that there is, elsewhere
            raise ValidationError(_("enter a date and a time, such as 2026-11-30T14:00")) from None


class MaintenanceForm(PageForm):
    """What is announced."""

    text = Text()
    starts_at = MomentField()
    ends_at = MomentField()
    components = TextList()


class NoteForm(PageForm):
    """A note to an incident."""

    note = Text()


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def announce(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Show the form for maintenance, and announce it."""
    _operator_only(viewer)
    form = MaintenanceForm.of(request)
    if form.is_valid():
        if (held := reauthenticate_first(request, viewer)) is not None:
            return held
        with form.refusals():
            maintenance_add(principal=viewer, **form.cleaned_data, now=clock.now())
            starts, ends = (moment_text(form.cleaned_data[name]) for name in ("starts_at", "ends_at"))
            notice_leave(request, gettext("Announced: {starts} to {ends}.").format(starts=starts, ends=ends))
            return redirect("status")
    ticked = form.typed["components"].split()
    return form_render(
        request,
        viewer,
        "status/announce.html",
        form,
        title=_("Announce maintenance"),
        section="status",
        choices=[(one.value, one.label, one.value in ticked) for one in Component],
    )


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def maintenance_over(request: HttpRequest, viewer: Principal, key: UUID) -> HttpResponse:
    """Confirm, then end maintenance or withdraw its announcement."""
    _operator_only(viewer)
    maintenance = maintenance_get(key)
    row = maintenance_row(maintenance, now=clock.now())
    if not row.end_label:
        return redirect("status")
    if request.method != "POST":
        title = row.end_label
        return form_render(
            request, viewer, "status/end.html", PageForm(), title=title, section="status", row=row
        )
    if (held := reauthenticate_first(request, viewer)) is not None:
        return held
    maintenance_end(principal=viewer, maintenance=maintenance, now=clock.now())
    return redirect("status")


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def incident_note(request: HttpRequest, viewer: Principal, key: UUID) -> HttpResponse:
    """Show the form for a note to an incident, and save it."""
    _operator_only(viewer)
    incident = incident_get(key)
    form = NoteForm.of(request, note=incident.note)
    if form.is_valid():
        if (held := reauthenticate_first(request, viewer)) is not None:
            return held
        with form.refusals():
            note = form.cleaned_data["note"]
            incident_note_set(principal=viewer, incident=incident, note=note, now=clock.now())
            notice_leave(request, _("Saved."))
            return redirect("status")
    return form_render(
        request,
        viewer,
        "status/note.html",
        form,
        title=_("Note to an incident"),
        section="status",
        incident=incident,
        text=incident_text(incident),
    )


@require_POST
@sign_in_required
def visibility(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Show the page to everybody, or only to people who signed in."""
    _operator_only(viewer)
    if (held := reauthenticate_first(request, viewer)) is not None:
        return held
    status_visibility_set(principal=viewer, is_public=request.POST.get("is_public") == "1")
    return redirect("status")


def _operator_only(viewer: Principal) -> None:
    if not can_manage_status(viewer):
        raise Http404


urlpatterns: Final = [
    path("status/maintenance/announce/", announce, name="maintenance-announce"),
    path("status/maintenance/<uuid:key>/end/", maintenance_over, name="maintenance-end"),
    path("status/incidents/<uuid:key>/note/", incident_note, name="incident-note"),
    path("status/visibility/", visibility, name="status-visibility"),
]
