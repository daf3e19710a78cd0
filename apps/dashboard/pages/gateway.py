"""Gateway: signers and provers that are connected, and signatures that wait for somebody."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST, require_safe

from apps.checks.results import Topic
from apps.core import formatting
from apps.core.errors import DomainError
from apps.core.formatting import plural
from apps.dashboard.cards import Action, Verdict
from apps.dashboard.fragments import FragmentContext, LivePage, fragment
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.reauthentication import reauthenticate_first
from apps.dashboard.registry import NavItem
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.todo import verdict_by
from apps.gateway.selectors import as_prover, as_signer, connection_get, connections_open
from apps.gateway.services.connection_test import (
    ConnectionTestResult,
    account_approval_revoke_and_disconnect,
    connection_end,
    prover_test,
    signer_test,
)
from apps.gateway.states import Purpose
from apps.proving.winning_post_test import trial_request
from apps.sectors.selectors.hosts import is_uuid
from apps.users.selectors import approvals_visible
from apps.users.services.audit import audit_record
from apps.users.services.grants import account_approve
from poolsite.filecoin.address import id_address

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from apps.gateway.models import ProverConnection, SignerConnection
    from apps.users.principals import Principal


@dataclass(frozen=True, slots=True)
class ConnectionRow:
    """One connection in the list."""

    row: SignerConnection | ProverConnection
    name: str
    kind: str
    serves: str
    actions: tuple[Action, ...]
    finding: ConnectionTestResult | None


def keys_text(row: SignerConnection, data: PageData) -> str:
    """Name the keys of a wallet, the first three of them."""
    names = [
        data.names.wallets.get(key.address) or formatting.shortened(key.address)
        for key in row.signer_keys.all()
    ]
    more = gettext(" and {names} more").format(names=len(names) - 3) if len(names) > 3 else ""
    return ", ".join(names[:3]) + more or "no key"


def connection_actions(
    row: SignerConnection | ProverConnection, *, may_test: bool, may_end: bool
) -> list[Action]:
    """Return what can be done with a connection."""
    actions = []
    if may_test and as_signer(row):
        actions.append(
            Action("test", _("Test signature"), reverse("gateway-act", args=[row.pk, "test"]), "ok")
        )
    elif may_test and (prover := as_prover(row)) and prover.purpose == Purpose.PROOF:
        actions.append(Action("test", _("Test proof"), reverse("gateway-act", args=[row.pk, "test"]), "ok"))
    if may_end:
        there = reverse("gateway-act", args=[row.pk, "end"])
        actions.append(Action("end", _("Disconnect"), there, "off", kind="danger"))
    return actions


def connection_row(
    row: SignerConnection | ProverConnection, *, data: PageData, finding: ConnectionTestResult | None = None
) -> ConnectionRow:
    """Lay out one connection of `connections_open`."""
    name = kind = serves = ""
    if (signer := as_signer(row)) is not None:
        name, kind, serves = keys_text(signer, data), "Signer", ", ".join(signer.accounts)
    elif (prover := as_prover(row)) is not None:
        serves = str(id_address(prover.actor_id))
        name, kind = data.names.miners.get(serves, serves), str(prover.get_purpose_display())
    return ConnectionRow(
        row=row,
        name=name,
        kind=kind,
        serves=serves,
        actions=tuple(
            connection_actions(row, may_test=data.viewer.may("sign"), may_end=data.viewer.may("admin"))
        ),
        finding=finding,
    )


SHOWN: Final = 200
"""Connections on the page; the rest are counted."""


def connection_rows(rows: list[SignerConnection | ProverConnection], data: PageData) -> list[ConnectionRow]:
    """Lay out connections, wallets first."""
    return [connection_row(row, data=data) for row in rows[:SHOWN]]


def list_verdict_of(rows: list[SignerConnection | ProverConnection], data: PageData) -> Verdict:
    """Return in one sentence who is connected."""
    report = data.report_of(Topic.GATEWAY)
    signers = sum(as_signer(row) is not None for row in rows)
    provers = len(rows) - signers
    if not rows:
        return verdict_by(report, Verdict("", _("No connections.")))
    failures = sum(row.failures for row in rows)
    rest = (
        gettext("{requests} failed since they connected.").format(requests=plural(failures, "request"))
        if failures
        else "No requests have failed."
    )
    say = gettext("{signers} and {provers} connected.").format(
        signers=plural(signers, "signer"), provers=plural(provers, "prover")
    )
    return verdict_by(report, Verdict(say, rest))


def approvals_context(data: PageData) -> dict[str, Any]:
    """Return the wishes to serve an account, the open ones first, and whether the viewer decides."""
    rows = sorted(approvals_visible(data.viewer), key=lambda row: (row.approved_at is not None, row.pk))
    return {"approvals": rows, "may_approve": data.viewer.may("admin")}


def table(context: FragmentContext) -> Iterable[str]:
    """Render the list anew: somebody came or went."""
    rows = connections_open(context.viewer)
    yield fragment(
        "gateway/_table.html",
        connections=connection_rows(rows, context.data),
        hidden=max(len(rows) - SHOWN, 0),
    )
    yield fragment("dashboard/_verdict.html", verdict=list_verdict_of(rows, context.data))


def verdict(context: FragmentContext) -> Iterable[str]:
    """Render the verdict anew."""
    rows = connections_open(context.viewer)
    yield fragment("dashboard/_verdict.html", verdict=list_verdict_of(rows, context.data))


def approvals(context: FragmentContext) -> Iterable[str]:
    """Yield the approvals: a signer that connects may ask for an account."""
    yield fragment("gateway/_approvals.html", **approvals_context(context.data))


def rows(context: FragmentContext, keys: list[str]) -> Iterable[str]:
    """Render the connections that did something; one that ended meanwhile goes with the next table."""
    for row in connections_open(context.viewer, keys=[key for key in keys if is_uuid(key)]):
        yield fragment("gateway/_row.html", connection=connection_row(row, data=context.data))


LEVELS: Final = {"test": "sign", "end": "admin"}
"""What a person needs for each action."""


@require_safe
@sign_in_required
def gateway(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Return the list."""
    data = PageData(viewer)
    rows = connections_open(viewer)
    return page_render(
        request,
        "gateway/list.html",
        title=_("Gateway"),
        section="gateway",
        page_key="gateway",
        data=data,
        connections=connection_rows(rows, data),
        hidden=max(len(rows) - SHOWN, 0),
        verdict=list_verdict_of(rows, data),
        **approvals_context(data),
    )


