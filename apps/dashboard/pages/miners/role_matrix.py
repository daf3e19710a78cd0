"""All roles: a row for each host, a column for each miner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.urls import path
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from apps.checks.findings.results import Topic
from apps.core import clock
from apps.core.formatting import plural
from apps.dashboard.cards import Verdict
from apps.dashboard.fragments import FragmentContext, LivePage, fragment
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.miners.role_rows import RoleRow, role_row
from apps.dashboard.registry import NavItem
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.todo import verdict_by
from apps.messages.selectors.recovery import recovery_row
from apps.miners.selectors.miners import miners_visible
from apps.miners.selectors.roles import roles_seen

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.http import HttpRequest, HttpResponse

    from apps.users.rules.principals import Principal


MINERS_SHOWN: Final = 12
"""Columns that a matrix has room for."""


@dataclass(frozen=True, slots=True)
class MatrixCell:
    """What one host does for one miner."""

    miner: str
    roles: tuple[RoleRow, ...]


@dataclass(frozen=True, slots=True)
class MatrixRow:
    """One host with a cell for each miner."""

    host: str
    cells: tuple[MatrixCell, ...]


def matrix(viewer: Principal) -> tuple[list[str], list[MatrixRow], int]:
    """Return the miners with roles, a row for each host, and how many miners found no room."""
    now, restored_at = clock.now(), recovery_row().restored_at
    roles = list(roles_seen(viewer))
    miners = {role.miner_id: role.miner for role in roles}
    shown = dict(list(miners.items())[:MINERS_SHOWN])
    cells: dict[tuple[str, int], list[RoleRow]] = {}
    for role in roles:
        cells.setdefault((role.host, role.miner_id), []).append(
            role_row(role, now=now, restored_at=restored_at)
        )
    rows = []
    for host in sorted({role.host for role in roles if role.miner_id in shown}):
        line = (MatrixCell(miner.address, tuple(cells.get((host, pk), ()))) for pk, miner in shown.items())
        rows.append(MatrixRow(host, tuple(line)))
    return [miner.address for miner in shown.values()], rows, len(miners) - len(shown)


def matrix_context(viewer: Principal) -> dict[str, Any]:
    """Return what the matrix shows."""
    miners, rows, more = matrix(viewer)
    return {"miners": miners, "rows": rows, "more": more}


def matrix_verdict_of(data: PageData, hosts: int) -> Verdict:
    """Return what the checks found of roles, or how many hosts have some."""
    return verdict_by(
        data.report_of(Topic.ROLES),
        Verdict("", gettext("{hosts} with roles.").format(hosts=plural(hosts, "host"))),
    )


def matrix_verdict(context: FragmentContext) -> Iterable[str]:
    """Yield what the checks found."""
    hosts = len({role.host for role in roles_seen(context.viewer)})
    yield fragment("dashboard/_verdict.html", verdict=matrix_verdict_of(context.data, hosts))


def matrix_fragment(context: FragmentContext) -> Iterable[str]:
    """Yield the matrix."""
    yield fragment("miners/_role_matrix.html", **matrix_context(context.viewer))


@require_safe
@sign_in_required
def role_matrix(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Hosts by miners."""
    data = PageData(viewer)
    context = matrix_context(viewer)
    named = miners_visible(viewer).exclude(actor_id=None)[:MINERS_SHOWN]
    return page_render(
        request,
        "miners/role_matrix.html",
        title=_("Roles"),
        section="roles",
        page_key="roles",
        data=data,
        verdict=matrix_verdict_of(data, len({role.host for role in roles_seen(viewer)})),
        others=[miner.address for miner in named if miner.address not in context["miners"]],
        **context,
    )


NAV: Final = NavItem("roles", _("Roles"), "columns", place=(1, 15))


urlpatterns: Final = [path("roles/", role_matrix, name="roles")]
LIVE: Final = {
    "roles": LivePage(
        {"role": (matrix_verdict, matrix_fragment), "worker": (matrix_fragment,)}, findings=matrix_verdict
    )
}
