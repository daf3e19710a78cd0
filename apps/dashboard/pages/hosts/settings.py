"""Settings that hosts share: of the pool, of a tenant and of its groups, by level."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path
from django.utils.http import urlencode
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from apps.core.languages import list_text
from apps.dashboard.forms import PageForm, form_render
from apps.dashboard.notices import notice_leave
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.hosts.setting_rows import setting_label, setting_value
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.text_fields import Text
from apps.sectors.selectors.hosts import host_groups, shared_settings_visible, tenant_of_hosts
from apps.sectors.services.hosts.settings import SETTABLE, shared_settings_set, values_read
from apps.users.rules.principals import Principal

Place = tuple[int | None, str]
"""Tenant and group; (None, ""): the whole pool."""


@dataclass(frozen=True, slots=True)
class SharedRow:
    """One setting of one level."""

    level: str
    whose: str
    setting: str
    value: str
    change: str
    """Query of the page with the form filled in for this row."""


def place_key(place: Place) -> str:
    """Return a place as the form sends it."""
    return f"{place[0] or ''}|{place[1]}"


def places_of(viewer: Principal) -> dict[str, tuple[str, Place]]:
    """Return where the viewer may set something, in words, by what the form sends."""
    found: dict[Place, str] = {(None, ""): str(_("Pool: all hosts"))} if viewer.is_operator else {}
    for tenant_id, name, group in host_groups(viewer):
        found.setdefault((tenant_id, ""), gettext("Tenant {name}").format(name=name))
        if group:
            found[tenant_id, group] = gettext("Group {group} of {name}").format(group=group, name=name)
    if not viewer.is_operator and viewer.tenant_id is not None:
        found.setdefault(
            (viewer.tenant_id, ""), gettext("Tenant {tenant_name}").format(tenant_name=viewer.tenant_name)
        )
    return {place_key(place): (label, place) for place, label in found.items()}


def shared_rows(viewer: Principal) -> Iterable[SharedRow]:
    """Return all settings that the viewer's hosts share, the pool's first."""
    rows = sorted(shared_settings_visible(viewer), key=lambda row: (row.tenant is not None, bool(row.group)))
    for row in rows:
        level = _("Pool") if row.tenant is None else _("Group") if row.group else _("Tenant")
        whose = "" if row.tenant is None else row.tenant.name
        for key, value in sorted(row.values.items()):
            yield SharedRow(
                level=str(level),
                whose=list_text((row.group, whose)) if row.group else whose,
                setting=setting_label(key),
                value=setting_value(key, str(value)),
                change=urlencode({"place": place_key((row.tenant_id, row.group)), "key": key}),
            )


class SharedForm(PageForm):
    """One setting of one level."""

    blamed = "value"
    place = Text()
    key = Text(initial="slots.PC1")
    value = Text()

    def clean_key(self) -> str:
        """Read the setting.  Raises ValidationError."""
        if self.cleaned_data["key"] not in SETTABLE:
            raise ValidationError(_("must be one of the options"))
        return str(self.cleaned_data["key"])


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def host_settings(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Show the shared settings, and set one or take it away."""
    may_act = viewer.may("write")
    if request.method == "POST" and not may_act:
        raise Http404
    places = places_of(viewer)
    form = SharedForm.of(
        request,
        place=request.GET.get("place", next(iter(places), "")),
        key=request.GET.get("key", "slots.PC1"),
    )
    if form.is_valid():
        with form.refusals():
            sent = form.cleaned_data
            if sent["place"] not in places:
                raise Http404
            tenant_id, group = places[sent["place"]][1]
            tenant = None if tenant_id is None else tenant_of_hosts(tenant_id)
            values = values_read({sent["key"]: sent["value"]})
            shared_settings_set(values, tenant=tenant, group=group, actor=viewer.actor, by=viewer)
            notice_leave(request, _("Saved. Hosts take it with their next heartbeat."))
            return redirect("host-settings")
    return form_render(
        request,
        viewer,
        "hosts/settings.html",
        form,
        title=_("Host settings"),
        section="hosts",
        data=PageData(viewer),
        rows=list(shared_rows(viewer)),
        places=[(key, label) for key, (label, _place) in places.items()],
        keys=[(key, setting_label(key)) for key in SETTABLE],
        may_act=may_act and bool(places),
    )


urlpatterns: Final = [path("hosts/settings/", host_settings, name="host-settings")]
