"""The senders as CSV."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.urls import path
from django.views.decorators.http import require_safe

from apps.dashboard.csv_export import csv_answer
from apps.dashboard.page_data import PageData
from apps.dashboard.sessions import sign_in_required
from apps.messages.selectors.balances import balances_of
from apps.messages.selectors.nonce_lanes import lanes_of, open_by_sender
from apps.messages.selectors.queue_costs import LEARN_DAYS
from apps.messages.selectors.senders import senders_visible
from apps.messages.selectors.spend import spend_by_sender

if TYPE_CHECKING:
    from django.http import HttpRequest

    from apps.dashboard.csv_export import Download
    from apps.users.rules.principals import Principal

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


@require_safe
@sign_in_required
def senders_csv(_request: HttpRequest, viewer: Principal) -> Download:
    """Return the list as CSV."""
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
            spent.get(row.address, 0),
            row.quota,
            row.max_fee,
            row.gas_fee_cap,
            row.base_fee,
        )
        for row in rows
    )
    return csv_answer("senders.csv", COLUMNS, cells)


urlpatterns: Final = [
    path("senders.csv", senders_csv, name="senders-csv"),
]
