"""One miner's round at one epoch: election, proof, block, signature, submission; it waits for no other miner.

Source: sophon-miner miner/multiminer.go mineOne; lotus miner/miner.go mineOne, createBlock.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import structlog

from apps.blocks.errors import BaseChanged
from apps.blocks.models import Block, Round
from apps.blocks.rounds.context import RoundContext, blocks_database_retry
from apps.blocks.rounds.draws import Draw, election_draw, ticket_draw, ticket_quality
from apps.blocks.rounds.mining_base import BaseInfo, base_followed
from apps.blocks.rounds.nodes import repeated_while_away
from apps.blocks.rounds.outcomes import FAILURES, outcome_of
from apps.blocks.rounds.providers import META_BLOCK, META_DRAW
from apps.blocks.rounds.template import BlockTemplate, proof_request, with_signature
from apps.blocks.rounds.timing import StepTimer
from apps.blocks.selectors.mining_miners import MiningMiner, worker_granted
from apps.blocks.services.guard import Reservation, signed_block_decode, unsigned_block_decode
from apps.blocks.services.rounds import Submitted, round_advance
from apps.blocks.states import RoundState, WhyNot
from apps.chain.errors import NodeRefused, NodeUnavailable
from apps.core import clock
from apps.core.marked_texts import gettext
from apps.gateway.errors import SignerRefused
from poolsite.filecoin.address import id_address
from poolsite.filecoin.block import BlockMsg, ElectionProof, PoStProof
from poolsite.filecoin.election import win_count, winning_post_randomness
from poolsite.filecoin.signature import BadSignature, Signature, signature_verify

log = structlog.get_logger(__name__)

GRACE_S: Final = 0.2
"""Beyond a round's time, so that whoever is waited for is named, not the clock."""


