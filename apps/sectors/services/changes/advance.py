"""Terminations and extensions on their way: which go to the chain together, when, and what became of them.

As with batches of new sectors, a message's id is its batch's, so pushing it twice makes one message; what
the chain has decides, not what became of a message.  What may still land is not sent a second time by itself:
a change whose message failed is FAILED with the actor's exit code, and somebody asks for it again.  Only one
whose message expired before it got a nonce, and so cannot land, goes with the next message.
"""

from __future__ import annotations

from apps.chain.node.isolation import for_each_isolated
from apps.miners.models import Miner
from apps.miners.states import MinerState
from apps.sectors.models import SectorChange
from apps.sectors.selectors.restored import miners_unrecovered
from apps.sectors.selectors.sealing_context import SealingContext
from apps.sectors.services.changes.following import changes_watch
from apps.sectors.services.changes.sending import changes_send_due
from poolsite.wire.pipeline.changes import QUEUED, ChangeKind


def changes_advance(work: SealingContext) -> None:
    """Follow the messages of changes, and send those that are due at the newest head."""
    changes_watch(work)
    queued = SectorChange.objects.filter(state__in=QUEUED, sector__miner__state=MinerState.ACTIVE)
    queued = queued.exclude(sector__miner__in=miners_unrecovered())
    groups: dict[tuple[Miner, str], list[SectorChange]] = {}
    for change in queued.select_related("sector__miner__tenant").order_by("pk"):
        groups.setdefault((change.sector.miner, change.kind), []).append(change)
    for_each_isolated(
        groups.items(),
        lambda item: changes_send_due(item[0][0], kind=ChangeKind(item[0][1]), changes=item[1], work=work),
        event="sector_changes_not_sent",
    )
