"""Reading who is connected to the hub."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Final
from uuid import UUID

from django.db.models import Count, Exists, OuterRef, Prefetch, QuerySet, Sum

from apps.core import clock
from apps.core.errors import NotFound
from apps.core.marked_texts import gettext
from apps.gateway.models import ProverConnection, SignerConnection, SignerKey
from apps.gateway.states import Purpose
from apps.users.rules.principals import Principal

ALIVE_S: Final = timedelta(seconds=30)
"""A connection that its process did not confirm for so long went down with that process."""
EXPECTED_S: Final = timedelta(hours=1)
"""A key that was here within this time is expected back."""


FAILED_MAX: Final = 100
"""Connections with failures that are named; the rest would say no more."""


def is_expected(route: str, *, now: datetime) -> bool:
    """Return whether somebody who answers on this route was here lately."""
    kind, _, name = route.partition(":")
    since = now - EXPECTED_S
    if kind != "wallet":
        rows = ProverConnection.objects.filter(actor_id=int(name), purpose=kind, seen_at__gt=since)
        return rows.exists()
    keys = SignerKey.objects.filter(address=name, removed_at=None, connection__seen_at__gt=since)
    return keys.exists()


def signers_connected(viewer: Principal) -> QuerySet[SignerConnection]:
    """Return the wallets that are connected now, each with `signer_keys` that it holds."""
    keys = SignerKey.objects.filter(removed_at=None).order_by("pk")
    if viewer.signers:
        keys = keys.filter(address__in=viewer.signers)
    rows = (
        SignerConnection.objects.filter(closed_at=None, seen_at__gt=clock.now() - ALIVE_S)
        .select_related("tenant")
        .prefetch_related(Prefetch("signer_keys", queryset=keys))
        .order_by("created_at")
    )
    if viewer.signers:
        rows = rows.filter(Exists(keys.filter(connection=OuterRef("pk"))))
    elif viewer.miners:
        return rows.none()  # a signer holds the keys of other miners too
    return rows if viewer.is_operator else rows.filter(tenant_id=viewer.own_id)


def provers_connected(viewer: Principal, purpose: str = Purpose.PROOF) -> QuerySet[ProverConnection]:
    """Return the miners' channels for one purpose that are connected now."""
    rows = (
        ProverConnection.objects.filter(closed_at=None, purpose=purpose, seen_at__gt=clock.now() - ALIVE_S)
        .select_related("tenant")
        .order_by("created_at")
    )
    if viewer.miners:
        rows = rows.filter(actor_id__in=viewer.miners)
    return rows if viewer.is_operator else rows.filter(tenant_id=viewer.own_id)


def signer_keys(viewer: Principal) -> QuerySet[SignerKey]:
    """Return the keys that signers have proved and not given up."""
    rows = SignerKey.objects.filter(removed_at=None).select_related("tenant", "connection").order_by("pk")
    return rows if viewer.is_operator else rows.filter(tenant_id=viewer.own_id)


def keys_served(account: str, addresses: Collection[str]) -> set[str]:
    """Return those of these keys that a signer holds which is connected and serves this tenant."""
    keys = SignerKey.objects.filter(
        address__in=addresses,
        removed_at=None,
        connection__closed_at=None,
        connection__seen_at__gt=clock.now() - ALIVE_S,
        connection__accounts__contains=[account],
    )
    return set(keys.values_list("address", flat=True))


