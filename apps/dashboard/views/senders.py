"""Senders: addresses with their lanes of nonces, fee settings, pause and resume."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from apps.core.errors import DomainError, NotFound
from apps.dashboard.csv_export import csv_answer
from apps.dashboard.fee_forms import FIELDS, form_of, rules_read
from apps.dashboard.fragments.senders import (
    SENDERS_MAX,
    head_context,
    list_verdict_of,
    sender_detail,
    sender_rows,
)
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.sessions import sign_in_required
from apps.messages.errors import SenderShared
from apps.messages.selectors import sender_get, sender_may_set, senders_visible
from apps.messages.selectors.balances import balances_of
from apps.messages.selectors.gas import LEARN_DAYS, spend_by_sender
from apps.messages.selectors.nonce_lanes import lanes_of, open_by_sender
from apps.messages.services.senders import sender_set
from apps.messages.states import SenderState

if TYPE_CHECKING:
    from apps.dashboard.csv_export import Download
    from apps.messages.models import Sender
    from apps.users.principals import Principal

COLUMNS: Final = (
    "address",
    "state",
    "chain_nonce",
    "next_nonce",
    "in_flight",
    "waiting",
    "missing_nonces",
    "balance_atto",
    "gas_7_days_atto",
    "quota",
    "max_fee_atto",
    "gas_fee_cap_atto",
    "base_fee_gate_atto",
)
"""Of the list as CSV."""
OPS: Final = {"pause": SenderState.FORBIDDEN, "resume": SenderState.ALIVE}


@require_safe
@sign_in_required
def senders(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """The list, those that need somebody first."""
    data = PageData(viewer)
    rows = sender_rows(list(senders_visible(viewer)[:SENDERS_MAX]), data)
    return page_render(
        request,
        "senders/list.html",
        title="Senders",
        section="senders",
        page_key="senders",
        data=data,
        senders=rows,
        verdict=list_verdict_of(rows, data),
        csv=reverse("senders-csv"),
    )


@require_safe
@sign_in_required
def senders_csv(_request: HttpRequest, viewer: Principal) -> Download:
    """The list as CSV."""
    data = PageData(viewer)
    rows = list(senders_visible(viewer))
    lanes = lanes_of(rows, viewer=viewer, open_counts=open_by_sender(viewer), base_fee=0)
    spent = spend_by_sender(viewer, days=LEARN_DAYS, now=data.at)
    balances = balances_of(rows)
    cells = (
        (
            row.address,
            row.state,
            row.chain_nonce,
            row.next_nonce,
            lanes[row.address].in_flight,
            lanes[row.address].waiting,
            lanes[row.address].gaps,
            balances[row.address],
            spent.get(row.address, (0, 0))[0],
            row.quota,
            row.max_fee,
            row.gas_fee_cap,
            row.base_fee,
        )
        for row in rows
    )
    return csv_answer("senders.csv", COLUMNS, cells)


def sender_or_404(viewer: Principal, address: str) -> Sender:
    """One sender; a stranger's is as absent as one that never was."""
    try:
        return sender_get(viewer, address)
    except NotFound:
        raise Http404 from None


@require_safe
@sign_in_required
def sender(request: HttpRequest, viewer: Principal, address: str) -> HttpResponse:
    """One sender with its lane and settings."""
    return sender_page(request, viewer, address)


def sender_page(
    request: HttpRequest,
    viewer: Principal,
    address: str,
    *,
    form: dict[str, str] | None = None,
    errors: dict[str, str] | None = None,
) -> HttpResponse:
    """Render a sender's page; `errors` are what the settings form was refused for."""
    row, data = sender_or_404(viewer, address), PageData(viewer)
    detail = sender_detail(row, data)
    return page_render(
        request,
        "senders/detail.html",
        title=detail.row.name,
        section="senders",
        page_key=f"sender:{row.address}",
        data=data,
        status=422 if errors else 200,
        **head_context(detail),
        facts=detail.facts,
        form=form or form_of(row),
        errors=errors or {},
        can_set=viewer.may("sign") and sender_may_set(viewer, row.address),
        is_shared=not sender_may_set(viewer, row.address),
    )


@require_POST
@sign_in_required
def settings(request: HttpRequest, viewer: Principal, address: str) -> HttpResponse:
    """Change fee rules and quota of a sender; an empty field leaves the choice to the rules below."""
    row = sender_or_404(viewer, address)
    if not viewer.may("sign"):
        raise Http404
    form = {name: request.POST.get(name, "").strip() for name in FIELDS}
    try:
        fees, quota = rules_read(form)
        sender_set(principal=viewer, address=row.address, fees=fees, quota=quota)
    except DomainError as refusal:
        return sender_page(request, viewer, address, form=form, errors={refusal.field: refusal.reason})
    return redirect("sender", row.address)


@require_POST
@sign_in_required
def action(request: HttpRequest, viewer: Principal, address: str, op: str) -> HttpResponse:
    """Pause a sender or let it go on."""
    row = sender_or_404(viewer, address)
    if op not in OPS or not viewer.may("sign"):
        raise Http404
    try:
        sender_set(principal=viewer, address=row.address, state=OPS[op])
    except SenderShared:
        raise Http404 from None
    if not getattr(request, "htmx", False):
        return redirect("sender", row.address)
    detail = sender_detail(sender_or_404(viewer, address), PageData(viewer))
    return render(request, "senders/_head.html", head_context(detail))
