"""A connection to the gateway as the page shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.urls import reverse

from apps.core import formatting
from apps.dashboard.html_time import time_html
from apps.dashboard.rows.actions import Action
from apps.gateway.models import ProverConnection, Purpose, SignerConnection
from poolsite.filecoin.address import id_address

if TYPE_CHECKING:
    from apps.dashboard.page_data import PageData
    from apps.gateway.services.connection_test import ConnectionTestResult
    from apps.users.models import AccountApproval


@dataclass(frozen=True, slots=True)
class ConnectionRow:
    """One connection in the list."""

    key: str
    name: str
    kind: str
    tenant: str
    serves: str
    source: str
    since: str
    requests: str
    in_flight: str
    failures: str
    last_failure: str
    latency: str
    tone: str
    word: str
    actions: tuple[Action, ...]
    finding: ConnectionTestResult | None


@dataclass(frozen=True, slots=True)
class ApprovalRow:
    """A signer's wish to serve an account."""

    key: str
    signer: str
    account: str
    at: str
    is_approved: bool
    may_act: bool


def latency_text(p50_ms: float | None, p99_ms: float | None) -> str:
    """`12 ms, 99 % in 40 ms`."""
    if p50_ms is None or p99_ms is None:
        return formatting.NOTHING
    return f"{formatting.duration(p50_ms / 1000)}, 99 % in {formatting.duration(p99_ms / 1000)}"


def keys_text(row: SignerConnection, data: PageData) -> str:
    """Name the keys of a wallet, the first three of them."""
    names = [
        data.names.wallets.get(key.address) or formatting.shortened(key.address)
        for key in row.signer_keys.all()
    ]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more or "no key"


def connection_actions(
    row: SignerConnection | ProverConnection, *, may_test: bool, may_end: bool
) -> list[Action]:
    """What can be done with a connection."""
    actions = []
    if may_test and isinstance(row, SignerConnection):
        actions.append(Action("test", "Test sign", reverse("gateway-act", args=[row.pk, "test"]), "ok"))
    elif may_test and isinstance(row, ProverConnection) and row.purpose == Purpose.PROOF:
        actions.append(Action("test", "Test proof", reverse("gateway-act", args=[row.pk, "test"]), "ok"))
    if may_end:
        there = reverse("gateway-act", args=[row.pk, "end"])
        actions.append(Action("end", "Disconnect", there, "off", kind="danger"))
    return actions


def connection_row(
    row: SignerConnection | ProverConnection, *, data: PageData, finding: ConnectionTestResult | None = None
) -> ConnectionRow:
    """Lay out one connection of `connections_open`."""
    if isinstance(row, SignerConnection):
        name, kind = keys_text(row, data), "Signer"
        serves = ", ".join(row.accounts)
    else:
        miner = str(id_address(row.actor_id))
        name, kind = data.names.miners.get(miner, miner), str(row.get_purpose_display())
        serves = miner
    return ConnectionRow(
        key=str(row.pk),
        name=name,
        kind=kind,
        tenant=row.tenant.name,
        serves=serves,
        source=row.source or formatting.NOTHING,
        since=str(time_html(row.created_at)),
        requests=formatting.whole(row.requests),
        in_flight=formatting.whole(row.in_flight),
        failures=formatting.whole(row.failures),
        last_failure=row.last_failure,
        latency=latency_text(row.p50_ms, row.p99_ms),
        tone="run" if row.in_flight else "ok",
        word="answering" if row.in_flight else "connected",
        actions=tuple(
            connection_actions(row, may_test=data.viewer.may("sign"), may_end=data.viewer.may("admin"))
        ),
        finding=finding,
    )


def approval_row(row: AccountApproval, *, may_act: bool) -> ApprovalRow:
    """Lay out one wish."""
    return ApprovalRow(
        key=str(row.pk),
        signer=row.signer_tenant.name,
        account=row.account.name,
        at=str(time_html(row.approved_at or row.created_at)),
        is_approved=row.approved_at is not None,
        may_act=may_act,
    )
