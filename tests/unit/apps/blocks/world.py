"""A devnet whose built-in miner is the pool's: its node makes no blocks by itself, the service makes them."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Any

from apps.blocks.models import Round
from apps.blocks.rounds.context import RoundContext
from apps.blocks.rounds.miner_round import MinerRound
from apps.blocks.rounds.mining_base import Base
from apps.blocks.rounds.nodes import BlockNodes
from apps.blocks.rounds.selection import MessageSelection
from apps.blocks.rounds.timing import RoundTimes
from apps.blocks.selectors.mining_miners import miners_mining
from apps.blocks.services.rounds import rounds_read, rounds_record
from apps.chain.node.client import chain_client
from apps.chain.node.link import link_to
from apps.chain.services.heads import head_follow
from apps.chain.services.networks import network_bind
from apps.chain.services.nodes import nodes_sync
from apps.core import clock
from apps.miners.models import Miner
from apps.users.services.grants import miner_grant, signer_grant
from poolsite.devnet.clock import Clock, ManualClock
from poolsite.devnet.node import Devnet
from poolsite.devnet.presealed.sector import presealed_sector
from poolsite.devnet.service import Service
from poolsite.filecoin.address import Address
from poolsite.filecoin.block import PoStProof
from poolsite.filecoin.keys import key_address, key_sign
from poolsite.filecoin.randomness import draw_randomness
from poolsite.filecoin.signature import Signature
from tests import factories, people

MINER = 1000


class Providers:
    """Signer and prover in this process; tests make them slow or refuse."""

    def __init__(self, node: Devnet) -> None:
        self.node = node
        self.signed: list[tuple[str, bytes]] = []
        self.proof_s = self.sign_s = 0.0
        self.fails: dict[str, Exception] = {}
        """By what is asked for: `drawrandomparam`, `block`, `proof`."""
        self.before: dict[str, Any] = {}
        """Called once before what is asked for."""

    async def _meet(self, name: str) -> None:
        if name in self.before:
            await asyncio.to_thread(self.before.pop(name))
        if name in self.fails:
            raise self.fails[name]

    async def sign(self, worker: Address, to_sign: bytes, *, meta_type: str, **_: Any) -> Signature:
        """Sign as a wallet does."""
        assert worker == key_address(self.node.key)
        await self._meet(meta_type)
        await asyncio.sleep(self.sign_s)
        self.signed.append((meta_type, to_sign))
        payload = to_sign if meta_type == "block" else drawn(to_sign)
        return key_sign(self.node.key, payload)

    async def prove(self, actor_id: int, request: Any, *, until: float, **_: Any) -> tuple[PoStProof, ...]:
        """Prove the pre-sealed sector."""
        from apps.blocks.rounds.providers import ProofTimeout

        assert actor_id == MINER
        await self._meet("proof")
        if time.time() + self.proof_s > until:
            await asyncio.sleep(max(until - time.time(), 0))
            raise ProofTimeout("no answer in time")
        await asyncio.sleep(self.proof_s)
        sector = presealed_sector()
        return (PoStProof(sector.winning_proof, sector.winning_post(seed_of(request))),)


def seed_of(request: Any) -> bytes:
    import base64

    return base64.b64decode(request["Rand"])


def drawn(to_sign: bytes) -> bytes:
    """What a wallet signs of DrawRandomParams."""
    from workers.signer.payloads import _text_map

    params = _text_map(to_sign)
    return draw_randomness(params["Rbase"], params["Pers"], params["Round"], params["Entropy"])


def idle() -> None:
    """Mine nothing."""


class World:
    """The pool with one miner, and its node."""

    def __init__(self, *, node_clock: Clock | None = None) -> None:
        self.clock = node_clock or ManualClock()
        self.devnet = Devnet(":memory:", network="test", clock=self.clock)
        self.devnet.mine(2)
        self.devnet.run = idle  # type: ignore[method-assign]  # it answers, and mines nothing by itself
        self.service = Service(self.devnet, mining="auto")
        self.service.start()
        worker = str(key_address(self.devnet.key))
        self.tenant = people.tenant("alice")
        self.miner: Miner = factories.miner(MINER, worker=worker, owner=worker, qa_power=2048 * 256)
        miner_grant(tenant=self.tenant, actor_id=MINER)
        signer_grant(tenant=self.tenant, address=worker)
        nodes_sync([self.service.url])
        network_bind(chain_client())
        self.link = link_to(self.service.url, "")
        self.nodes = BlockNodes([self.link], submit=[self.link])
        self.providers = Providers(self.devnet)

    def close(self) -> None:
        """Stop the node."""
        self.service.stop()
        self.link.close()
        self.devnet.close()

    def service_call(self, method: str, *params: Any) -> Any:
        """Ask the node."""
        return self.link.call(method, list(params))

    def times(self, budget_s: float) -> RoundTimes:
        """A round whose block may be submitted at once."""
        now = time.time()
        return RoundTimes(
            origin=now - 1, block_time=now, sign_until=now + budget_s, submit_until=now + budget_s + 1
        )

    async def base(self) -> Base:
        return await self.nodes.head()

    async def round(
        self, *, base: Base | None = None, nulls: int = 0, budget_s: float = 5.0, keep: bool = True
    ) -> Round:
        """One round of the miner; the node's clock is moved to the block's time."""
        base = base or await self.base()
        epoch = base.height + nulls + 1
        self.clock.not_before(base.timestamp + self.devnet.network.epoch_s * (nulls + 1))
        times = self.times(budget_s)
        times = replace(times, origin=times.block_time - self.devnet.network.epoch_s)
        context = RoundContext(
            epoch=epoch,
            base=base,
            times=times,
            nodes=self.nodes,
            providers=self.providers,  # type: ignore[arg-type]  # of the same shape
            selection=MessageSelection(self.nodes, drawing=1, gather_s=0.1, until=times.sign_until),
            network_version=27,
        )
        [miner] = await asyncio.to_thread(in_database, miners_mining)
        found = await asyncio.to_thread(in_database, lambda: rounds_read([miner.row], epoch=epoch))
        row = await MinerRound(miner, context, found=found.get(miner.row.pk)).run()
        if row is not None and keep:
            await asyncio.to_thread(in_database, rounds_record, [row])
        return await asyncio.to_thread(in_database, self.row, epoch)

    def row(self, epoch: int) -> Round:
        return Round.objects.select_related("block", "miner").get(miner=self.miner, epoch=epoch)

    def follow(self) -> Any:
        """Let the pool hear of the node's head."""
        client = chain_client()
        done = head_follow(client=client, facts=client.chain_head(), now=clock.now())
        from apps.chain.selectors.heads import head_current

        return done and head_current()


def in_database(work: Any, *args: Any, **kwargs: Any) -> Any:
    """Call in a thread that leaves no connection behind."""
    from django.db import connections

    try:
        return work(*args, **kwargs)
    finally:
        connections.close_all()