@dataclass(frozen=True)
class OpenConnections(Sequence["SignerConnection | ProverConnection"]):
    """Open connections, wallets first; only the requested slice is read."""

    signers: QuerySet[SignerConnection]
    provers: QuerySet[ProverConnection]

    @cached_property
    def _sums(self) -> list[tuple[int, int]]:
        """Return how many there are of each kind, and how many requests to them failed."""
        found = (rows.aggregate(n=Count("pk"), sum=Sum("failures")) for rows in (self.signers, self.provers))
        return [(one["n"], one["sum"] or 0) for one in found]

    @property
    def signer_count(self) -> int:
        """Return the number of signers."""
        return self._sums[0][0]

    @property
    def prover_count(self) -> int:
        """Return the number of miners' channels."""
        return self._sums[1][0]

    @property
    def failures(self) -> int:
        """Return the number of requests to them that failed."""
        return sum(failed for _, failed in self._sums)

    def __len__(self) -> int:
        return self.signer_count + self.prover_count

    def __iter__(self) -> Iterator[SignerConnection | ProverConnection]:
        yield from self.signers
        yield from self.provers

    def __getitem__(self, part: Any) -> Any:
        if isinstance(part, int):
            return self[part : part + 1][0]
        start, stop = part.start or 0, len(self) if part.stop is None else part.stop
        signers: list[SignerConnection | ProverConnection] = list(self.signers[start:stop])
        before = self.signer_count
        return [*signers, *self.provers[max(start - before, 0) : max(stop - before, 0)]]


def connections_open(viewer: Principal, *, keys: Collection[UUID | str] | None = None) -> OpenConnections:
    """Return the open connections that this caller may see, wallets first; or those of `keys`."""
    signers = signers_connected(viewer)
    provers = ProverConnection.objects.filter(closed_at=None, seen_at__gt=clock.now() - ALIVE_S)
    provers = provers.select_related("tenant").order_by("actor_id", "created_at")
    if viewer.miners:
        provers = provers.filter(actor_id__in=viewer.miners)
    if not viewer.is_operator:
        provers = provers.filter(tenant_id=viewer.own_id)
    if keys is not None:
        signers, provers = signers.filter(pk__in=keys), provers.filter(pk__in=keys)
    return OpenConnections(signers, provers)


def connections_failed(viewer: Principal, *, since: datetime) -> list[SignerConnection | ProverConnection]:
    """Return the connections of which a request failed since then, the last first; closed ones too."""
    found: list[SignerConnection | ProverConnection] = []
    signers = SignerConnection.objects.all()
    if viewer.signers:
        keys = SignerKey.objects.filter(address__in=viewer.signers)
        signers = signers.filter(pk__in=keys.values("connection"))
    for rows in (signers, ProverConnection.objects.all()):
        rows = rows.filter(failed_at__gt=since).order_by("-failed_at")
        if not viewer.is_operator:
            rows = rows.filter(tenant_id=viewer.own_id)
        found += list(rows[:FAILED_MAX])
    if viewer.miners:
        return [row for row in found if isinstance(row, ProverConnection) and row.actor_id in viewer.miners]
    return found


def keys_held(rows: Sequence[SignerConnection]) -> dict[UUID, set[str]]:
    """Return the keys of these connections; of one that ended all of its tenant's: others have them."""
    found: dict[UUID, set[str]] = {row.pk: set() for row in rows}
    keys = SignerKey.objects.filter(removed_at=None, tenant__in={row.tenant_id for row in rows})
    for tenant, connection, address in keys.values_list("tenant_id", "connection_id", "address"):
        for row in rows:
            if connection == row.pk or (row.closed_at is not None and row.tenant_id == tenant):
                found[row.pk].add(str(address))
    return found


def connection_get(viewer: Principal, key: UUID | str) -> SignerConnection | ProverConnection:
    """Find a connection that is open.  Raises NotFound."""
    found = connections_open(viewer, keys=[key])[:1]
    if not found:
        raise NotFound(gettext("this connection no longer exists"))
    row: SignerConnection | ProverConnection = found[0]
    return row


def as_signer(row: SignerConnection | ProverConnection) -> SignerConnection | None:
    """Return the connection if a signer's wallet came with it."""
    return row if isinstance(row, SignerConnection) else None


def as_prover(row: SignerConnection | ProverConnection) -> ProverConnection | None:
    """Return the connection if it is a miner's, for its proofs or its pieces."""
    return row if isinstance(row, ProverConnection) else None
