"""Scope: the tenant and the miner to which all pages are narrowed until it is taken away."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from apps.core.errors import BadValue
from apps.dashboard.forms import PageForm, form_render
from apps.dashboard.pages.entry.sign_in import next_page
from apps.dashboard.pickers import picker
from apps.dashboard.scope import in_scope
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.text_fields import Text
from apps.miners.selectors.miners import miner_get
from apps.users.rules.principals import Principal
from apps.users.selectors.tenants import tenants_visible


class ScopeForm(PageForm):
    """A tenant, a miner, or both."""

    tenant = Text()
    miner = Text()


def chosen_of(viewer: Principal, form: ScopeForm) -> dict[str, str]:
    """Return what the form says, as addresses have it.  Raises BadValue, MinerUnknown."""
    name, address = form.cleaned_data["tenant"], form.cleaned_data["miner"]
    if name and not tenants_visible(viewer).filter(name=name).exists():
        raise BadValue(gettext("there is no such tenant"), field="tenant")
    if not address:
        return {"tenant": name}
    miner = miner_get(viewer, address)
    if name and miner.tenant.name != name:
        raise BadValue(gettext("is a miner of another tenant"), field="miner")
    return {"tenant": name, "miner": miner.address or str(miner.uuid)}


@require_safe
@sign_in_required
def scope(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Show the choice; once it is made, the page from which it came, in that scope."""
    wanted, is_sent = next_page(request), "go" in request.GET
    form = ScopeForm(request.GET if is_sent else None, initial=request.GET.dict())
    if form.is_valid():
        with form.refusals():
            target = urlsplit(wanted)
            return redirect(in_scope(target.path, target.query, chosen_of(viewer, form)))
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
