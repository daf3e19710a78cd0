"""Extensions and terminations, asked for and as the chain has them."""

from __future__ import annotations

from collections.abc import Sequence

from apps.chain.node.client import chain_client
from apps.chain.selectors.heads import head_current
from apps.chain.selectors.network import network_current
from apps.core import clock
from apps.miners.models import Miner
from apps.sectors.models import Sector, SectorChange
from apps.sectors.selectors.change_prices import ChangeRequest
from apps.sectors.services.changes.plans import ChangePlan
from apps.sectors.services.changes.steps import changes_request
from poolsite.wire.pipeline.changes import ChangeKind
from tests.people import principal

TERMINATE = ChangeRequest(kind=ChangeKind.TERMINATE, reason="the disk is needed")


def ask(sectors: Sequence[Sector], request: ChangeRequest) -> tuple[ChangePlan, list[SectorChange]]:
    head = head_current()
    assert head is not None
    return changes_request(
        sectors,
        request=request,
        by=principal(),
        client=chain_client(),
        head=head,
        network=network_current(),
        now=clock.now(),
    )


def on_chain(miner: Miner, method: int) -> int:
    """Return how many messages of a method the chain has for a miner."""
    client, count = chain_client(), 0
    tipset = client.chain_head()
    while tipset.height > 0:
        for _, message in client.chain_get_parent_messages(tipset.cids[0]):
            count += str(message.to) == miner.address and message.method == method
        tipset = client.chain_get_tipset(tipset.parent_key)
    return count