class MinerRound:
    """One miner's round."""

    def __init__(self, miner: MiningMiner, context: RoundContext, *, found: Round | None = None) -> None:
        assert miner.row.actor_id is not None
        self.miner = miner
        self.address = id_address(miner.row.actor_id)
        self.context = context
        self.timer = StepTimer(context.times.origin)
        self.base = context.base
        self.found = found
        """The row that a service which was killed, or one beside us, has written."""
        self.facts: dict[str, Any] = {
            "miner": miner.row,
            "epoch": context.epoch,
            "base_height": context.base.height,
            "budget_ms": context.times.budget_ms,
            "at": clock.now(),
        }
        """Of the row, which is written once it is known what came of the draw."""
        self.outcome = RoundState.NO_WIN
        """What came of the draw."""
        self.made: BlockMsg | None = None
        """As the node made it: signed where its own wallet has the key, as lotus wants it."""
        self._is_drawing = True

    async def run(self) -> Round | None:
        """Do all that there is to do; return the row of a round that was not won, which is still to write."""
        if self.found is not None and self.found.state != RoundState.WON:
            self._drawn()
            return None
        if (signed := self._signed_before()) is not None:
            self._drawn()  # it takes no more messages: others do not wait until it is submitted
            await self._end(self._hand_in(signed, signed_block_decode(signed)))
            return None
        try:
            won = await self._draw()
        except FAILURES as error:
            self.outcome, reason = outcome_of(error)
            self.facts["reason"] = reason
            return self._row()
        finally:
            if self.outcome != RoundState.WON:
                self._drawn()
        if won is None:
            return self._row()
        self.row = await self.context.writes.won(self._row())
        await self._end(self._make(*won))
        return None

    def _signed_before(self) -> Block | None:
        """Return the block of a round that was signed already: nothing but to submit it is left to do."""
        if self.found is None:
            return None
        self.row = self.found
        row: Block | None = getattr(self.found, "block", None)
        return row if row is not None and row.signed is not None else None

    async def _end(self, work: Coroutine[None, None, None]) -> None:
        """Do the rest of a round that was won, and note by what the win was lost if it was."""
        try:
            await work
        except FAILURES as error:
            state, reason = outcome_of(error)
            log.warning(
                "win_lost", miner=str(self.address), epoch=self.row.epoch, outcome=state, reason=reason
            )
            await blocks_database_retry(
                round_advance, self.row, event=state.value, reason=reason, steps=self.timer.steps
            )
        finally:
            self._drawn()

    def _row(self) -> Round:
        return Round(**self.facts, state=self.outcome, steps=self.timer.steps)

    def _drawn(self) -> None:
        """Release the messages that the selection keeps for this miner; only the first call counts."""
        if self._is_drawing:
            self._is_drawing = False
            self.context.selection.drawn()

    @asynccontextmanager
    async def step(self, name: str) -> AsyncIterator[None]:
        """Note when a step begins and how long it takes, also one that fails."""
        started = time.time()
        try:
            yield
        finally:
            self.timer.add(name, started=started, ended=time.time())

    async def _draw(self) -> tuple[BaseInfo, ElectionProof] | None:
        """Return base info and election proof of a win; None without one, which the row then says."""
        times, epoch = self.context.times, self.context.epoch
        async with asyncio.timeout(times.sign_until + GRACE_S - time.time()):
            async with self.step("base_info"):
                info = await self.context.nodes.base_info(
                    self.address, epoch, self.base.key, until=times.sign_until
                )
            if info is None or not info.is_eligible:
                self.outcome = RoundState.NOT_ELIGIBLE
                self.facts["why_not"] = WhyNot.NO_POWER if info is None else WhyNot.BARRED
                return None
            self.facts["expected"] = info.expected
            async with self.step("election"):
                proof = await self._elect(info)
        self.facts |= {"win_count": proof.win_count, "sector": info.sector}
        self.outcome = RoundState.WON if proof.win_count else RoundState.NO_WIN
        return (info, proof) if proof.win_count else None

    async def _elect(self, info: BaseInfo) -> ElectionProof:
        draw = election_draw(info, self.address, self.context.epoch)
        vrf = await self._vrf(info, draw)
        return ElectionProof(win_count(vrf, info.power, info.network_power), vrf)

    async def _vrf(self, info: BaseInfo, draw: Draw) -> bytes:
        """Return a signed draw.

        It is not verified here, which takes longer than to make it: nodes refuse a block with a false one.
        """
        return (await self._signature(info, draw.to_cbor(), META_DRAW)).data

    async def _signature(self, info: BaseInfo, to_sign: bytes, meta_type: str) -> Signature:
        """Return a signature by the worker's key, which the miner's tenant must have been granted."""
        tenant_id, worker = self.miner.row.tenant_id, str(info.worker)
        is_granted = self.miner.may_sign if worker == self.miner.row.worker else None
        if is_granted is None:  # the worker changed within the lookback
            is_granted = await blocks_database_retry(worker_granted, tenant_id=tenant_id, worker=worker)
        if not is_granted:
            raise SignerRefused(
                gettext("{account} has no grant for the worker {worker}").format(
                    account=self.miner.account, worker=worker
                )
            )
        return await self.context.providers.sign(
            info.worker,
            to_sign,
            account=self.miner.account,
            meta_type=meta_type,
            until=self.context.times.sign_until,
        )

    async def _make(self, info: BaseInfo, election: ElectionProof) -> None:
        """Make the block of a win and submit it."""
        times = self.context.times
        async with asyncio.timeout(times.sign_until + GRACE_S - time.time()):
            block_row: Block | None = None if self.found is None else getattr(self.found, "block", None)
            if block_row is not None:
                self._drawn()  # its messages stand in it
            else:
                proof = asyncio.create_task(self._prove(info))
                try:
                    block_row = await self._reserve(info, election, proof)
                finally:
                    proof.cancel()
                    await asyncio.gather(proof, return_exceptions=True)
            block = await self._sign(info, block_row)
        await self._hand_in(block_row, block)

    async def _hand_in(self, block_row: Block, block: BlockMsg) -> None:
        """Submit a signed block at its time, and note that a node took it."""
        async with self.step("wait"):
            await asyncio.sleep(max(self.context.times.block_time - time.time(), 0.0))
        async with self.step("submit"):
            await self._submit(block)
        submitted = Submitted(self.row, block_row, self.timer.steps, clock.now())
        await self.context.writes.submitted(submitted)
        log.info("block_submitted", miner=str(self.address), epoch=self.row.epoch, cid=str(block.cid))

    async def _prove(self, info: BaseInfo) -> tuple[PoStProof, ...]:
        seed = winning_post_randomness(info.beacon, self.context.epoch, self.address)
        request = proof_request(
            info, seed, epoch=self.context.epoch, network_version=self.context.network_version
        )
        async with self.step("proof"):
            return await self.context.providers.prove(
                self.address.actor_id,
                request,
                account=self.miner.prover,
                until=self.context.times.sign_until,
            )

    async def _reserve(
        self, info: BaseInfo, election: ElectionProof, proof: asyncio.Task[tuple[PoStProof, ...]]
    ) -> Block:
        """Create the block, and reserve its height."""
        ticket, messages = await self._ticket(info)
        proofs = await proof
        async with self.step("base"):
            is_same = await self._follow_base()
        if not is_same:
            info, election = await self._elect_again(info, election)
            ticket, messages = await self._ticket(info)
        template = BlockTemplate(
            miner=self.address,
            base=self.base,
            epoch=self.context.epoch,
            timestamp=self.base.timestamp + round(self._epoch_s() * (self.context.epoch - self.base.height)),
            ticket=ticket,
            election=election,
            entries=info.entries,
            proofs=proofs,
            messages=messages,
        )
        async with self.step("create"):
            block = await self._create(template)
        self.made = block
        async with self.step("reserve"):
            return await self.context.writes.reserve(
                Reservation(
                    with_signature(block, None),
                    self.row,
                    self.base.height,
                    datetime.fromtimestamp(self.context.times.sign_until, tz=UTC),
                    has_own=self.address.actor_id in self.base.actor_ids,
                )
            )

    def _epoch_s(self) -> float:
        times = self.context.times
        return times.block_time - times.origin

    async def _ticket(self, info: BaseInfo) -> tuple[bytes, list[object]]:
        """Return the ticket, and the messages of a block with it."""
        draw = ticket_draw(info, self.address, self.context.epoch, base=self.base)
        async with self.step("ticket"):
            ticket = await self._vrf(info, draw)
        self._drawn()
        async with self.step("messages"):
            return ticket, await self.context.selection.messages(self.base.key, ticket_quality(ticket))

    async def _follow_base(self) -> bool:
        """Build on what the chain still has of the base; return whether that is all of it."""
        nodes, times = self.context.nodes, self.context.times
        await asyncio.sleep(max(times.base_again - time.time(), 0.0))
        try:
            head = await nodes.head(known=self.base)
            if head.height >= self.context.epoch:
                head = await nodes.base_for(self.context.epoch)
        except NodeUnavailable:
            return True  # nobody knows of a better one
        before, self.base = self.base, base_followed(self.base, head, actor_id=self.address.actor_id)
        return self.base is before

    async def _elect_again(self, info: BaseInfo, election: ElectionProof) -> tuple[BaseInfo, ElectionProof]:
        """Return base info and election on the new base.  Raises BaseChanged if the proof is none there."""
        again = await self.context.nodes.base_info(
            self.address, self.context.epoch, self.base.key, until=self.context.times.sign_until
        )
        if again is None or not again.is_eligible:
            raise BaseChanged(gettext("the miner may not mine on the new base"))
        if (again.beacon, again.sectors, again.worker) != (info.beacon, info.sectors, info.worker):
            raise BaseChanged(gettext("the new base requires a different proof"))
        wins = win_count(election.vrf_proof, again.power, again.network_power)
        if not wins:
            raise BaseChanged(gettext("the miner does not win on the new base"))
        return again, ElectionProof(wins, election.vrf_proof)

    async def _create(self, template: BlockTemplate) -> BlockMsg:
        """Return a node's block; without messages rather than not at all.  Raises NodeRefused."""
        nodes, until = self.context.nodes, self.context.times.sign_until
        try:
            block = await nodes.block_create(template, until=until)
        except NodeRefused:
            if not template.messages:
                raise
            log.warning("block_without_messages", miner=str(self.address), epoch=template.epoch)
            block = await nodes.block_create(replace(template, messages=()), until=until)
        header = block.header
        if (header.miner, header.height, header.parents) != (
            template.miner,
            template.epoch,
            template.base.key.cids,
        ):
            raise NodeRefused(0, gettext("the node returned a different block than requested"))
        return block

    async def _sign(self, info: BaseInfo, row: Block) -> BlockMsg:
        """Sign the reserved header; the same one every time."""
        block = unsigned_block_decode(row)
        payload = block.header.signing_bytes
        made = None if self.made is None else self.made.header
        async with self.step("sign"):
            if made is not None and made.block_sig is not None and made.signing_bytes == payload:
                signature = made.block_sig
            else:
                signature = await self._signature(info, payload, META_BLOCK)
            try:
                await asyncio.to_thread(signature_verify, signature, info.worker, payload)
            except BadSignature as error:
                raise SignerRefused(
                    gettext("the signer returned an invalid signature: {error}").format(error=error)
                ) from None
        block = with_signature(block, signature)
        await self.context.writes.signed((row, block))
        return block

    async def _submit(self, block: BlockMsg) -> None:
        """Submit until a node took it.  Raises NodeRefused, NodeUnavailable."""
        until = self.context.times.submit_until
        await repeated_while_away(partial(self.context.nodes.block_submit, block, until=until), until=until)
