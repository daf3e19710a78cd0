"""What a person does to one host: commands, settings, its group, its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.utils.translation import gettext as say
from django.views.decorators.http import require_POST

from apps.core import formatting
from apps.core.clock import now
from apps.core.errors import DomainError
from apps.dashboard.confirm_page import ConfirmPage, confirm_page_render, is_confirm_submitted
from apps.dashboard.forms import PageForm, Text
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.host_detail import host_detail, host_page
from apps.dashboard.sessions import sign_in_required
from apps.sectors.host_selectors import sectors_stored_only_on, worker_get
from apps.sectors.services.host_settings import (
    values_read,
    worker_group_set,
    worker_settings_set,
)
from apps.sectors.services.hosts import worker_command
from apps.sectors.services.retirement import unfinished_jobs, worker_retire_drained
from poolsite.wire.hosts import Operation

if TYPE_CHECKING:
    from uuid import UUID

    from apps.users.principals import Principal


ACTS: Final = (Operation.PAUSE, Operation.RESUME, Operation.DRAIN, Operation.MEASURE, Operation.UPGRADE)
"""Commands that a button of the page gives."""


@require_POST
@sign_in_required
def command(request: HttpRequest, viewer: Principal, key: UUID, op: str) -> HttpResponse:
    """Send a host a command, with its next heartbeat."""
    if op not in ACTS or not viewer.may("sign"):
        raise Http404
    worker = worker_get(viewer, str(key))
    error = ""
    try:
        worker_command(worker, op=Operation(op), args={}, actor=viewer.actor, by=viewer)
    except DomainError as refusal:
        if not getattr(request, "htmx", False):
            return host_page(request, viewer, key, error=refusal.reason)
        error = refusal.reason
    if not getattr(request, "htmx", False):
        return redirect("host", key)
    detail = host_detail(worker_get(viewer, str(key)), PageData(viewer))
    return render(request, "hosts/_head.html", {"host": detail, "error": error})


class SettingForm(PageForm):
    """One setting of a host."""

    key = Text()
    value = Text()


class GroupForm(PageForm):
    """The group of a host."""

    group = Text()


@require_POST
@sign_in_required
def setting(request: HttpRequest, viewer: Principal, key: UUID) -> HttpResponse:
    """Set one setting of a host, or take it away."""
    worker = worker_get(viewer, str(key))
    if not viewer.may("sign"):
        raise Http404
    form = SettingForm.of(request)
    form.is_valid()
    try:
        values = values_read({form.cleaned_data["key"]: form.cleaned_data["value"]})
        worker_settings_set(worker, values, actor=viewer.actor, by=viewer)
    except DomainError as refusal:
        return host_page(request, viewer, key, error=refusal.reason)
    return redirect("host", key)


@require_POST
@sign_in_required
def group(request: HttpRequest, viewer: Principal, key: UUID) -> HttpResponse:
    """Move a host into a group."""
    worker = worker_get(viewer, str(key))
    if not viewer.may("sign"):
        raise Http404
    form = GroupForm.of(request)
    form.is_valid()
    worker_group_set(worker, form.cleaned_data["group"], actor=viewer.actor, by=viewer)
    return redirect("host", key)


@sign_in_required
def retire(request: HttpRequest, viewer: Principal, key: UUID) -> HttpResponse:
    """Retire a host once it has nothing left to do, after a confirmation."""
    worker = worker_get(viewer, str(key))
    if not viewer.may("sign"):
        raise Http404
    if is_confirm_submitted(request):
        worker_retire_drained(worker, actor=viewer.actor, now=now(), by=viewer)
        return redirect("host", key)
    alone = sectors_stored_only_on(worker)
    return confirm_page_render(
        request,
        viewer,
        ConfirmPage(
            title=say("Retire {worker}").format(worker=worker.name),
            text="It begins no new sectors and finishes those under way; then its token is revoked.",
            label="Retire",
            back=reverse("host", args=[key]),
            page=worker.name,
            section="hosts",
            facts=(
                ("Sectors under way", formatting.whole(unfinished_jobs(worker))),
                (
                    "Sealed sectors in stores that no other host has",
                    formatting.whole(alone)
                    + (": move them first, their windows would be missed" * bool(alone)),
                ),
            ),
        ),
    )


urlpatterns: Final = [
    path("hosts/<uuid:key>/settings/", setting, name="host-setting"),
    path("hosts/<uuid:key>/group/", group, name="host-group"),
    path("hosts/<uuid:key>/retire/", retire, name="host-retire"),
    path("hosts/<uuid:key>/command/<str:op>/", command, name="host-command"),
]
