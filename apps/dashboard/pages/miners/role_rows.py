"""One role of a miner as a row: its state, its test, what can be done with it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.core import formatting
from apps.core.reasons import shown_text
from apps.dashboard.cards import Action
from apps.dashboard.html_time import time_html
from apps.dashboard.labels import StateLabel
from apps.miners.selectors.roles import role_is_heard, role_is_in_force, role_is_restored
from apps.miners.states import RoleKind, RoleState
from apps.sectors.services.roles.trial import RoleTest

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from apps.miners.models import Role


@dataclass(frozen=True, slots=True)
class RoleRow:
    """One host's role."""

    key: str
    host: str
    group: str
    """The label by which the host has it; empty: its own."""
    kind: str
    label: str
    tone: str
    word: StrOrPromise
    icon: str
    since: str
    until: int | None
    """When its lease runs out, seconds since 1970; None: it has none."""
    left: str
    note: str
    test: str
    """What came of the last trial."""
    test_href: str
    actions: tuple[Action, ...]
    """What can be done; each leads to a question first."""


def role_label(role: Role, *, now: datetime, restored_at: datetime | None) -> StateLabel:
    """Return in words how a role stands."""
    if role.state == RoleState.PARKED:
        return StateLabel("idle", gettext("parked"), "pause")
    if role.state == RoleState.STANDBY:
        is_there = role_is_heard(role, now=now)
        return (
            StateLabel("idle", gettext("standby"))
            if is_there
            else StateLabel("warn", gettext("standby, offline"))
        )
    if role_is_restored(role, restored_at):
        return StateLabel("bad", gettext("from a backup"))
    if not role_is_in_force(role, now=now, restored_at=restored_at):
        return StateLabel("bad", gettext("lease expired"))
    return StateLabel("ok", gettext("holder") if role.is_exclusive else gettext("shared"))


def role_row(
    role: Role,
    *,
    now: datetime,
    restored_at: datetime | None,
    test: RoleTest | None = None,
    may_act: bool = False,
) -> RoleRow:
    """Lay out one role."""
    label = role_label(role, now=now, restored_at=restored_at)
    has_lease = role.state == RoleState.HELD and role.lease_until is not None
    left = (role.lease_until - now).total_seconds() if has_lease and role.lease_until else None
    return RoleRow(
        key=str(role.pk),
        host=role.host,
        group=role.group,
        kind=role.kind,
        label=str(RoleKind(role.kind).label),
        tone=label.tone,
        word=label.word,
        icon=label.sign,
        since=str(time_html(role.since)),
        until=int(role.lease_until.timestamp()) if has_lease and role.lease_until else None,
        left=formatting.NOTHING if left is None else formatting.time_left(max(left, 0)),
        note=shown_text(role.note),
        test="" if test is None else test_text(test),
        test_href="" if test is None else reverse("sector", args=[test.sector.uuid]),
        actions=tuple(role_actions(role)) if may_act else (),
    )


def role_actions(role: Role) -> Iterable[Action]:
    """Yield what can be done with a role."""
    if role.is_exclusive and role.state == RoleState.HELD:
        yield act_link(role, "fail-over", _("Fail over…"), kind=role.kind)
    if role.is_exclusive and role.state == RoleState.STANDBY:
        yield act_link(role, "fail-over", _("Make holder…"), kind=role.kind, host=role.host)
    if role.kind == RoleKind.SEAL and role.state == RoleState.HELD:
        yield act_link(role, "test", _("Test…"), host=role.host)
    if not role.group:
        yield act_link(role, "remove", _("Remove…"), kind=role.kind, host=role.host)


def act_link(role: Role, act: str, label: StrOrPromise, **query: str) -> Action:
    """Return a link to the question before an act."""
    href = reverse("miner-role-act", args=[role.miner.address, act])
    return Action(key=act, label=str(label), href=f"{href}?{urlencode(query)}", icon="")


def test_text(test: RoleTest) -> str:
    """Return how far a trial is: its number, whether it is the highest, and whether the host began."""
    number = gettext("sector {number}").format(number=test.sector.number)
    if not test.is_highest:
        return gettext(
            "{number} is below {highest}: another program assigns numbers, import its sectorid file"
        ).format(number=number, highest=test.highest)
    progress = (
        gettext("sealing has started")
        if test.has_started
        else gettext("{host} has not started it yet").format(host=test.host or gettext("the host"))
    )
    return gettext("{number} is the highest, {begun}").format(number=number, begun=progress)
