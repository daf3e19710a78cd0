"""Which deadlines of a miner take changes of their sectors now, and when the others do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from poolsite.filecoin.deadlines import (
    DeadlineInfo,
    current_deadline,
    deadline_from_json,
    deadline_info,
    is_mutable,
)

if TYPE_CHECKING:
    from apps.chain.node.client import ChainClient

LEAD_EPOCHS: Final = 2
"""Epochs that a message takes at least."""


def open_deadline_read(client: ChainClient, address: str, *, key: str, height: int) -> DeadlineInfo:
    """Return a miner's deadline that is open at a head of `height`.  Raises NodeRefused, NodeUnavailable."""
    # Right after null rounds a node still names the one that was open before, moved a whole period on by
    # NextNotElapsed (lotus node/impl/full/state.go StateMinerProvingDeadline).
    named = deadline_from_json(client.state_miner_proving_deadline(address, key))
    return current_deadline(named.period_start, height, named.params)


class Windows:
    """A miner's deadlines at one head: which of them take changes now, and when the others do."""

    def __init__(self, now: DeadlineInfo, *, height: int) -> None:
        self.now = now
        self.height = height

    @classmethod
    def read(cls, client: ChainClient, address: str, *, key: str, height: int) -> Windows:
        """Query a node.  Raises NodeRefused, NodeUnavailable."""
        return cls(open_deadline_read(client, address, key=key, height=height), height=height)

    def _frozen(self, index: int) -> tuple[int, int]:
        """Return the next epochs in which nothing can be ended there: from, and the first one after."""
        info = deadline_info(self.now.period_start, index, self.height, self.now.params).next_not_elapsed()
        return info.open - info.params.window, info.close

    def opens_at(self, index: int, *, margin: int = 0) -> int:
        """Return the epoch from which a message that needs `margin` epochs may end sectors there.

        Not while the deadline is open or the next to open.  Source: builtin-actors
        actors/miner/src/deadlines.rs deadline_is_mutable.
        """
        begin, end = self._frozen(index)
        return self.height if self.height + margin < begin else end

    def closes_at(self, index: int) -> int:
        """Return the last epoch in which sectors may be ended there."""
        return self._frozen(index)[0] - 1


def last_mutable_epoch_compute(current: DeadlineInfo, *, index: int | None, height: int) -> int | None:
    """Return until when the sectors of a deadline may be updated; None while they may not.

    Source: builtin-actors actors/miner/src/lib.rs validate_replica_updates (deadline_is_mutable).
    """
    if index is None:
        return None
    # The present deadline counts: the message is tried on the next epoch, in which it may still be open.
    seen = [
        deadline_info(current.period_start, index, at, current.params)
        for at in (height, height + LEAD_EPOCHS)
    ]
    last = seen[-1].next_not_elapsed().open - current.params.window - 1
    return last if all(map(is_mutable, seen)) else None
