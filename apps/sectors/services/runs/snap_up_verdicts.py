"""What the signer and the approval rules will do with the messages of snap-ups that are not begun yet."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Final

from apps.messages.rules.push_items import Gas, PushItem
from apps.messages.selectors.queue_costs import LIMIT_PERCENT
from apps.messages.services.signer_trials import Verdicts, verdicts_read
from apps.miners.models import Miner
from apps.miners.selectors.miners import miner_principal
from apps.miners.selectors.senders import sender_choose
from apps.miners.states import Use
from apps.sectors.models import Sector
from apps.sectors.rules.params import Updated, update_params
from apps.sectors.selectors.batch_settings import batch_policy
from apps.sectors.selectors.sealing_context import SealingContext
from apps.sectors.services.runs.reports import update_proof_choose
from apps.sectors.services.sealing.console_steps import sectors_group_by_miner
from apps.users.rules.principals import SYSTEM
from poolsite.filecoin.actors.miner import Method
from poolsite.filecoin.cids import commr_cid
from poolsite.filecoin.gas_model import replica_update_gas

KIND: Final = "snap_up"
"""Of their messages."""


def snap_up_verdicts_read(sent: Mapping[Sector, int], *, work: SealingContext) -> Verdicts:
    """Return what becomes of the updates of sectors, each with the attoFIL sent for it.

    Raises BadMessage, NodeUnavailable.
    """
    requests = [
        (miner_principal(miner), snap_up_item_make(miner, sectors=sectors, sent=sent, work=work))
        for miner, sectors in sectors_group_by_miner(sent).items()
    ]
    return verdicts_read(requests, by=SYSTEM)


def snap_up_item_make(
    miner: Miner, *, sectors: Sequence[Sector], sent: Mapping[Sector, int], work: SealingContext
) -> PushItem:
    """Return a miner's first message, with as many of the sectors as one may have, without their proofs."""
    chosen = sectors[: batch_policy(miner, work.policy).update_batch_max]
    value = sum(sent[sector] for sector in chosen)
    updates = [
        Updated(sector.number, (sector.deadline or 0, sector.partition or 0), commr_cid(bytes(32)), (), b"")
        for sector in chosen
    ]
    return PushItem(
        id=f"{KIND}-price:{uuid.uuid4()}",
        to=miner.address,
        from_=sender_choose(miner, Use.COMMIT, needed=value).address,
        value=value,
        method=Method.PROVE_REPLICA_UPDATES3,
        params=update_params(updates, update_proof=update_proof_choose(chosen[0])),
        kind=KIND,
        gas=Gas(replica_update_gas(len(chosen)) * LIMIT_PERCENT // 100, 2 * int(work.head.base_fee)),
    )
