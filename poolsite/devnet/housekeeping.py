"""What the built-in miner does for itself: it proves its sector in each deadline, by an ordinary message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from poolsite.devnet.actors.ledger import actor_get, resolve
from poolsite.devnet.actors.miner.book import Reader
from poolsite.devnet.lottery import Lottery
from poolsite.devnet.mempool import MessageRejected
from poolsite.filecoin.actors.miner_proving import (
    SUBMIT_WINDOWED_POST_PARAMS,
    PoStPartition,
    SubmitWindowedPoStParams,
)
from poolsite.filecoin.amounts import AttoFil
from poolsite.filecoin.bitfield import bitfield_of
from poolsite.filecoin.block import PoStProof
from poolsite.filecoin.keys import key_address
from poolsite.filecoin.message import Message
from poolsite.filecoin.randomness import Tag, miner_entropy
from poolsite.filecoin.signing import message_sign

if TYPE_CHECKING:
    from poolsite.devnet.chain import Link
    from poolsite.devnet.node import Devnet
    from poolsite.filecoin.deadlines import DeadlineInfo

POST_METHOD: Final = 5
GAS_LIMIT: Final = 60_000_000
"""Enough for one partition."""
FEE_FACTOR: Final = 4
"""Fee cap over the base fee, so that a rising base fee does not lock the message out."""


class Housekeeper:
    """Acts before each round of mining."""

    def __init__(self, node: Devnet) -> None:
        self.node = node
        self._proven: tuple[int, int] | None = None

    def before_round(self, parent: Link, epoch: int) -> None:
        """Push the WindowPoSt of the deadline that will be open at `epoch`, once."""
        node = self.node
        if node.faults.withholds_post:
            return
        state = node.chain.state_after(parent.key)
        reader = Reader(state, node.miner.address.actor_id, node.network)
        info = reader.deadline_now(epoch)
        deadline = reader.deadline(info.index)
        is_due = deadline.partitions and not deadline.posted and info.open < epoch
        if not is_due or self._proven == (info.period_start, info.index):
            return
        self._proven = (info.period_start, info.index)
        self._push(parent, info)

    def _push(self, parent: Link, info: DeadlineInfo) -> None:
        node = self.node
        lottery = Lottery(node.chain, parent.tipset)
        entropy = miner_entropy(node.miner.address)
        challenge = lottery.beacon(Tag.WINDOWED_POST_CHALLENGE_SEED, info.challenge, entropy)
        commit = max(info.challenge, 0)
        params = SubmitWindowedPoStParams(
            deadline=info.index,
            partitions=(PoStPartition(0, bitfield_of([])),),
            proofs=(PoStProof(node.miner.sector.post_proof, node.miner.sector.window_post(challenge)),),
            chain_commit_epoch=max(info.challenge, commit),
            chain_commit_rand=lottery.tickets(Tag.POST_CHAIN_COMMIT, max(info.challenge, commit), b""),
        )
        self._send(parent, SUBMIT_WINDOWED_POST_PARAMS.encode(params))

    def _send(self, parent: Link, params: bytes) -> None:
        node = self.node
        sender = key_address(node.key)
        state = node.chain.state_after(parent.key)
        actor_id = resolve(state, sender)
        if actor_id is None or actor_get(state, actor_id) is None:
            return
        cap = AttoFil(max(parent.next_base_fee * FEE_FACTOR, 200_000))
        message = Message(
            to=node.miner.address,
            from_=sender,
            nonce=node.mempool.next_nonce(sender),
            gas_limit=GAS_LIMIT,
            gas_fee_cap=cap,
            gas_premium=AttoFil(100_000),
            method=POST_METHOD,
            params=params,
        )
        try:
            node.mempool.push(message_sign(node.key, message, chain_id=node.network.eth_chain_id))
        except MessageRejected:
            self._proven = None
