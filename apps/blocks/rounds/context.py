"""What the rounds of all miners at one epoch share, and what they write together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, ParamSpec, TypeVar

import structlog
from django.db import InterfaceError, OperationalError

from apps.blocks.models import Block, Round
from apps.blocks.rounds.mining_base import Base
from apps.blocks.rounds.nodes import BlockNodes
from apps.blocks.rounds.providers import BlockProviders
from apps.blocks.rounds.selection import MessageSelection
from apps.blocks.rounds.timing import RoundTimes
from apps.blocks.services.guard import Reservation, blocks_reserve, signed_blocks_store
from apps.blocks.services.rounds import Submitted, submissions_record, wins_record
from apps.core.database_threads import DatabaseThreads
from apps.core.grouped_calls import GroupedCalls
from poolsite.filecoin.block import BlockMsg

P = ParamSpec("P")
T = TypeVar("T")

log = structlog.get_logger(__name__)

blocks_database: Final = DatabaseThreads("blocks", 2, is_steady=True)
AWAY_S: Final = 1.0
"""Pause while no node or no database answers."""
AWAY_MAX_S: Final = 30.0
"""An epoch of the main network: what a round reads or writes is of no use to it later."""


async def blocks_database_retry(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what `work` returns, which can be done twice: a database that restarts costs no round.

    Raises OperationalError or InterfaceError once the database was away for `AWAY_MAX_S`.
    """
    began = time.monotonic()
    while True:
        try:
            return await blocks_database(work, *args, **kwargs)
        except (OperationalError, InterfaceError) as error:
            if time.monotonic() - began > AWAY_MAX_S:
                raise
            log.warning("round_waits_for_database", reason=str(error).strip()[:300])
        await asyncio.sleep(AWAY_S)


class RoundWrites:
    """What the winners of one epoch write, together as it comes: one alone takes as long as all of them."""

    def __init__(self) -> None:
        call = blocks_database_retry
        self.won: GroupedCalls[Round, Round] = GroupedCalls(lambda rows: call(wins_record, rows))
        self.reserve: GroupedCalls[Reservation, Block] = GroupedCalls(lambda rows: call(blocks_reserve, rows))
        self.signed: GroupedCalls[tuple[Block, BlockMsg], None] = GroupedCalls(
            lambda rows: call(signed_blocks_store, rows)
        )
        self.submitted: GroupedCalls[Submitted, None] = GroupedCalls(
            lambda rows: call(submissions_record, rows)
        )


@dataclass(frozen=True, slots=True)
class RoundContext:
    """What the miners' rounds at one epoch have in common."""

    epoch: int
    base: Base
    times: RoundTimes
    nodes: BlockNodes
    providers: BlockProviders
    selection: MessageSelection
    network_version: int
    writes: RoundWrites = field(default_factory=RoundWrites)
