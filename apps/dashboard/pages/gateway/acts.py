"""What a person does with a connection or an approval: test, end, approve."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.views.decorators.http import require_POST

from apps.core.errors import DomainError
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.gateway.connection_rows import connection_row
from apps.dashboard.pages.gateway.page import approvals_context
from apps.dashboard.reauthentication import reauthenticate_first
from apps.dashboard.refusals import refusal_text
from apps.dashboard.sessions import sign_in_required
from apps.gateway.selectors.connections import as_prover, as_signer, connection_get
from apps.gateway.services.connection_test import (
    ConnectionTestResult,
    account_approval_decide,
    connection_end,
    prover_test,
    signer_test,
)
from apps.proving.selectors.winning_post_test import trial_request
from apps.users.rules.principals import Principal
from apps.users.selectors.approvals import approvals_visible

if TYPE_CHECKING:
    from apps.gateway.models import ProverConnection, SignerConnection

LEVELS: Final = {"test": "sign", "end": "admin"}
"""What a person needs for each action."""


@require_POST
@sign_in_required
def action(request: HttpRequest, viewer: Principal, key: UUID, op: str) -> HttpResponse:
    """Test a connection, or close it; answers with its row."""
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
        return prover_test(prover, request=trial_request(viewer, actor_id=prover.actor_id))
    except DomainError as refusal:
        return ConnectionTestResult(False, refusal_text(refusal))


def ended(viewer: Principal, row: SignerConnection | ProverConnection) -> ConnectionTestResult:
    """End a connection."""
    try:
        connection_end(principal=viewer, row=row)
    except DomainError as refusal:
        return ConnectionTestResult(False, refusal_text(refusal))
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
    if (held := reauthenticate_first(request, viewer)) is not None:
        return held
    account_approval_decide(
        principal=viewer,
        signer_tenant=row.signer_tenant,
        account=row.account,
        is_approved=op == "approve",
    )
    if not getattr(request, "htmx", False):
        return redirect("gateway")
    return render(request, "gateway/_approvals.html", approvals_context(PageData(viewer)))


urlpatterns: Final = [
    path("gateway/<uuid:key>/<str:op>/", action, name="gateway-act"),
    path("gateway/approvals/<int:pk>/<str:op>/", approve, name="gateway-approve"),
]
