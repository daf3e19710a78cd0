"""The pool's nodes for an event loop: each question in a thread, within the time that its round has left."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final, TypeVar

from django.utils.translation import gettext_lazy as _

from apps.blocks.rounds.mining_base import Base, BaseInfo, base_from_json, base_info_from_json
from apps.blocks.rounds.template import BlockTemplate, messages_disjoint
from apps.chain.errors import NodeRefused, NodeUnavailable
from apps.chain.node.client import ChainClient
from apps.chain.node.link import NodeLink
from apps.core.marked_texts import gettext
from poolsite.filecoin.address import Address
from poolsite.filecoin.block import BlockMsg
from poolsite.filecoin.cids import cid_to_json
from poolsite.filecoin.codec import from_json, to_json
from poolsite.filecoin.tipset import TipsetKey

Json = Any
T = TypeVar("T")

REQUESTS: Final = 64
"""Questions at a time: a node that hangs holds up those of its own round alone."""
LEAST_S: Final = 0.05
"""Time for a question whose round is over, so that its answer says so."""
HEAD_S: Final = 3.0
HEAD_GRACE_S: Final = 0.5
"""How long nodes are waited for whose head comes after another's."""
AGAIN_S: Final = 0.3
"""Between two questions or submissions while no node answers."""
FUTURE_PAUSE_S: Final = 0.2
"""Between two submissions to a node whose clock is behind."""
FUTURE_TEXTS: Final = ("from the future", "temporal error")

SYNCING_STAGES: Final = {1, 2, 3, 6}
"""Headers, their storing, messages, their fetching.

Source: lotus api/api_full.go SyncStateStage; the others are idle, complete and failed.
"""

NO_KEY_TEXTS: Final = ("key not found", "Key info not found")
"""Of lotus and of forest, which sign each block that they make.

Source: lotus chain/wallet/multi.go WalletSign; forest src/key_management/errors.rs.
"""
NO_KEY_ADVICE: Final = _(
    "this node signs its blocks itself and lacks the worker's key: "
    "configure the pool's signer as its remote wallet (docs/blocks.md)"
)


async def repeated_while_away(call: Callable[[], Awaitable[T]], *, until: float) -> T:
    """Return what a call returns; while no node answers, it is repeated up to a moment of the clock.

    So it is while all lack the base: a node that tells a head later than another will have it.
    Source: lotus miner/miner.go mine, which tries a round again a second after an error.
    Raises NodeUnavailable, NodeRefused.
    """
    while True:
        try:
            return await call()
        except (NodeUnavailable, NodeRefused) as error:
            is_final = isinstance(error, NodeRefused) and not error.is_missing_object
            if is_final or time.time() + AGAIN_S >= until:
                raise
        await asyncio.sleep(AGAIN_S)


_THREADS: Final = ThreadPoolExecutor(REQUESTS, thread_name_prefix="blocks-node")


