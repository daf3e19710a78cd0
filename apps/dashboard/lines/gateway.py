"""A connection to the gateway as the page shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.urls import reverse

from apps.dashboard import numbers
from apps.dashboard.lines.acts import Act
from apps.gateway.models import ProverConnection, Purpose, SignerConnection
from poolsite.filecoin.address import id_address

if TYPE_CHECKING:
    from apps.dashboard.regions.scene import Scene
    from apps.gateway.services.connection_test import ConnectionTestResult
    from apps.users.models import AccountApproval


@dataclass(frozen=True, slots=True)
class ConnectionLine:
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
    acts: tuple[Act, ...]
    finding: ConnectionTestResult | None


@dataclass(frozen=True, slots=True)
class ApprovalLine:
    """A signer's wish to serve an account."""

    key: str
    signer: str
    account: str
    at: str
    is_approved: bool
    may_act: bool


def latency_words(p50_ms: float | None, p99_ms: float | None) -> str:
    """`12 ms, 99 % in 40 ms`."""
    if p50_ms is None or p99_ms is None:
        return numbers.NOTHING
    return f"{numbers.duration(p50_ms / 1000)}, 99 % in {numbers.duration(p99_ms / 1000)}"


def keys_words(row: SignerConnection, scene: Scene) -> str:
    """Name the keys of a wallet, the first three of them."""
    names = [
        scene.names.wallets.get(key.address) or numbers.shortened(key.address)
        for key in row.signer_keys.all()
    ]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more or "no key"


def connection_acts(row: SignerConnection | ProverConnection, *, may_test: bool, may_end: bool) -> list[Act]:
    """What can be done with a connection."""
    acts = []
    if may_test and isinstance(row, SignerConnection):
        acts.append(Act("test", "Test sign", reverse("gateway-act", args=[row.pk, "test"]), "ok"))
    elif may_test and isinstance(row, ProverConnection) and row.purpose == Purpose.PROOF:
        acts.append(Act("test", "Test proof", reverse("gateway-act", args=[row.pk, "test"]), "ok"))
    if may_end:
        there = reverse("gateway-act", args=[row.pk, "end"])
        acts.append(Act("end", "Disconnect", there, "off", kind="danger"))
    return acts


def connection_line(
    row: SignerConnection | ProverConnection, *, scene: Scene, finding: ConnectionTestResult | None = None
) -> ConnectionLine:
    """Lay out one connection of `connections_open`."""
    if isinstance(row, SignerConnection):
        name, kind = keys_words(row, scene), "Signer"
        serves = ", ".join(row.accounts)
    else:
        miner = str(id_address(row.actor_id))
        name, kind = scene.names.miners.get(miner, miner), str(row.get_purpose_display())
        serves = miner
    return ConnectionLine(
        key=str(row.pk),
        name=name,
        kind=kind,
        tenant=row.tenant.name,
        serves=serves,
        source=row.source or numbers.NOTHING,
        since=str(numbers.moment(row.created_at)),
        requests=numbers.whole(row.requests),
        in_flight=numbers.whole(row.in_flight),
        failures=numbers.whole(row.failures),
        last_failure=row.last_failure,
        latency=latency_words(row.p50_ms, row.p99_ms),
        tone="run" if row.in_flight else "ok",
        word="answering" if row.in_flight else "connected",
        acts=tuple(
            connection_acts(row, may_test=scene.viewer.may("sign"), may_end=scene.viewer.may("admin"))
        ),
        finding=finding,
    )


def approval_line(row: AccountApproval, *, may_act: bool) -> ApprovalLine:
    """Lay out one wish."""
    return ApprovalLine(
        key=str(row.pk),
        signer=row.signer_tenant.name,
        account=row.account.name,
        at=str(numbers.moment(row.approved_at or row.created_at)),
        is_approved=row.approved_at is not None,
        may_act=may_act,
    )
