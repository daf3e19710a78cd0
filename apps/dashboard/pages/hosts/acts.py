"""Acts on one host: commands, its group, its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.utils.translation import gettext
from django.views.decorators.http import require_POST

from apps.core import formatting
from apps.core.clock import now
from apps.core.errors import DomainError
from apps.dashboard.confirm_page import ConfirmPage, confirm_page_render, is_confirm_submitted
from apps.dashboard.forms import PageForm
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.hosts.detail import host_detail, host_page
from apps.dashboard.refusals import refusal_text
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.text_fields import Text
from apps.sectors.selectors.hosts import sectors_stored_only_on, worker_get, worker_is_away
from apps.sectors.services.hosts.commands import worker_command_enqueue
from apps.sectors.services.hosts.retirement import unfinished_jobs_count, worker_retire, worker_retire_drained
from apps.sectors.services.hosts.settings import worker_group_set
from apps.users.rules.principals import Principal
from poolsite.wire.commands import Operation

if TYPE_CHECKING:
    from apps.sectors.models import Worker


ACTS: Final = (Operation.PAUSE, Operation.RESUME, Operation.DRAIN, Operation.MEASURE, Operation.UPGRADE)
"""Commands that a button of the page gives."""


@require_POST
@sign_in_required
def command(request: HttpRequest, viewer: Principal, key: UUID, op: str) -> HttpResponse:
    """Send a host a command, with its next heartbeat."""
    if op not in ACTS or not viewer.may("write"):
        raise Http404
    worker = worker_get(viewer, str(key))
    error = ""
    try:
        worker_command_enqueue(worker, op=Operation(op), args={}, actor=viewer.actor, by=viewer)
    except DomainError as refusal:
        if not getattr(request, "htmx", False):
            return host_page(request, viewer, key, error=refusal_text(refusal))
        error = refusal_text(refusal)
    if not getattr(request, "htmx", False):
        return redirect("host", key)
    detail = host_detail(worker_get(viewer, str(key)), PageData(viewer))
    return render(request, "hosts/_head.html", {"host": detail, "error": error})


class GroupForm(PageForm):
    """The group of a host."""

    group = Text()


@require_POST
@sign_in_required
def group(request: HttpRequest, viewer: Principal, key: UUID) -> HttpResponse:
    """Move a host into a group."""
    worker = worker_get(viewer, str(key))
    if not viewer.may("sign"):
        raise Http404
    form = GroupForm.of(request)
    form.is_valid()
    worker_group_set(worker, group=form.cleaned_data["group"], actor=viewer.actor, by=viewer)
    return redirect("host", key)


def retire_text(worker: Worker, *, is_away: bool) -> str:
    """Return what becomes of the host, and of what it has begun."""
    if not is_away:
        return gettext("It starts no new sectors and finishes those in progress; then its token is revoked.")
    over = gettext("It is offline. Once retired, it is rejected permanently and its token is revoked.")
    if worker.is_damocles:
        return (
            f"{over} {gettext('Other hosts cannot continue the sectors of a damocles-worker: abort them.')}"
        )
    again = gettext(
        "Other hosts start its sectors in progress over; those with a pre-commit on chain are sealed to the "
        "same replica and keep their deposit."
    )
    return f"{over} {again}"


@sign_in_required
def retire(request: HttpRequest, viewer: Principal, key: UUID) -> HttpResponse:
    """Retire a host after a confirmation: once it has nothing left to do, or now if it is away."""
    worker = worker_get(viewer, str(key))
    if not viewer.may("write"):
        raise Http404
    is_away = worker_is_away(worker, now=now())
    if is_confirm_submitted(request):
        if is_away and request.POST.get("away"):
            worker_retire(worker, now=now(), by=viewer)
            return redirect("hosts")
        worker_retire_drained(worker, actor=viewer.actor, now=now(), by=viewer)
        return redirect("host", key)
    alone = sectors_stored_only_on(worker)
    return confirm_page_render(
        request,
        viewer,
        ConfirmPage(
            title=gettext("Retire {worker}").format(worker=worker.name),
            text=retire_text(worker, is_away=is_away),
            label=gettext("Retire"),
            back=reverse("host", args=[key]),
            page=worker.name,
            section="hosts",
            hidden_fields=(("away", "1"),) if is_away else (),
            facts=(
                (gettext("Sectors in progress"), formatting.whole(unfinished_jobs_count(worker))),
                (
                    gettext("Sealed sectors in stores attached only here"),
                    formatting.whole(alone)
                    + (gettext(": move them first, or their proofs will be missed") * bool(alone)),
                ),
            ),
        ),
    )


urlpatterns: Final = [
    path("hosts/<uuid:key>/group/", group, name="host-group"),
    path("hosts/<uuid:key>/retire/", retire, name="host-retire"),
    path("hosts/<uuid:key>/command/<str:op>/", command, name="host-command"),
]
