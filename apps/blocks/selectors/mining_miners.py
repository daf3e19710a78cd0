"""Reading which miners blocks are made for, and whether their keys may sign."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import Exists, OuterRef, QuerySet

from apps.core import clock
from apps.core.compiled import Compiled
from apps.gateway.hub.routes import host_account
from apps.miners.models import Miner
from apps.miners.selectors.winning_hosts import winning_hosts
from apps.miners.states import MinerState
from apps.users.models import MinerGrant, SignerGrant


@dataclass(frozen=True, slots=True)
class MiningMiner:
    """A miner that blocks are made for."""

    row: Miner
    account: str
    """Under whose name its signer is asked."""
    may_sign: bool
    """Whether its tenant was granted the worker's key."""
    prover: str
    """The account whose provers are asked: the tenant, or the one host that holds the role."""


def _mining() -> QuerySet[Miner]:
    """Return the miners with power whose people want blocks, with the word whether their tenants may sign."""
    wanted = MinerGrant.objects.filter(
        actor_id=OuterRef("actor_id"), tenant=OuterRef("tenant"), open_mining=True, deleted_at=None
    )
    granted = SignerGrant.objects.filter(
        address=OuterRef("worker"), tenant=OuterRef("tenant"), deleted_at=None
    )
    return (
        Miner.objects.select_related("tenant")
        .filter(Exists(wanted), state=MinerState.ACTIVE, qa_power__gt=0)
        .annotate(may_sign=Exists(granted))
        .order_by("pk")
    )


MINING: Final[Compiled[Any]] = Compiled("miners_mining", _mining)


def miners_mining() -> list[MiningMiner]:
    """Return the miners with power whose people want blocks."""
    miners = MINING.rows()
    if not miners:
        return []
    hosts = winning_hosts([row.pk for row in miners], now=clock.now())
    return [
        MiningMiner(
            row,
            row.tenant.name,
            row.may_sign,
            row.tenant.name if row.pk not in hosts else host_account(row.tenant.name, hosts[row.pk]),
        )
        for row in miners
    ]


def worker_granted(*, tenant_id: int, worker: str) -> bool:
    """Return whether a tenant was granted a key."""
    return SignerGrant.objects.filter(tenant_id=tenant_id, address=worker, deleted_at=None).exists()


def miners_on(miners: Iterable[Miner]) -> set[int]:
    """Return the keys of the miners that blocks are made for once they have power."""
    rows = {(row.actor_id, row.tenant_id): row.pk for row in miners if row.actor_id is not None}
    grants = MinerGrant.objects.filter(
        actor_id__in=[actor_id for actor_id, _ in rows], open_mining=True, deleted_at=None
    )
    return {rows[key] for key in grants.values_list("actor_id", "tenant_id") if key in rows}
