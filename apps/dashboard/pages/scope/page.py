"""Scope: the tenant and the miner to which all pages are narrowed until it is taken away."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from apps.dashboard.forms import PageForm, form_render
from apps.dashboard.object_fields import Found
from apps.dashboard.pages.entry.sign_in import next_page
from apps.dashboard.pickers import picker
from apps.dashboard.scope import in_scope
from apps.dashboard.sessions import sign_in_required
from apps.miners.selectors.miners import miner_get
from apps.users.rules.principals import Principal
from apps.users.selectors.tenants import tenant_chosen


class ScopeForm(PageForm):
    """A tenant, a miner, or both."""

    tenant = Found(tenant_chosen, is_optional=True)
    miner = Found(miner_get, is_optional=True)

    def clean(self) -> None:
        """Compare the two."""
        tenant, miner = self.cleaned_data.get("tenant"), self.cleaned_data.get("miner")
        if tenant and miner and miner.tenant_id != tenant.pk:
            self.add_error("miner", _("is a miner of another tenant"))

    @property
    def chosen(self) -> dict[str, str]:
        """Return what it says, as addresses have it."""
        tenant, miner = self.cleaned_data["tenant"], self.cleaned_data["miner"]
        return {
            "tenant": tenant.name if tenant else "",
            "miner": (miner.address or str(miner.uuid)) if miner else "",
        }


@require_safe
@sign_in_required
def scope(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Show the choice; once it is made, the page from which it came, in that scope."""
    wanted, is_sent = next_page(request), "go" in request.GET
    form = ScopeForm(request.GET if is_sent else None, initial=request.GET.dict()).sent_by(viewer)
    if form.is_valid():
        target = urlsplit(wanted)
        return redirect(in_scope(target.path, target.query, form.chosen))
    return form_render(
        request,
        viewer,
        "dashboard/scope.html",
        form,
        title=_("Scope"),
        section="",
        scoped=("tenant", "miner"),
        next=wanted,
        tenants=picker(viewer, "tenant", value=form.typed["tenant"]) if viewer.sees_pool else None,
        miners=picker(viewer, "miner", value=form.typed["miner"]),
    )


urlpatterns: Final = [path("scope/", scope, name="scope")]
