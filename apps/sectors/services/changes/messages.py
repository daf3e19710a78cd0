"""The messages that end or extend sectors: their kind, method, sender and parameters."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Final

from apps.chain.models import Head
from apps.chain.node.client import ChainClient
from apps.messages.rules.push_items import PushItem
from apps.messages.services.dry_run import DryRun, message_approval_read, message_dry_run
from apps.miners.models import Miner
from apps.miners.selectors.miners import miner_principal
from apps.miners.selectors.senders import sender_choose
from apps.miners.states import Use
from apps.sectors.rules.change_params import extend_params, terminate_params
from apps.sectors.rules.params import entries_count_fit
from apps.sectors.selectors.batch_settings import batch_policy
from apps.sectors.selectors.change_prices import SectorPrice
from apps.sectors.states import BatchKind
from poolsite.filecoin.actors.miner import Method
from poolsite.wire.pipeline.changes import ChangeKind

METHODS: Final = {
    ChangeKind.TERMINATE: Method.TERMINATE_SECTORS,
    ChangeKind.EXTEND: Method.EXTEND_SECTOR_EXPIRATION2,
}
USES: Final = {ChangeKind.TERMINATE: Use.TERMINATE, ChangeKind.EXTEND: Use.EXTEND}
"""Which of a miner's addresses send it."""
MESSAGE_KINDS: Final = {
    ChangeKind.TERMINATE: BatchKind.TERMINATE,
    ChangeKind.EXTEND: BatchKind.EXTEND,
}


def batch_max_read(miner: Miner, *, kind: str) -> int:
    """Return the most sectors of one message of a miner."""
    policy = batch_policy(miner)
    return policy.terminate_batch_max if kind == ChangeKind.TERMINATE else policy.extend_batch_max


def changes_count_fit(miner: Miner, *, kind: str, prices: Sequence[SectorPrice]) -> int:
    """Return how many of these sectors, in order, one message of a miner holds; one at least."""
    count = min(len(prices), batch_max_read(miner, kind=kind))
    return entries_count_fit(count, encode=lambda most: change_params_encode(kind, prices=prices[:most]))


def change_params_encode(kind: str, *, prices: Sequence[SectorPrice]) -> bytes:
    """Return the parameters of the message that changes these sectors."""
    if kind == ChangeKind.TERMINATE:
        return terminate_params(one.live for one in prices if one.live is not None)
    return extend_params(one.after for one in prices if one.after is not None)


def change_run(
    miner: Miner, *, kind: ChangeKind, prices: Sequence[SectorPrice], client: ChainClient, head: Head
) -> DryRun:
    """Run the message that changes these sectors, without sending it."""
    item = change_item_make(miner, kind=kind, prices=prices)
    return message_dry_run(item, principal=miner_principal(miner), client=client, head=head)


def change_approval_read(miner: Miner, *, kind: ChangeKind, prices: Sequence[SectorPrice]) -> str:
    """Return the rule by which that message would wait for a second person; empty: it would not."""
    item = change_item_make(miner, kind=kind, prices=prices)
    return message_approval_read(item, principal=miner_principal(miner))


def change_item_make(miner: Miner, *, kind: ChangeKind, prices: Sequence[SectorPrice]) -> PushItem:
    """Return the message that changes these sectors, under an id of its own."""
    return PushItem(
        id=f"{kind}-price:{uuid.uuid4()}",
        to=miner.address,
        from_=sender_choose(miner, USES[kind]).address,
        method=METHODS[kind],
        params=change_params_encode(kind, prices=prices),
        kind=MESSAGE_KINDS[kind],
    )
