"""What is stored of a miner that was read: the columns that differ, and the roots of its state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from django.db import transaction

from apps.chain.errors import NodeRefused
from apps.chain.node.client import ChainClient
from apps.core.live import Change, publish
from apps.miners.models import ChainRoots, Miner
from apps.miners.onchain.miner_facts import MinerFacts
from poolsite.filecoin.address import address_format, address_parse

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class MinerReading:
    """What was read of one miner whose state moved."""

    facts: MinerFacts
    each: tuple[str, ...] | None
    """CIDs of its deadlines, by index; empty if the node does not report them, None if they stayed."""


@dataclass(frozen=True, slots=True)
class MinerChange:
    """What is to be stored of one miner."""

    miner: Miner
    columns: dict[str, Any]
    """Those of its row that differ; none where a root alone moved, as a proof of a window moves it."""
    roots: ChainRoots
    """Without the deadlines' CIDs where those stayed."""
    has_each: bool


def miner_change(
    miner: Miner, *, found: MinerReading | Exception, client: ChainClient, height: int, key: str
) -> MinerChange | None:
    """Return what a reading changes; None for a miner that the node refused.

    Raises NodeUnavailable, or what else kept the miner from being read.
    """
    if isinstance(found, NodeRefused):
        log.warning("miner_not_read", miner=miner.address, height=height, reason=found.reason)
        return None
    if isinstance(found, Exception):
        raise found
    facts = found.facts
    values = _columns(facts, period=facts.deadline.period_start)
    if miner.owner_id != address_parse(facts.owner_id).actor_id or _has_other_keys(miner, facts):
        values |= _keys(client, facts, key)
    changed = {name: value for name, value in values.items() if getattr(miner, name) != value}
    roots = ChainRoots(
        miner=miner,
        state=facts.state_root,
        deadlines=facts.deadlines_root,
        each=list(found.each or ()),
        read_height=height,
    )
    return MinerChange(miner, changed, roots, has_each=found.each is not None)


def miner_store(change: MinerChange, *, height: int) -> None:
    """Store what the chain says about a miner at a head, and publish it."""
    miner = change.miner
    with transaction.atomic():
        # An answer for an older head must not overwrite a newer one's: two tasks may run at once.
        rows = Miner.objects.filter(pk=miner.pk, refreshed_height__lte=height)
        if rows.update(refreshed_height=height, **change.columns):
            _roots_write([change])
    for name, value in change.columns.items():
        setattr(miner, name, value)
    miner.refreshed_height = height
    publish(Change("miner", miner.pk, miner.tenant_id))


def roots_store(changes: Sequence[MinerChange], *, height: int) -> None:
    """Store that nothing but roots moved, of all these miners at once."""
    if not changes:
        return
    with transaction.atomic():
        rows = Miner.objects.select_for_update(no_key=True).filter(refreshed_height__lte=height)
        rows = rows.filter(pk__in=[change.miner.pk for change in changes]).order_by("pk")
        older = set(rows.values_list("pk", flat=True))
        Miner.objects.filter(pk__in=older).update(refreshed_height=height)
        _roots_write([change for change in changes if change.miner.pk in older])
    for change in changes:
        change.miner.refreshed_height = height


def _roots_write(changes: Sequence[MinerChange]) -> None:
    """Write the rows; the miners' rows, which the caller has just written, keep others out."""
    names = ["state", "deadlines", "read_height"]
    for has_each in (False, True):
        ChainRoots.objects.bulk_create(
            [change.roots for change in changes if change.has_each is has_each],
            update_conflicts=True,
            unique_fields=["miner"],
            update_fields=[*names, "each"] if has_each else names,
        )


def _columns(facts: MinerFacts, *, period: int) -> dict[str, Any]:
    return {
        "post_proof": facts.post_proof,
        "sector_size": facts.sector_size,
        "partition_sectors": facts.partition_sectors,
        "raw_power": facts.raw_power,
        "qa_power": facts.qa_power,
        "has_min_power": facts.has_min_power,
        "balance": facts.balance,
        "available": facts.available,
        "locked": facts.locked,
        "pledge": facts.pledge,
        "deposits": facts.deposits,
        "fee_debt": facts.fee_debt,
        "live_sectors": facts.live,
        "active_sectors": facts.active,
        "faulty_sectors": facts.faulty,
        "proving_period_start": period,
        "current_deadline": facts.deadline.index,
        "peer_id": facts.peer_id,
        "new_worker": facts.new_worker,
        "new_worker_epoch": facts.new_worker_epoch,
    }


def _has_other_keys(miner: Miner, facts: MinerFacts) -> bool:
    return (
        miner.worker_id != address_parse(facts.worker_id).actor_id
        or miner.control_ids != list(facts.control_ids)
        or miner.beneficiary != address_format(address_parse(facts.beneficiary))
    )


def _keys(client: ChainClient, facts: MinerFacts, key: str) -> dict[str, Any]:
    """Resolve the ID addresses of a miner to keys, which is what signers and messages know."""

    def key_of(address: str) -> str:
        try:
            return client.state_account_key(address, key)
        except NodeRefused:  # a multisig owner has no key
            return address_format(address_parse(address))

    return {
        "owner": key_of(facts.owner_id),
        "worker": key_of(facts.worker_id),
        "control": [key_of(one) for one in facts.control_ids],
        "control_ids": list(facts.control_ids),
        "beneficiary": address_format(address_parse(facts.beneficiary)),
        "owner_id": address_parse(facts.owner_id).actor_id,
        "worker_id": address_parse(facts.worker_id).actor_id,
    }
