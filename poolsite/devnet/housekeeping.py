"""What the built-in miner does for itself: it proves its sector in each deadline, by an ordinary message."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from poolsite.devnet.actors.miner.state_editor import Reader
from poolsite.devnet.lottery import Lottery
from poolsite.devnet.mempool import MessageRejected
from poolsite.filecoin.actors.miner_proving import (
    DeclareFaultsParams,
    DeclareFaultsRecoveredParams,
    PartitionSectors,
    PoStPartition,
    SubmitWindowedPoStParams,
)
from poolsite.filecoin.amounts import AttoFil
from poolsite.filecoin.bitfield import bitfield_of
from poolsite.filecoin.block import PoStProof
from poolsite.filecoin.codec import to_cbor
from poolsite.filecoin.keys import key_address
from poolsite.filecoin.message import Message
from poolsite.filecoin.randomness import Tag, miner_entropy
from poolsite.filecoin.signing import message_sign

if TYPE_CHECKING:
    from poolsite.devnet.chain import Chain
    from poolsite.devnet.executed_tipset import Link
    from poolsite.devnet.faults import Faults
    from poolsite.devnet.mempool import Mempool
    from poolsite.devnet.production import BuiltInMiner
    from poolsite.devnet.state.sector_rows import Sector
    from poolsite.filecoin.address import Address
    from poolsite.filecoin.deadlines import DeadlineInfo

POST_METHOD: Final = 5
FAULT_METHOD: Final = 10
RECOVER_METHOD: Final = 11
GAS_LIMIT: Final = 200_000_000
"""Enough for one partition, with the verification of a recovery."""
MIN_FEE_CAP: Final = 200_000
SPIKE_GAS: Final = 8_500_000_000
"""More than the 80 % of a block at which premiums drive the base fee."""
FEE_FACTOR: Final = 4
"""Fee cap over the base fee, so that a rising base fee does not lock the message out."""


class Housekeeper:
    """Acts before each round of mining."""

    def __init__(self, chain: Chain, mempool: Mempool, *, faults: Faults, miner: BuiltInMiner) -> None:
        self.chain = chain
        self.mempool = mempool
        self.faults = faults
        self.miner = miner
        self.network = mempool.rules.network
        self.sender = key_address(miner.key)
        self._done: set[tuple[str, int, int]] = set()

    def before_round(self, parent: Link, epoch: int) -> None:
        """Push the WindowPoSt of the deadline that will be open at `epoch`, and what recovery needs."""
        settings = self.faults.settings
        is_cheap = parent.next_base_fee < settings.base_fee_floor
        if settings.spike_left or is_cheap:
            settings.spike_left = max(settings.spike_left - 1, 0)
            self._fill_block(parent)
        if settings.withhold_post:
            return
        state = self.chain.state_after(parent.key)
        reader = Reader(state, self.miner.address.actor_id, self.network)
        sector = reader.sector(self.miner.sector.number)
        partition = None if sector is None else reader.partition(sector.deadline, sector.partition)
        if sector is None or partition is None or not partition.live:
            return
        info = reader.deadline_at(sector.deadline, epoch).next_not_elapsed()
        posted = reader.deadline(sector.deadline).posted
        if settings.lose_sector:
            if not partition.faults and not info.fault_cutoff_passed:
                self._once("declare", info, lambda: self._declare(parent, sector))
            return
        is_faulty = partition.faults and not partition.recoveries
        if is_faulty and not info.fault_cutoff_passed:
            self._once("recover", info, lambda: self._recover(parent, sector))
        elif not is_faulty and not posted and self._is_challenged(parent, info, epoch):
            self._once("prove", info, lambda: self._prove(parent, info, sector.partition))

    def _is_challenged(self, parent: Link, info: DeadlineInfo, epoch: int) -> bool:
        """Return whether the window is open and its challenge can be drawn: null rounds may delay it."""
        return info.open < epoch < info.close and info.challenge <= parent.height

    def _fill_block(self, parent: Link) -> None:
        """Push a message that takes most of a block at a high premium: the base fee follows it."""
        fee = max(parent.next_base_fee, MIN_FEE_CAP)
        self._send(self.sender, 0, b"", gas_limit=SPIKE_GAS, premium=fee, cap=FEE_FACTOR * fee)

    def _once(self, what: str, info: DeadlineInfo, act: Callable[[], bool]) -> None:
        """Do something once for a deadline of a proving period, unless the pool refuses it."""
        name = (what, info.period_start, info.index)
        if name not in self._done and act():
            self._done.add(name)

    def _recover(self, parent: Link, sector: Sector) -> bool:
        entry = PartitionSectors(sector.deadline, sector.partition, bitfield_of([sector.number]))
        params = to_cbor(DeclareFaultsRecoveredParams((entry,)))
        return self._to_miner(parent, RECOVER_METHOD, params)

    def _declare(self, parent: Link, sector: Sector) -> bool:
        entry = PartitionSectors(sector.deadline, sector.partition, bitfield_of([sector.number]))
        params = to_cbor(DeclareFaultsParams((entry,)))
        return self._to_miner(parent, FAULT_METHOD, params)

    def _prove(self, parent: Link, info: DeadlineInfo, partition: int) -> bool:
        lottery = Lottery(self.chain, parent.tipset)
        entropy = miner_entropy(self.miner.address)
        challenge = lottery.beacon(Tag.WINDOWED_POST_CHALLENGE_SEED, info.challenge, entropy)
        commit = max(info.challenge, 0)
        params = SubmitWindowedPoStParams(
            deadline=info.index,
            partitions=(PoStPartition(partition, bitfield_of([])),),
            proofs=(PoStProof(self.miner.sector.post_proof, self.miner.sector.window_post(challenge)),),
            chain_commit_epoch=commit,
            chain_commit_rand=lottery.tickets(Tag.POST_CHAIN_COMMIT, commit, b""),
        )
        return self._to_miner(parent, POST_METHOD, to_cbor(params))

    def _to_miner(self, parent: Link, method: int, params: bytes) -> bool:
        cap = max(parent.next_base_fee * FEE_FACTOR, MIN_FEE_CAP)
        return self._send(self.miner.address, method, params, cap=cap)

    def _send(
        self,
        to: Address,
        method: int,
        params: bytes,
        *,
        cap: int,
        gas_limit: int = GAS_LIMIT,
        premium: int = 100_000,
    ) -> bool:
        """Push a message of the built-in miner's worker; False if the pool refuses it."""
        try:
            message = Message(
                to=to,
                from_=self.sender,
                nonce=self.mempool.next_nonce(self.sender),
                gas_limit=gas_limit,
                gas_fee_cap=AttoFil(cap),
                gas_premium=AttoFil(premium),
                method=method,
                params=params,
            )
            self.mempool.push(message_sign(self.miner.key, message, chain_id=self.network.eth_chain_id))
        except MessageRejected:
            return False
        return True
