"""Settings of hosts by form: those of the pool, of a tenant and of its groups, and those of one host."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.http import urlencode
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from apps.core.formatting import NOTHING, plural
from apps.core.languages import list_text
from apps.dashboard.forms import PageForm, form_render
from apps.dashboard.notices import notice_leave
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.hosts.setting_form import Setters, SettingsForm
from apps.dashboard.pages.hosts.setting_rows import (
    ORIGINS,
    known_keys,
    setting_label,
    setting_rows,
    setting_value,
)
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.text_fields import Text
from apps.sectors.errors.hosts import BadSettings
from apps.sectors.selectors.host_overrides import overrides_count
from apps.sectors.selectors.hosts import (
    host_groups,
    host_report,
    shared_settings_of,
    shared_settings_visible,
    tenant_of_hosts,
    worker_get,
    worker_target,
)
from apps.sectors.services.hosts.settings import SETTABLE, shared_settings_set, worker_settings_set
from apps.users.rules.principals import Principal
from poolsite.wire.host_settings import LEVELS
from poolsite.wire.sealing_rules import SEALING, rule_key

if TYPE_CHECKING:
    from apps.sectors.models import SharedSettings, Worker

OVERRIDES: Final = {
    "tenant": _("tenant settings"),
    "group": _("group settings"),
    "file": _("the host's file"),
    "command line": _("the command line"),
    "host": _("the host's own settings"),
    "file of thread": _("[[sealing_thread]] in the host's file"),
    "thread": _("a sealing thread"),
}
"""Levels of which a host's value may win over a shared one."""
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
    """Address of its field in the form."""


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


def shared_rows(shared: Mapping[Place, SharedSettings]) -> Iterable[SharedRow]:
    """Yield all settings that hosts share, the pool's first."""
    for row in sorted(shared.values(), key=lambda row: (row.tenant is not None, bool(row.group))):
        level = _("Pool") if row.tenant is None else _("Group") if row.group else _("Tenant")
        whose = "" if row.tenant is None else row.tenant.name
        for key, value in sorted(row.values.items()):
            place = urlencode({"place": place_key((row.tenant_id, row.group))})
            yield SharedRow(
                level=str(level),
                whose=list_text((row.group, whose)) if row.group else whose,
                setting=setting_label(key),
                value=setting_value(key, str(value)),
                change=f"?{place}#{key}",
            )


class PlaceForm(PageForm):
    """The place whose settings are shown and set."""

    place = Text()


def levels_to(place: Place) -> dict[str, Place]:
    """Return a place and those above it, by level, the pool first."""
    tenant_id, group = place
    levels: dict[str, Place] = {"pool": (None, "")}
    if tenant_id is not None:
        levels["tenant"] = (tenant_id, "")
    if group:
        levels["group"] = place
    return levels


