"""What the signer and the approval rules will do with the messages that a miner's sectors wait for."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from apps.chain.errors import NodeRefused
from apps.messages.rules.push_items import Gas, PushItem
from apps.messages.selectors.queue_costs import LIMIT_PERCENT
from apps.messages.services.signer_trials import Verdicts, verdicts_read
from apps.miners.models import Miner
from apps.miners.selectors.miners import miner_principal
from apps.sectors.models import PipelineRun, Sector, SectorChange
from apps.sectors.onchain.sectors import precommits_read
from apps.sectors.rules.batches import COMMIT, COMMIT_NI, PRE_COMMIT, BatchRules
from apps.sectors.rules.lifetimes import expiration_choose
from apps.sectors.selectors.batch_settings import batch_policy
from apps.sectors.selectors.sealing_context import SealingContext
from apps.sectors.services.batches.forms import (
    BatchEntry,
    BatchForm,
    batch_params_encode,
    batch_sender_choose,
    commit_form_fit,
    pledge_value_compute,
    precommit_entries_make,
)
from apps.sectors.services.changes.messages import change_item_make, changes_count_fit
from apps.sectors.services.changes.sending import queued_changes_price
from apps.sectors.services.miner_funds import balance_spare
from apps.sectors.services.runs.snap_up_verdicts import snap_up_item_make
from apps.sectors.services.runs.update_batches import update_growth_compute
from apps.sectors.services.sealing.placements import (
    manifests_read,
    placed_pieces_read,
    verified_size_compute,
)
from apps.sectors.services.sealing.prices import GAS_FIRST
from apps.users.rules.principals import SYSTEM
from poolsite.wire.pipeline import SnapState
from poolsite.wire.pipeline.changes import ChangeKind, ChangeState

QUEUED: Final = {
    ChangeKind.TERMINATE: ChangeState.TERMINATE_QUEUED,
    ChangeKind.EXTEND: ChangeState.EXTEND_QUEUED,
}
"""Where changes wait for their message."""


def waiting_verdicts_read(miner: Miner, *, work: SealingContext) -> Verdicts:
    """Return what becomes of the first message of each kind that sectors wait for, with its funds.

    Raises BadMessage, NodeRefused, NodeUnavailable.
    """
    work = replace(work, policy=batch_policy(miner, work.policy))
    work = replace(work, free=balance_spare(miner, work=work))
    requests = [(miner_principal(miner), item) for item in _items(miner, work)]
    return verdicts_read(requests, by=SYSTEM)


def _items(miner: Miner, work: SealingContext) -> Iterator[PushItem]:
    """Yield them; what one takes of the miner's balance the next ones lack."""
    for kind in (PRE_COMMIT, COMMIT, COMMIT_NI):
        form = _form(miner, kind, work)
        if not form.parts:
            continue
        needed = sum(part.value for part in form.parts)
        yield PushItem(
            id=f"{kind.kind}-price:{uuid.uuid4()}",
            to=miner.address,
            from_=batch_sender_choose(miner, kind=kind, parts=form.parts, work=work),
            value=work.sent(needed),
            method=kind.method,
            params=batch_params_encode(kind, form=form, all_or_none=False),
            kind=kind.kind,
            gas=Gas(GAS_FIRST[kind.kind] * LIMIT_PERCENT // 100, 2 * int(work.head.base_fee)),
        )
        work = replace(work, free=max(work.free - needed, 0))
    yield from _update_items(miner, work)
    for change in QUEUED:
        yield from _change_items(miner, change, work)


def _form(miner: Miner, kind: BatchRules, work: SealingContext) -> BatchForm:
    """Return what a batch of the first sectors would hold, without their proofs."""
    most = work.policy.precommit_batch_max if kind is PRE_COMMIT else work.policy.commit_batch_max
    rows = Sector.objects.filter(miner=miner, state=kind.waits_in, paused_at=None)
    ordered = rows.select_related("miner").order_by("ready_height", "pk")
    sectors = [one for one in ordered if one.is_interactive == (kind is not COMMIT_NI)][:most]
    if not sectors:
        return BatchForm([])
    if kind is PRE_COMMIT:
        placed = placed_pieces_read(miner, numbers=[one.number for one in sectors])
        complete = [one for one in sectors if None not in (one.comm_r, one.comm_d, one.ticket_epoch)]
        pairs = [(one, placed.get(one.number, [])) for one in complete]
        return BatchForm(precommit_entries_make(miner, placed=pairs, work=work))
    if kind is COMMIT:
        return commit_form_fit(BatchForm(_commits(miner, sectors, work)))
    expiration = expiration_choose(
        height=work.head.height, wished=work.policy.sector_life_epochs, network=work.network
    )
    value = 0
    if work.policy.send_funds:
        value = pledge_value_compute(miner.sector_size, deposit=0, expiration=expiration, work=work)
    return BatchForm([BatchEntry(one, value) for one in sectors], deadline=0, expiration=expiration)


def _commits(miner: Miner, sectors: list[Sector], work: SealingContext) -> list[BatchEntry]:
    """Return sectors that have a pre-commit on chain with what the pledge asks above its deposit."""
    numbers = [one.number for one in sectors]
    found = precommits_read(work.client, miner.address, numbers, work.head.key)
    placed, values, parts = manifests_read(miner, numbers=numbers), {}, []
    for sector in sectors:
        onchain, pieces = found[sector.number], placed.get(sector.number, ())
        if onchain is None:
            continue
        alike = (onchain.deposit, onchain.expiration, verified_size_compute(pieces))
        if alike not in values and work.policy.send_funds:
            values[alike] = pledge_value_compute(
                sector.sector_size, deposit=alike[0], expiration=alike[1], verified=alike[2], work=work
            )
        parts.append(BatchEntry(sector, values.get(alike, 0), pieces=pieces))
    return parts


def _update_items(miner: Miner, work: SealingContext) -> Iterator[PushItem]:
    runs = PipelineRun.objects.filter(sector__miner=miner, state=SnapState.SNAP_STORED, paused_at=None)
    sent, free = {}, work.free
    for run in runs.select_related("sector__miner").order_by("pk")[: work.policy.update_batch_max]:
        try:
            needed = update_growth_compute(miner, run=run, work=work)
        except NodeRefused:  # of its pledge, such as one that has expired: the others go all the same
            continue
        sent[run.sector] = max(needed - free, 0)
        free = max(free - needed, 0)
    if sent:
        yield snap_up_item_make(miner, sectors=[*sent], sent=sent, work=work)


def _change_items(miner: Miner, kind: ChangeKind, work: SealingContext) -> Iterator[PushItem]:
    rows = SectorChange.objects.filter(sector__miner=miner, state=QUEUED[kind])
    changes = list(rows.select_related("sector__miner").order_by("pk"))
    found = queued_changes_price(miner, kind=kind, changes=changes, work=work)
    prices = [price for _, price in found if not price.refusal]
    if prices:
        most = changes_count_fit(miner, kind=kind, prices=prices)
        yield change_item_make(miner, kind=kind, prices=prices[:most])
