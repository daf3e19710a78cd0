"""Gateway: signers and provers that are connected, and signers of others that wait for approval."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from apps.checks.findings.results import Topic
from apps.core.formatting import plural
from apps.core.uuids import is_uuid
from apps.dashboard.cards import Verdict
from apps.dashboard.fragments import FragmentContext, LivePage, fragment
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.gateway.connection_rows import connection_row
from apps.dashboard.pagination import page_counted
from apps.dashboard.registry import NavItem
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.todo import verdict_by
from apps.gateway.selectors.connections import OpenConnections, connections_open
from apps.users.rules.principals import Principal
from apps.users.selectors.approvals import approvals_visible
from apps.wallets.selectors import remote_wallet_keys, remote_wallets


def list_verdict_of(rows: OpenConnections, data: PageData) -> Verdict:
    """Return in one sentence who is connected."""
    report = data.report_of(Topic.GATEWAY)
    if not len(rows):
        return verdict_by(report, Verdict("", _("No connections.")))
    failures = rows.failures
    rest = (
        gettext("{requests} failed since they connected.").format(requests=plural(failures, "request"))
        if failures
        else gettext("No requests have failed since they connected.")
    )
    say = gettext("{signers} and {provers} connected.").format(
        signers=plural(rows.signer_count, "signer"), provers=plural(rows.prover_count, "prover")
    )
    return verdict_by(report, Verdict(say, rest))


def approvals_context(data: PageData) -> dict[str, Any]:
    """Return the wishes to serve an account, the open ones first, and whether the viewer decides."""
    rows = sorted(approvals_visible(data.viewer), key=lambda row: (row.approved_at is not None, row.pk))
    return {"approvals": rows, "may_act": data.viewer.may("admin")}


def remote_wallets_context(data: PageData) -> dict[str, Any]:
    """Return the wallets that the pool connects to, each with its keys."""
    rows = list(remote_wallets(data.viewer))
    keys = remote_wallet_keys(rows)
    for row in rows:
        row.keys = keys.get(row.pk, [])  # type: ignore[attr-defined]  # for the template
    return {"wallets": rows, "may_act": data.viewer.may("admin")}


def table_context(rows: OpenConnections, after: str, data: PageData) -> dict[str, Any]:
    """Return one page of the connections."""
    shown, pager = page_counted(rows, after)
    return {"connections": [connection_row(row, data=data) for row in shown], "pager": pager}


def table(context: FragmentContext) -> Iterable[str]:
    """Render the list anew: somebody came or went."""
    rows = connections_open(context.viewer)
    yield fragment("gateway/_table.html", **table_context(rows, context.key, context.data))
    yield fragment("dashboard/_verdict.html", verdict=list_verdict_of(rows, context.data))


def verdict(context: FragmentContext) -> Iterable[str]:
    """Render the verdict anew."""
    rows = connections_open(context.viewer)
    yield fragment("dashboard/_verdict.html", verdict=list_verdict_of(rows, context.data))


def approvals(context: FragmentContext) -> Iterable[str]:
    """Yield approvals and remote wallets: a new connection may await approval, or be such a wallet."""
    yield fragment("gateway/_approvals.html", **approvals_context(context.data))
    yield fragment("gateway/_wallets.html", **remote_wallets_context(context.data))


def rows(context: FragmentContext, keys: list[str]) -> Iterable[str]:
    """Render the connections that did something; one that ended meanwhile goes with the next table."""
    for row in connections_open(context.viewer, keys=[key for key in keys if is_uuid(key)]):
        yield fragment("gateway/_row.html", connection=connection_row(row, data=context.data))


@require_safe
@sign_in_required
def gateway(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Return the list."""
    data, after = PageData(viewer), request.GET.get("after", "")
    rows = connections_open(viewer)
    return page_render(
        request,
        "gateway/list.html",
        title=_("Gateway"),
        section="gateway",
        page_key=f"gateway:{after}",
        data=data,
        verdict=list_verdict_of(rows, data),
        **table_context(rows, after, data) | approvals_context(data) | remote_wallets_context(data),
    )


NAV: Final = NavItem("gateway", _("Gateway"), "gateway", place=(6, 4))
urlpatterns: Final = [
    path("gateway/", gateway, name="gateway"),
]
LIVE: Final = {
    "gateway": LivePage({"signer": (table, approvals)}, rows={"connection": rows}, findings=verdict)
}
