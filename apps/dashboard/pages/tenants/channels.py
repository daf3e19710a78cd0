"""Alert channels of one tenant, on its page: add, test, disable, enable, remove."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_POST

from apps.checks.selectors.alerts import channel_visible, channels_visible
from apps.checks.services.channels import can_manage_channels, channel_add
from apps.core.errors import DomainError
from apps.dashboard.confirm_page import confirm_page_render, is_confirm_submitted
from apps.dashboard.notices import notice_leave
from apps.dashboard.pages.alerts.channels import (
    PAGES,
    ChannelForm,
    channel_do,
    channel_form_render,
    channel_question,
)
from apps.dashboard.pages.alerts.page import OPS, ChannelRow, channel_row
from apps.dashboard.reauthentication import reauthenticate_first
from apps.dashboard.refusals import refusal_text
from apps.dashboard.sessions import sign_in_required
from apps.users.rules.principals import Principal
from apps.users.services.tenant_management import visible_tenant_find

if TYPE_CHECKING:
    from apps.checks.models import AlertChannel
    from apps.users.models import Tenant


def channel_rows(viewer: Principal, tenant: Tenant) -> list[ChannelRow]:
    """Lay out a tenant's channels."""
    may_act = can_manage_channels(viewer, tenant_id=tenant.pk)
    rows = channels_visible(viewer).filter(tenant=tenant)
    return [
        channel_row(
            row,
            is_failing=bool(getattr(row, "last_error", "")),
            hrefs=_hrefs(tenant, row) if may_act else {},
        )
        for row in rows
    ]


def _hrefs(tenant: Tenant, row: AlertChannel) -> dict[str, str]:
    return {op: reverse("tenant-channel-act", args=[tenant.uuid, row.uuid, op]) for op in OPS}


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def channel_new(request: HttpRequest, viewer: Principal, key: UUID) -> HttpResponse:
    """Show the form for a channel of a tenant, and add it."""
    tenant = visible_tenant_find(viewer, key=str(key))
    if not can_manage_channels(viewer, tenant_id=tenant.pk):
        raise Http404
    form = ChannelForm.of(request, service=request.GET.get("service", ""))
    if form.is_valid():
        if (held := reauthenticate_first(request, viewer)) is not None:
            return held
        with form.refusals():
            channel_add(form.spec, principal=viewer, tenant=tenant)
            notice_leave(request, _("Channel added. Send a test to see that it arrives."))
            return redirect("tenant", tenant.uuid)
    return channel_form_render(
        request, viewer, "tenants/channel.html", form, section="tenants", tenant=tenant
    )


@require_POST
@sign_in_required
def channel_act(request: HttpRequest, viewer: Principal, key: UUID, channel: UUID, op: str) -> HttpResponse:
    """Send a test, switch a channel of a tenant, or remove it after a question."""
    tenant = visible_tenant_find(viewer, key=str(key))
    if op not in OPS or not can_manage_channels(viewer, tenant_id=tenant.pk):
        raise Http404
    row = channel_visible(viewer, channel)
    if row.tenant_id != tenant.pk:
        raise Http404
    if op == "remove" and not is_confirm_submitted(request):
        back = reverse("tenant", args=[tenant.uuid])
        question = channel_question(row, back=back, page=tenant.name, section="tenants")
        return confirm_page_render(request, viewer, question)
    if op in PAGES:
        return redirect(PAGES[op], channel)
    if (held := reauthenticate_first(request, viewer)) is not None:
        return held
    try:
        channel_do(viewer, row, op)
    except DomainError as error:
        notice_leave(request, refusal_text(error), tone="bad")
    else:
        if op == "test":
            notice_leave(request, _("Test queued. Reload the page to see whether it was delivered."))
    return redirect("tenant", tenant.uuid)


urlpatterns: Final = [
    path("tenants/<uuid:key>/channels/add/", channel_new, name="tenant-channel-new"),
    path("tenants/<uuid:key>/channels/<uuid:channel>/<str:op>/", channel_act, name="tenant-channel-act"),
]
