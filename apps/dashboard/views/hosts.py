"""Hosts: the workers that seal and prove, pause and resume."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from apps.core.errors import NotFound
from apps.dashboard.fragments.hosts import host_rows, list_verdict_of
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.sessions import sign_in_required
from apps.sectors.selectors import worker_get
from apps.sectors.services.hosts import worker_command
from poolsite.wire.hosts import Operation

if TYPE_CHECKING:
    from uuid import UUID

    from apps.users.principals import Principal


@require_safe
@sign_in_required
def hosts(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """The list, those that need somebody first."""
    data = PageData(viewer)
    return page_render(
        request,
        "hosts/list.html",
        title="Hosts",
        section="hosts",
        page_key="hosts",
        data=data,
        hosts=host_rows(data.workers, data),
        verdict=list_verdict_of(data),
    )


@require_POST
@sign_in_required
def action(request: HttpRequest, viewer: Principal, key: UUID, op: str) -> HttpResponse:
    """Pause a worker or let it go on; the command rides on its next heartbeat."""
    if op not in (Operation.PAUSE, Operation.RESUME) or not viewer.may("sign"):
        raise Http404
    try:
        worker = worker_get(viewer, str(key))
    except NotFound:
        raise Http404 from None
    worker_command(worker, op=Operation(op), args={}, actor=viewer.actor, by=viewer)
    if not getattr(request, "htmx", False):
        return redirect("hosts")
    [row] = host_rows([worker_get(viewer, str(key))], PageData(viewer))
    return render(request, "hosts/_row.html", {"host": row})
