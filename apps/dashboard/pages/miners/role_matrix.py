"""All roles: a row for each host, a column for each miner."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qs

from django.http import HttpRequest, HttpResponse
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
from apps.dashboard.pagination import page_counted
from apps.dashboard.registry import NavItem
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.todo import verdict_by
from apps.messages.selectors.recovery import recovery_row
from apps.miners.selectors.roles import (
    hosts_with_roles,
    miners_with_roles,
    miners_without_roles,
    roles_seen,
)
from apps.users.rules.principals import Principal

MINERS_SHOWN: Final = 12
"""Miners on one page of the matrix."""
COLUMNS: Final = "miners"
OTHERS: Final = "without"
"""Query fields with the cursors of the columns and of the list of miners without roles."""


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


def matrix_context(viewer: Principal, query: Mapping[str, str]) -> dict[str, Any]:
    """Return the template's values: a page of hosts as rows, a page of miners as columns."""
    wanted = {name: query.get(name, "") for name in ("after", COLUMNS)}
    miners, columns = page_counted(
        miners_with_roles(viewer), wanted[COLUMNS], query=wanted, field=COLUMNS, many=MINERS_SHOWN
    )
    hosts, pager = page_counted(hosts_with_roles(viewer), wanted["after"], query=wanted)
    now, restored_at = clock.now(), recovery_row().restored_at
    cells: dict[tuple[str, int], list[RoleRow]] = {}
    for role in roles_seen(viewer).filter(host__in=hosts, miner__in=miners):
        row = role_row(role, now=now, restored_at=restored_at)
        cells.setdefault((role.host, role.miner_id), []).append(row)
    rows = [
        MatrixRow(
            host,
            tuple(MatrixCell(miner.address, tuple(cells.get((host, miner.pk), ()))) for miner in miners),
        )
        for host in hosts
    ]
    return {
        "miners": [miner.address for miner in miners],
        "rows": rows,
        "pager": pager,
        "columns": columns if columns.newer or columns.older else None,
    }


def matrix_verdict_of(data: PageData, hosts: int) -> Verdict:
    """Return what the checks found of roles, or how many hosts have some."""
    return verdict_by(
        data.report_of(Topic.ROLES),
        Verdict("", gettext("{hosts} with roles.").format(hosts=plural(hosts, "host"))),
    )


def matrix_verdict(context: FragmentContext) -> Iterable[str]:
    """Yield what the checks found."""
    hosts = hosts_with_roles(context.viewer).count()
    yield fragment("dashboard/_verdict.html", verdict=matrix_verdict_of(context.data, hosts))


def matrix_fragment(context: FragmentContext) -> Iterable[str]:
    """Yield the matrix."""
    query = {name: values[0] for name, values in parse_qs(context.key).items()}
    yield fragment("miners/_role_matrix.html", **matrix_context(context.viewer, query))


@require_safe
@sign_in_required
def role_matrix(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Hosts by miners."""
    data = PageData(viewer)
    others, more = page_counted(
        miners_without_roles(viewer), request.GET.get(OTHERS, ""), query=request.GET.dict(), field=OTHERS
    )
    return page_render(
        request,
        "miners/role_matrix.html",
        title=_("Roles"),
        section="roles",
        page_key=f"roles:{request.GET.urlencode()}",
        data=data,
        verdict=matrix_verdict_of(data, hosts_with_roles(viewer).count()),
        others=[miner.address for miner in others],
        more=more if more.newer or more.older else None,
        **matrix_context(viewer, request.GET),
    )


NAV: Final = NavItem("roles", _("Roles"), "columns", place=(2, 2))


urlpatterns: Final = [path("roles/", role_matrix, name="roles")]
LIVE: Final = {
    "roles": LivePage(
        {"role": (matrix_verdict, matrix_fragment), "worker": (matrix_fragment,)}, findings=matrix_verdict
    )
}
