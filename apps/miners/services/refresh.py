"""What the chain says about miners, stored: all of a miner where its state moved, else only the height.

At a head one question is asked of each miner, its actor.  While state root, balance and deadline stay, so
does all else, but for what vests: so everything is read once in a while all the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import structlog
from django.db import transaction

from apps.chain.errors import NodeRefused, NodeUnavailable
from apps.chain.isolation import for_each_isolated
from apps.chain.parallel import map_parallel
from apps.core.live import Change, publish
from apps.miners.due import ESTIMATE_EPOCHS
from apps.miners.models import ChainRoots, Miner, RewardEstimate
from apps.miners.onchain import Actor, MinerFacts, actors_read, deadline_roots, estimates_read, miner_facts
from apps.miners.selectors import roots_active
from poolsite.filecoin.address import address_format, address_parse
from poolsite.filecoin.deadlines import current_deadline

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apps.chain.client import ChainClient
    from poolsite.filecoin.deadlines import ProvingParams

log = structlog.get_logger(__name__)

READ_ALL_EPOCHS: Final = 60
"""How long what vests, and all else, is at most believed of a miner whose state root stayed."""


@dataclass(frozen=True, slots=True)
class MinerReading:
    """What was read of one miner whose state moved."""

    facts: MinerFacts
    each: tuple[str, ...] | None
    """CIDs of its deadlines, by index; empty if the node does not tell, None if they stayed."""


def miners_refresh(
    miners: Sequence[Miner], *, client: ChainClient, height: int, key: str, params: ProvingParams
) -> None:
    """Read at a head the miners that moved, several at a time; one that cannot be read stops no other."""
    if not miners:
        return
    known = {row.miner_id: row for row in roots_active()}
    try:
        actors = actors_read(client, [miner.address for miner in miners], key)
    except NodeUnavailable as error:
        log.warning("miners_not_read", height=height, reason=error.reason[:300])
        return
    moved: list[Miner] = []
    same: list[Miner] = []
    for miner, actor in zip(miners, actors, strict=True):
        stays = _is_same(miner, actor, known.get(miner.pk), height=height, params=params)
        (same if stays else moved).append(miner)
    Miner.objects.filter(pk__in=[miner.pk for miner in same], refreshed_height__lt=height).update(
        refreshed_height=height
    )
    answers = map_parallel(lambda miner: _read(miner, known.get(miner.pk), client=client, key=key), moved)
    found = dict(zip((miner.pk for miner in moved), answers, strict=True))
    rest: list[MinerChange] = []

    def store(miner: Miner) -> None:
        change = miner_change(miner, found[miner.pk], client=client, height=height, key=key)
        if change is not None and change.columns:
            miner_store(change, height=height)
        elif change is not None:
            rest.append(change)

    for_each_isolated(moved, store, event="miner_not_refreshed")
    roots_store(rest, height=height)


def _is_same(
    miner: Miner, actor: Actor | NodeRefused, roots: ChainRoots | None, *, height: int, params: ProvingParams
) -> bool:
    """Return whether nothing about a miner can have changed since all was read."""
    if isinstance(actor, NodeRefused) or roots is None or miner.proving_period_start is None:
        return False
    is_fresh = 0 <= height - roots.read_height < READ_ALL_EPOCHS
    deadline = current_deadline(miner.proving_period_start, height, params).index
    seen = (roots.state, int(miner.balance), miner.current_deadline)
    return is_fresh and seen == (actor.root, actor.balance, deadline)


def _read(miner: Miner, known: ChainRoots | None, *, client: ChainClient, key: str) -> MinerReading:
    """Read all about a miner, and its deadlines' CIDs where one of them changed; asks no database."""
    facts = miner_facts(client, miner.address, key)
    if known is not None and known.deadlines == facts.deadlines_root:
        return MinerReading(facts, None)
    return MinerReading(facts, deadline_roots(client, facts.deadlines_root))


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
    miner: Miner, found: MinerReading | Exception, *, client: ChainClient, height: int, key: str
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
    """Store what the chain says about a miner at a head, and tell of it."""
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
        rows = Miner.objects.select_for_update().filter(refreshed_height__lte=height)
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


def reward_estimate_refresh(*, client: ChainClient, height: int, key: str) -> None:
    """Store the chain's estimates of reward and power, by which costs per day are computed, if they are old.

    A node that does not tell them leaves the row as it is.  Raises NodeUnavailable.
    """
    if RewardEstimate.objects.filter(height__gt=height - ESTIMATE_EPOCHS, height__lte=height).exists():
        return
    found = estimates_read(client, key)
    if found:
        RewardEstimate.objects.update_or_create(pk=1, defaults={**found, "height": height})


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
            return address_format(address_parse(client.state_account_key(address, key)))
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