class BlockNodes:
    """Asks the nodes that blocks are made with, and submits to all."""

    def __init__(self, links: Sequence[NodeLink], *, submit: Sequence[NodeLink]) -> None:
        self.links = tuple(links)
        """In the order in which they are asked."""
        self.submit_links = tuple(submit)
        self.best: NodeLink | None = None
        """Which had the heaviest head, and is asked first."""
        self._running: set[asyncio.Task[Any]] = set()

    async def ask_again(
        self, read: Callable[[Json], T], method: str, *params: Json, until: float, **options: Any
    ) -> T:
        """Call the first node that answers, again while none does.  Raises NodeRefused, NodeUnavailable."""
        call = partial(self.ask, read, method, *params, until=until, **options)
        return await repeated_while_away(call, until=until)

    async def ask(
        self, read: Callable[[Json], T], method: str, *params: Json, until: float, **options: Any
    ) -> T:
        """Call the first node that answers; `until` is a moment of the clock, `options` are the client's.

        Raises NodeRefused, NodeUnavailable.
        """
        left_s = max(until - time.time(), LEAST_S)
        links = sorted(self.links, key=lambda link: link is not self.best)
        client = ChainClient(links, limit_s=left_s / max(len(links), 1))
        return await self._in_thread(partial(client.ask, read, method, *params, **options))

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(_THREADS, work)

    async def head(self, *, known: Base | None = None) -> Base:
        """Return the head of the first node that answers; `known` itself while it still is."""
        return await self.ask(partial(_head, known), "ChainHead", until=time.time() + HEAD_S)

    async def head_heaviest(self, *, known: Base | None = None) -> Base:
        """Return the head on the heaviest chain of all nodes, `known` itself while it is.

        Its node is asked first from then on.
        A node that is one tipset behind still counts as healthy, and a block on its head would be orphaned.
        Of tipsets on one parent the first node's counts: what it lacks came late, and others lack it, too.
        Who answers later than the others is not waited for.
        """
        tasks = [self._beside(self._head_at(link, known)) for link in self.links]
        waiting, answered = set(tasks), set[asyncio.Task[Base]]()
        until: float | None = None
        while waiting:
            left_s = None if until is None else max(until - time.monotonic(), 0.0)
            done, waiting = await asyncio.wait(waiting, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
            answered |= {task for task in done if task.exception() is None}
            if not done:
                break
            if answered and until is None:
                until = time.monotonic() + HEAD_GRACE_S
        if not answered:
            return await self.head(known=known)
        best = max((task for task in tasks if task in answered), key=lambda task: task.result().weight)
        self.best = self.links[tasks.index(best)]
        return best.result()

    async def _head_at(self, link: NodeLink, known: Base | None) -> Base:
        client = ChainClient([link], limit_s=HEAD_S)
        return await self._in_thread(partial(client.ask, partial(_head, known), "ChainHead"))

    def _beside(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run something that goes on even if nobody waits for it any more."""
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    async def is_syncing(self) -> bool:
        """Return whether the node is fetching a chain that it has not yet."""
        try:
            return await self.ask(_is_syncing, "SyncState", until=time.time() + HEAD_S)
        except NodeRefused as refusal:
            if not refusal.is_unknown_method:
                raise
            return False

    async def base_for(self, epoch: int) -> Base:
        """Return the tipset that a block at `epoch` builds on, on the chain as it is now."""
        until = time.time() + HEAD_S
        return await self.ask(base_from_json, "ChainGetTipSetByHeight", epoch - 1, [], until=until)

    async def base_info(self, miner: Address, epoch: int, key: TipsetKey, *, until: float) -> BaseInfo | None:
        """Return what a miner must know to try its luck; None where it has no power."""
        return await self.ask_again(
            base_info_from_json, "MinerGetBaseInfo", str(miner), epoch, key_json(key), until=until
        )

    async def messages(self, key: TipsetKey, qualities: Sequence[float], *, until: float) -> list[list[Json]]:
        """Return messages for several blocks of one epoch, no sender in two of them.

        lotus lacks the method for several: there each block is asked for by itself.
        """
        parent = key_json(key)
        try:
            lists = await self.ask_again(_lists, "MpoolSelects", parent, list(qualities), until=until)
        except NodeRefused as refusal:
            if not refusal.is_unknown_method:
                raise
            calls = (self.ask_again(_list, "MpoolSelect", parent, one, until=until) for one in qualities)
            lists = list(await asyncio.gather(*calls))
        lists += [[] for _ in qualities[len(lists) :]]
        return messages_disjoint(lists)

    async def block_create(self, template: BlockTemplate, *, until: float) -> BlockMsg:
        """Create a block of a template; venus returns it unsigned where it lacks the worker's key.

        A node that signs its blocks itself and cannot, or lets us make none, is followed by the next.
        Raise NodeRefused, with what to do where the node lacks the key; NodeUnavailable.
        """
        try:
            return await self.ask_again(
                _block, "MinerCreateBlock", template.to_json(), until=until, is_unable=_is_unable
            )
        except NodeRefused as refusal:
            if not _is_unable(refusal):
                raise
            raise NodeRefused(refusal.rpc_code, f"{NO_KEY_ADVICE}: {refusal.reason}") from None

    async def block_submit(self, block: BlockMsg, *, until: float) -> str:
        """Submit to every node at once; return as soon as one took it: the name of that node.

        Raise NodeRefused if every node refused; NodeUnavailable, with the words of one that refused, if
        another was away and may take it yet.
        """
        refusal: NodeRefused | None = None
        away: NodeUnavailable | None = None
        body = to_json(block)
        tasks = [self._beside(self._submit(link, body, until)) for link in self.submit_links]
        for done in asyncio.as_completed(tasks):
            try:
                return await done
            except NodeRefused as error:
                refusal = error
            except NodeUnavailable as error:
                away = error
        if refusal is None:
            raise away or NodeUnavailable(gettext("the pool has no node"))
        if away is None:
            raise refusal
        raise NodeUnavailable(
            gettext("{reason}; another node refused: {refusal}").format(
                reason=away.reason, refusal=refusal.reason
            )
        )

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # was told to whoever waited

    async def _submit(self, link: NodeLink, body: Json, until: float) -> str:
        """Submit to one node; while its clock is behind ours, again and again."""
        while True:
            left_s = max(until - time.time(), LEAST_S)
            try:
                call = partial(link.call, "SyncSubmitBlock", [body], timeout_s=left_s)
                await self._in_thread(call)
            except NodeRefused as refusal:
                is_early = any(text in refusal.reason for text in FUTURE_TEXTS)
                if not is_early or time.time() + FUTURE_PAUSE_S >= until:
                    raise
                await asyncio.sleep(FUTURE_PAUSE_S)
            else:
                return link.url


def key_json(key: TipsetKey) -> Json:
    """Return a tipset key as a parameter."""
    return [cid_to_json(cid) for cid in key.cids]


def _head(known: Base | None, value: Json) -> Base:
    if known is not None and [one["/"] for one in value["Cids"]] == list(map(str, known.key.cids)):
        return known
    return base_from_json(value)


def _list(value: Json) -> list[Json]:
    return list(value or ())


def _is_unable(refusal: NodeRefused) -> bool:
    return any(text in refusal.reason for text in NO_KEY_TEXTS)


def _is_syncing(value: Json) -> bool:
    return any(run["Stage"] in SYNCING_STAGES for run in value["ActiveSyncs"] or ())


def _lists(value: Json) -> list[list[Json]]:
    return [_list(one) for one in value or ()]


def _block(value: Json) -> BlockMsg:
    block: BlockMsg = from_json(BlockMsg, value)
    return block
