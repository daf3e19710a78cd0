"""Reserved sector numbers and groups of roles as rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from apps.core import formatting
from apps.core.formatting import plural
from apps.dashboard.cards import Action
from apps.dashboard.html_time import time_html
from apps.miners.states import EXCLUSIVE_ROLES, RoleKind, RoleState
from apps.sectors.services.reservations import numbers_format
from apps.sectors.states import ReservationState
from poolsite.filecoin.bitfield import bitfield_of_runs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django_stubs_ext import StrOrPromise

    from apps.miners.models import Role, RoleGroup
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
