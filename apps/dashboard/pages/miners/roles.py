"""Roles: which host does what for which miner, and one miner's roles with the forms that move them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.urls import path, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from apps.core import clock, formatting
from apps.core.formatting import plural
from apps.core.languages import list_text
from apps.dashboard.cards import Action
from apps.dashboard.forms import PageForm
from apps.dashboard.fragments import FragmentContext, LivePage, fragment
from apps.dashboard.html_time import time_html
from apps.dashboard.layout import page_render
from apps.dashboard.number_fields import Whole
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.miners.role_rows import RoleRow, role_row
from apps.dashboard.pickers import Picker, picker
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.text_fields import Choice, Text
from apps.messages.selectors.recovery import recovery_row
from apps.miners.errors import MinerUnknown
from apps.miners.selectors.miners import miner_get
from apps.miners.selectors.roles import role_groups_of, role_is_in_force, roles_of
from apps.miners.states import EXCLUSIVE_ROLES, RoleKind, RoleState
from apps.sectors.selectors.numbers import numbers_of, reservations_of
from apps.sectors.services.reservations import numbers_format
from apps.sectors.services.roles.assignments import may_assign
from apps.sectors.services.roles.groups import groups_list
from apps.sectors.services.roles.trial import role_tests_load
from apps.sectors.states import ReservationState
from apps.users.rules.principals import Principal
from poolsite.filecoin.bitfield import bitfield_of_runs

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from apps.miners.models import Miner, Role, RoleGroup
    from apps.sectors.models import NumberReservation

RESERVATIONS_SHOWN: Final = 20


@dataclass(frozen=True, slots=True)
class ReservationRow:
    """Reserved sector numbers."""

    name: str
    numbers: str
    count: str
    tone: str
    word: StrOrPromise
    until: str


@dataclass(frozen=True, slots=True)
class GroupRow:
    """A role that all hosts in a group have."""

    group: str
    label: str
    holder: str
    """The host of it that holds an exclusive role now, empty: none does; of a shared one that all do."""
    hosts: str
    remove: Action


def reservation_row(row: NumberReservation) -> ReservationRow:
    """Lay out one reservation."""
    tone = {"RESERVED": "run", "USED": "ok"}.get(row.state, "idle")
    return ReservationRow(
        name=row.name,
        numbers=numbers_format(bitfield_of_runs(row.runs)),
        count=formatting.whole(row.count),
        tone=tone,
        word=str(ReservationState(row.state).label).lower(),
        until=str(time_html(row.expires_at)) if row.expires_at else str(_("no expiry")),
    )


def group_row(row: RoleGroup, roles: Sequence[Role]) -> GroupRow:
    """Lay out a group's role, with who of the group holds it."""
    of_group = [role for role in roles if (role.group, role.kind) == (row.group, row.kind)]
    held = [role.host for role in of_group if role.state == RoleState.HELD]
    href = reverse("miner-role-act", args=[row.miner.address, "remove-group"])
    query = urlencode({"group": row.group, "kind": row.kind})
    return GroupRow(
        group=row.group,
        label=str(RoleKind(row.kind).label),
        holder=str(_("all of them")) if row.kind not in EXCLUSIVE_ROLES else next(iter(held), ""),
        hosts=plural(len(of_group), "host"),
        remove=Action(key="remove-group", label=str(_("Remove…")), href=f"{href}?{query}", icon=""),
    )


@dataclass(frozen=True, slots=True)
class RolesPage:
    """The whole of one miner's roles."""

    name: str
    address: str
    back: str
    say: str
    rows: tuple[RoleRow, ...]
    groups: tuple[GroupRow, ...]
    labels: tuple[str, ...]
    """Of the tenant's hosts."""
    machines: Picker
    combined_on: str
    """The host that does everything; empty: roles are not combined."""
    may_act: bool
    next_number: str
    elsewhere: str
    """Since when another program gives the numbers out; empty: the pool does."""
    reservations: tuple[ReservationRow, ...]


def roles_text(rows: Sequence[Role], *, now: datetime, restored_at: datetime | None) -> str:
    """Return in a sentence what the roles mean."""
    if not rows:
        return gettext("No roles: every host of its tenant seals and proves for it.")
    in_force = {row.kind for row in rows if role_is_in_force(row, now=now, restored_at=restored_at)}
    assigned = {row.kind for row in rows}
    missing = [
        str(RoleKind(kind).label) for kind in ("seal", "window", "winning") if kind in assigned - in_force
    ]
    if missing:
        return gettext("No host holds {missing}: those jobs wait.").format(missing=list_text(missing))
    return gettext("{hosts} with roles for it.").format(hosts=plural(len({row.host for row in rows}), "host"))


def roles_page(miner: Miner, viewer: Principal) -> RolesPage:
    """Lay out one miner's roles."""
    now, restored_at, roles = clock.now(), recovery_row().restored_at, list(roles_of(miner))
    tests, numbers = role_tests_load(roles), numbers_of(miner)
    may_act = may_assign(viewer)
    held = [row for row in roles if row.before_combine and row.state == RoleState.HELD]
    exported = None if numbers is None else numbers.exported_at
    return RolesPage(
        name=f"{miner.name} {miner.address}".strip(),
        address=miner.address,
        back=reverse("miner", args=[miner.address or miner.uuid]),
        say=roles_text(roles, now=now, restored_at=restored_at),
        rows=tuple(
            role_row(row, now=now, restored_at=restored_at, test=tests.get(row.pk), may_act=may_act)
            for row in roles
        ),
        groups=tuple(group_row(row, roles) for row in role_groups_of(miner)),
        labels=tuple(groups_list(miner)),
        machines=picker(viewer, "machine", of=miner),
        combined_on=held[0].host if held else "",
        may_act=may_act,
        next_number=formatting.whole(0 if numbers is None else numbers.next_number),
        elsewhere=str(time_html(exported)) if exported else "",
        reservations=tuple(reservation_row(row) for row in reservations_of(miner)[:RESERVATIONS_SHOWN]),
    )


def roles_fragment(context: FragmentContext) -> Iterable[str]:
    """One miner's roles."""
    try:
        page = roles_page(miner_get(context.viewer, context.key), context.viewer)
    except MinerUnknown:
        return
    yield fragment("miners/_roles.html", page=page)


class RoleForm(PageForm):
    """What a host is given."""

    host = Text()
    group = Text()
    kind = Choice([("", ""), *RoleKind.choices])
    priority = Whole(least=-1000, most=1000, initial=0, empty=0)


@require_safe
@sign_in_required
def roles(request: HttpRequest, viewer: Principal, address: str) -> HttpResponse:
    """One miner's roles, with what can be done."""
    return page_of(request, viewer, miner_get(viewer, address), RoleForm())


def page_of(request: HttpRequest, viewer: Principal, miner: Miner, form: RoleForm) -> HttpResponse:
    """Render the page, with why an act was refused."""
    return page_render(
        request,
        "miners/roles.html",
        title=_("Roles"),
        section="roles",
        page_key=f"miner-roles:{miner.address}",
        data=PageData(viewer),
        status=422 if form.errors else 200,
        page=roles_page(miner, viewer),
        kinds=RoleKind.choices,
        form=form,
    )


urlpatterns: Final = [path("miners/<str:address>/roles/", roles, name="miner-roles")]
LIVE: Final = {
    "miner-roles": LivePage(dict.fromkeys(("role", "worker", "sector"), (roles_fragment,))),
}
