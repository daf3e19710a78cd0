"""What the signer and the approval rules will do with the messages of sectors that are not pledged yet."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

from apps.chain.models import Head
from apps.messages.rules.push_items import Gas, PushItem
from apps.messages.selectors.queue_costs import LIMIT_PERCENT
from apps.messages.services.signer_trials import Verdicts, verdicts_read
from apps.miners.models import Miner
from apps.miners.selectors.miners import miner_principal
from apps.miners.states import Use
from apps.sectors.models import Sector
from apps.sectors.rules.batches import COMMIT, COMMIT_NI, PRE_COMMIT, BatchRules
from apps.sectors.rules.params import (
    Proven,
    commit_params,
    noninteractive_params,
    precommit_params,
    price_info,
)
from apps.sectors.selectors.batch_settings import batch_policy
from apps.sectors.services.sealing.prices import GAS_FIRST, PledgePrice, payment_plan_make
from apps.users.rules.principals import SYSTEM
from poolsite.filecoin.sector import RegisteredSealProof


def pledge_verdicts_read(miner: Miner, *, price: PledgePrice, count: int, head: Head) -> Verdicts:
    """Return what becomes of the messages that `count` new sectors would be sent with.

    Raises BadMessage, NodeUnavailable.
    """
    items = _items(miner, price=price, count=count, head=head)
    return verdicts_read([(miner_principal(miner), item) for item in items], by=SYSTEM)


def _items(miner: Miner, *, price: PledgePrice, count: int, head: Head) -> Iterator[PushItem]:
    """Yield the first message of each kind, with as many of the sectors as one may have, and their funds."""
    policy, paying = batch_policy(miner), payment_plan_make(miner, price=price)
    is_interactive = RegisteredSealProof(miner.seal_proof).is_interactive
    own = paying.funds(count).from_balance
    for sender, cost in paying.costs:
        rules = PRE_COMMIT if cost.use is Use.PRE_COMMIT else COMMIT if is_interactive else COMMIT_NI
        most = policy.precommit_batch_max if rules is PRE_COMMIT else policy.commit_batch_max
        sectors = min(count, most)
        covered = min(own, cost.locked * count)
        own -= covered
        if rules is PRE_COMMIT and not is_interactive:
            continue
        yield PushItem(
            id=f"{rules.kind}-price:{uuid.uuid4()}",
            to=miner.address,
            from_=sender,
            value=max(cost.locked * sectors - covered, 0),
            method=rules.method,
            params=_params(miner, rules, count=sectors, expiration=head.height + price.life_epochs),
            kind=rules.kind,
            gas=Gas(GAS_FIRST[rules.kind] * LIMIT_PERCENT // 100, 2 * int(head.base_fee)),
        )


def _params(miner: Miner, rules: BatchRules, *, count: int, expiration: int) -> bytes:
    """Return parameters like those of sectors that do not exist yet, without their proofs."""
    if rules is PRE_COMMIT:
        return precommit_params([price_info(seal_proof=miner.seal_proof, expiration=expiration)] * count)
    if rules is COMMIT:
        return commit_params([Proven(number, b"") for number in range(count)], all_or_none=False)
    sectors = [
        Sector(miner=miner, number=number, seal_proof=miner.seal_proof, comm_r=bytes(32))
        for number in range(count)
    ]
    return noninteractive_params(sectors, expiration=expiration, proof=b"", deadline=0, all_or_none=False)
