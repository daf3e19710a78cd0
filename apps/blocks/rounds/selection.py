"""Messages for the blocks of one epoch: chosen once for all winners, and no sender's in two blocks."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, Final

import structlog

from apps.blocks.rounds.nodes import BlockNodes
from apps.core.errors import DomainError
from poolsite.filecoin.tipset import TipsetKey

log = structlog.get_logger(__name__)

Json = Any

GATHER_SHARE: Final = 0.05
"""Of an epoch, at most, that the first winner waits for others that are still drawing."""


@dataclass(slots=True)
class Parent:
    """What was chosen on one parent tipset."""

    waiting: list[tuple[float, asyncio.Future[list[Json]]]] = field(default_factory=list)
    senders: set[str] = field(default_factory=set)
    """Of whom some block has messages already."""


class MessageSelection:
    """The messages of one round."""

    def __init__(self, nodes: BlockNodes, *, drawing: int, gather_s: float, until: float) -> None:
        self.nodes = nodes
        self.drawing = drawing
        """Miners that may still win."""
        self.gather_s = gather_s
        self.until = until
        self.all_drawn = asyncio.Event()
        self.parents: defaultdict[TipsetKey, Parent] = defaultdict(Parent)
        self._tasks: set[asyncio.Task[None]] = set()

    def drawn(self) -> None:
        """Note that one miner more is known to have won or not."""
        self.drawing -= 1
        if self.drawing <= 0:
            self.all_drawn.set()

    async def messages(self, key: TipsetKey, quality: float) -> list[Json]:
        """Return the messages of one block; none where the node gives none in time."""
        parent = self.parents[key]
        future: asyncio.Future[list[Json]] = asyncio.get_running_loop().create_future()
        parent.waiting.append((quality, future))
        if len(parent.waiting) == 1:
            task = asyncio.create_task(self._choose_soon(key, parent))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await future

    async def _choose_soon(self, key: TipsetKey, parent: Parent) -> None:
        try:
            await asyncio.wait_for(self.all_drawn.wait(), self.gather_s)
        except TimeoutError:
            pass  # a block that waited for the slowest draw would be late: the others go on
        chosen, parent.waiting = parent.waiting, []
        try:
            lists = await self.nodes.messages(key, [quality for quality, _ in chosen], until=self.until)
        except DomainError as error:
            log.warning("messages_not_chosen", reason=error.reason[:300])
            lists = [[] for _ in chosen]
        for (_, future), messages in zip(chosen, lists, strict=True):
            own = [one for one in messages if one["Message"]["From"] not in parent.senders]
            parent.senders.update(one["Message"]["From"] for one in own)
            if not future.done():
                future.set_result(own)