@require_POST
@sign_in_required
def action(request: HttpRequest, viewer: Principal, key: UUID, op: str) -> HttpResponse:
    """Have a connection prove that it works, or end it; answers with its row."""
    if op not in LEVELS or not viewer.may(LEVELS[op]):
        raise Http404
    row = connection_get(viewer, key)
    finding = tested(viewer, row) if op == "test" else ended(viewer, row)
    if not getattr(request, "htmx", False):
        return redirect("gateway")
    shown = connection_row(row, data=PageData(viewer), finding=finding)
    return render(request, "gateway/_row.html", {"connection": shown}, status=200 if finding.is_good else 422)


def tested(viewer: Principal, row: SignerConnection | ProverConnection) -> ConnectionTestResult:
    """Test a connection."""
    if (signer := as_signer(row)) is not None:
        return signer_test(signer)
    if (prover := as_prover(row)) is None:
        raise Http404
    try:
        return prover_test(prover, trial_request(viewer, actor_id=prover.actor_id))
    except DomainError as refusal:
        return ConnectionTestResult(False, refusal.reason)


def ended(viewer: Principal, row: SignerConnection | ProverConnection) -> ConnectionTestResult:
    """End a connection."""
    try:
        connection_end(principal=viewer, row=row)
    except DomainError as refusal:
        return ConnectionTestResult(False, refusal.reason)
    return ConnectionTestResult(True, "disconnected")


@require_POST
@sign_in_required
def approve(request: HttpRequest, viewer: Principal, pk: int, op: str) -> HttpResponse:
    """Approve another tenant's signers for an account, or refuse them."""
    if op not in ("approve", "refuse") or not viewer.may("admin"):
        raise Http404
    row = approvals_visible(viewer).filter(pk=pk).first()
    if row is None:
        raise Http404
    if op == "approve" and (held := reauthenticate_first(request, viewer)) is not None:
        return held
    pair = {"signer_tenant": row.signer_tenant, "account": row.account}
    if op == "approve":
        account_approve(**pair)
    else:
        account_approval_revoke_and_disconnect(**pair)
    after = {"signer": row.signer_tenant.name, "approve": op == "approve"}
    audit_record(principal=viewer, action="account.approve", target=row.account.name, after=after)
    if not getattr(request, "htmx", False):
        return redirect("gateway")
    return render(request, "gateway/_approvals.html", approvals_context(PageData(viewer)))


NAV: Final = NavItem("gateway", _("Gateway"), "gateway", place=(2, 2))
urlpatterns: Final = [
    path("gateway/", gateway, name="gateway"),
    path("gateway/<uuid:key>/<str:op>/", action, name="gateway-act"),
    path("gateway/approvals/<int:pk>/<str:op>/", approve, name="gateway-approve"),
]
LIVE: Final = {
    "gateway": LivePage({"signer": (table, approvals)}, rows={"connection": rows}, findings=verdict)
}