def shared_notes(
    viewer: Principal, place: Place, shared: Mapping[Place, SharedSettings]
) -> dict[str, list[str]]:
    """Return, for each setting of a place, who set it, what holds without it, and which hosts differ."""
    *above, level = levels_to(place)
    places = levels_to(place)
    own = shared.get(place)
    setters = Setters(viewer, [] if own is None else [str(own)])
    counts = overrides_count(*place, levels=LEVELS[LEVELS.index(level) + 1 :])
    notes: dict[str, list[str]] = {}
    for key in SETTABLE:
        texts = notes.setdefault(key, [])
        if own is not None and key in own.values:
            texts.append(setters.text(str(own), key, own.values[key]))
        for name in reversed(above):
            row = shared.get(places[name])
            if row is not None and key in row.values:
                value = setting_value(key, str(row.values[key]))
                texts.append(
                    gettext("If empty: {value} ({origin})").format(value=value, origin=ORIGINS[name])
                )
                break
        if hosts := [
            gettext("{hosts} by {origin}").format(hosts=plural(count, "host"), origin=OVERRIDES[name])
            for name, count in counts.get(key, {}).items()
        ]:
            texts.append(gettext("Overridden on {hosts}").format(hosts=list_text(hosts)))
    return notes


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def host_settings(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Show the shared settings, and set those of one level."""
    may_act = viewer.may("write")
    if request.method == "POST" and not may_act:
        raise Http404
    places = places_of(viewer)
    typed = PlaceForm.from_address(request).typed["place"]
    if request.method == "POST" and typed and typed not in places:
        raise Http404
    only = next(iter(places)) if len(places) == 1 else ""
    chosen = typed if typed in places else only
    shared = {(row.tenant_id, row.group): row for row in shared_settings_visible(viewer)}
    place = places[chosen][1] if chosen else (None, "")
    own = shared.get(place) if chosen else None
    form = SettingsForm.of_values(request, SETTABLE, {} if own is None else own.values)
    if form.is_valid():
        with form.refusals():
            if not typed:
                raise BadSettings(gettext("choose one of the options"))
            if values := form.changed:
                tenant = None if place[0] is None else tenant_of_hosts(place[0])
                shared_settings_set(values, tenant=tenant, group=place[1], actor=viewer.actor, by=viewer)
            notice_leave(
                request,
                _("Saved. Hosts take it with their next heartbeat.") if values else _("Nothing changed."),
            )
            return redirect(f"{reverse('host-settings')}?{urlencode({'place': chosen})}")
    may_act = may_act and bool(places)
    return form_render(
        request,
        viewer,
        "hosts/settings.html",
        form,
        title=_("Host settings"),
        section="hosts",
        data=PageData(viewer),
        rows=list(shared_rows(shared)),
        places=[(key, name) for key, (name, _place) in places.items()],
        place=chosen,
        groups=form.groups(shared_notes(viewer, place, shared)) if may_act and chosen else {},
        may_act=may_act,
    )


def host_notes(viewer: Principal, worker: Worker) -> dict[str, list[str]]:
    """Return, for each setting of a host, what it obeys, from where, and what it was told by whom."""
    targets = {level: str(row) for level, row in shared_settings_of(worker).items()}
    targets |= dict.fromkeys(("host", "thread"), worker_target(worker))
    setters = Setters(viewer, targets.values())
    notes: dict[str, list[str]] = {}
    for row in setting_rows(worker, host_report(worker)):
        level, value = row.wanted
        in_force = gettext("In force: {value} ({origin})").format(value=row.value, origin=row.origin)
        notes[row.key] = [
            in_force if row.value != NOTHING else "",
            row.pending,
            setters.text(targets[level], row.key, value) if level else "",
        ]
        rule = rule_key(row.key)
        if rule is not None and rule[0] and row.value != NOTHING:
            text = gettext("Overridden by thread {number}").format(number=rule[0])
            notes.setdefault(SEALING + rule[1], []).append(text)
    return notes


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def host_setting(request: HttpRequest, viewer: Principal, key: UUID) -> HttpResponse:
    """Set what one host obeys, or take it away."""
    worker = worker_get(viewer, str(key))
    if not viewer.may("write"):
        raise Http404
    form = SettingsForm.of_values(request, known_keys(worker), worker.settings)
    if form.is_valid():
        with form.refusals():
            if values := form.changed:
                worker_settings_set(worker, values=values, actor=viewer.actor, by=viewer)
            notice_leave(
                request,
                _("Saved. The host takes it with its next heartbeat.") if values else _("Nothing changed."),
            )
            return redirect("host", key)
    return form_render(
        request,
        viewer,
        "hosts/setting.html",
        form,
        title=gettext("Settings of {host}").format(host=worker.name),
        section="hosts",
        data=PageData(viewer),
        worker=worker,
        groups=form.groups(host_notes(viewer, worker)),
    )


urlpatterns: Final = [
    path("hosts/settings/", host_settings, name="host-settings"),
    path("hosts/<uuid:key>/settings/", host_setting, name="host-setting"),
]
