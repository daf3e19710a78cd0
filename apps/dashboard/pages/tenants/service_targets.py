"""What the operator promises a tenant."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from apps.checks.selectors.service_levels import LANDING_EDGES_S
from apps.checks.selectors.service_targets import targets_of
from apps.checks.services.service_targets import PERCENTS, service_targets_set
from apps.core import clock
from apps.core.formatting import time_left
from apps.dashboard.forms import PageForm, form_render
from apps.dashboard.notices import notice_leave
from apps.dashboard.number_fields import Percent
from apps.dashboard.pages.money.charge_forms import managed_tenant_find
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.text_fields import Choice
from apps.users.rules.principals import Principal


class TargetsForm(PageForm):
    """What is promised; an empty field promises nothing."""

    posts_percent = Percent()
    wins_percent = Percent()
    console_percent = Percent()
    landing_s = Choice([(one, one) for one in ("", 0, *LANDING_EDGES_S)], coerce=int, empty=0)


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def targets(request: HttpRequest, viewer: Principal, key: UUID) -> HttpResponse:
    """Show the form for a tenant's targets, and set them."""
    tenant = managed_tenant_find(viewer, key)
    held = next(iter(targets_of(tenant)), None)
    initial = {}
    if held is not None:
        initial = {name: getattr(held, name) for name in PERCENTS} | {"landing_s": held.landing_s}
    form = TargetsForm.of(request, **initial)
    if form.is_valid():
        with form.refusals():
            service_targets_set(principal=viewer, tenant=tenant, now=clock.now(), **form.cleaned_data)
            notice_leave(request, _("Saved."))
            return redirect("tenant-service", tenant.uuid)
    return form_render(
        request,
        viewer,
        "tenants/service_targets.html",
        form,
        title=gettext("Targets for {tenant}").format(tenant=tenant.name),
        section="tenants",
        tenant=tenant,
        limits=[(str(seconds), time_left(seconds)) for seconds in LANDING_EDGES_S],
    )


urlpatterns: Final = [
    path("tenants/<uuid:key>/service/targets/", targets, name="tenant-service-targets"),
]
