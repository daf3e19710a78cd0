"""A storage market on a small chain: a miner, a client, and deals between them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from poolsite.devnet.actors.market.deals import Market
from poolsite.devnet.actors.market.escrow import escrow_of
from poolsite.devnet.state.rows import ACTORS, ESCROWS
from poolsite.devnet.state.tables import State
from poolsite.filecoin.actors.market import (
    AddBalanceParams,
    ClientDealProposal,
    DealProposal,
    Method,
    PublishStorageDealsParams,
    PublishStorageDealsReturn,
)
from poolsite.filecoin.actors.market_deals import SettleDealPaymentsParams, SettleDealPaymentsReturn
from poolsite.filecoin.actors.miner_sectors import DataActivationNotification, PieceActivationManifest
from poolsite.filecoin.address import MARKET_ACTOR
from poolsite.filecoin.amounts import FIL
from poolsite.filecoin.bitfield import bitfield_of
from poolsite.filecoin.cbor import int_write
from poolsite.filecoin.cids import commd_cid
from poolsite.filecoin.codec import from_cbor, to_cbor
from poolsite.filecoin.deals import MIN_DURATION
from poolsite.filecoin.keys import key_sign
from poolsite.filecoin.message import Receipt
from tests.naive.pieces import data_commitment
from tests.unit.devnet.people import STRANGER, WORKER, Person, chain, send
from tests.unit.devnet.replaying import replay_check
from tests.unit.devnet.sealing import SmallMiner, small_miner

SIZE = 2048
DATA = b"".join(bytes([number, 9]) + bytes(30) for number in range(SIZE // 32))
"""A whole sector of padded data."""
PIECE = commd_cid(data_commitment(DATA))
COLLATERAL = 10**15
PRICE = 10**9
GAS = 500_000_000


def signed_by(who: Person, proposal: DealProposal) -> ClientDealProposal:
    """The proposal with a client's signature."""
    return ClientDealProposal(proposal, key_sign(who.key, to_cbor(proposal)))


class Fair:
    """A chain with a miner, and a client who has money at the market."""

    def __init__(self, client: Person = STRANGER, miner: SmallMiner | None = None) -> None:
        self.miner = miner or small_miner(chain())
        self.node = self.miner.node
        self.client = client
        assert self.deposit(client, client.address, 5 * FIL).exit_code == 0
        assert self.deposit(WORKER, self.miner.address, 5 * FIL).exit_code == 0

    @property
    def state(self) -> State:
        return self.node.chain.state_after(self.node.head.key)

    @property
    def market(self) -> Market:
        return Market(self.state)

    @property
    def client_id(self) -> int:
        number: int = self.state.get("addresses", bytes(self.client.address)).id
        return number

    def escrow(self, party: int) -> tuple[int, int]:
        """Balance and locked part."""
        row = escrow_of(self.state, party)
        return row.amount, row.locked

    def skip_to(self, epoch: int) -> None:
        """Let null rounds pass until the head is at an epoch or later."""
        self.node.null_rounds(max(epoch - self.node.head.height - 1, 0))
        self.node.mine(1)

    def deposit(self, who: Person, party: Any, amount: int) -> Receipt:
        params = to_cbor(AddBalanceParams(party))
        return send(self.node, who, MARKET_ACTOR, method=2, params=params, value=amount)

    def proposal(self, **changes: Any) -> DealProposal:
        """A deal over a whole sector that begins soon."""
        start = changes.get("start_epoch", self.node.head.height + 40)
        fields = {
            "piece_cid": PIECE,
            "piece_size": SIZE,
            "verified_deal": False,
            "client": self.client.address,
            "provider": self.miner.address,
            "label": "a label",
            "start_epoch": start,
            "end_epoch": start + MIN_DURATION,
            "storage_price_per_epoch": PRICE,
            "provider_collateral": COLLATERAL,
            "client_collateral": 10**12,
        }
        return DealProposal(**{**fields, **changes})

    def publish(self, *deals: ClientDealProposal, who: Person = WORKER) -> Receipt:
        params = to_cbor(PublishStorageDealsParams(deals))
        return send(self.node, who, MARKET_ACTOR, method=4, params=params, gas_limit=GAS)

    def published(self, *proposals: DealProposal) -> PublishStorageDealsReturn:
        """Publish proposals of the client."""
        receipt = self.publish(*(signed_by(self.client, proposal) for proposal in proposals))
        assert receipt.exit_code == 0
        return from_cbor(PublishStorageDealsReturn, receipt.return_)

    def piece(self, deal: int, **changes: Any) -> PieceActivationManifest:
        """The piece of a sector with its notice to the market."""
        notice = DataActivationNotification(MARKET_ACTOR, int_write(deal))
        return replace(PieceActivationManifest(PIECE, SIZE, None, (notice,)), **changes)

    def seal(self, number: int) -> dict[int, bytes]:
        """Pre-commit a sector with the data and wait for its seed; gives its proof."""
        info = self.miner.seal(number, self.node.head.height - 1, DATA)
        assert self.miner.precommit(info).exit_code == 0
        self.miner.wait_seed(number)
        return {number: self.miner.porep(number)}

    def activated(self, deal: int, number: int = 1) -> None:
        """Put a deal into a sector."""
        receipt = self.miner.prove(self.seal(number), pieces={number: (self.piece(deal),)}, must_notify=True)
        assert receipt.exit_code == 0

    def settle(self, *deals: int, who: Person = STRANGER) -> SettleDealPaymentsReturn:
        params = to_cbor(SettleDealPaymentsParams(bitfield_of(deals)))
        method = int(Method.SETTLE_DEAL_PAYMENTS_EXPORTED)
        receipt = send(self.node, who, MARKET_ACTOR, method=method, params=params, gas_limit=GAS)
        assert receipt.exit_code == 0
        return from_cbor(SettleDealPaymentsReturn, receipt.return_)

    def check(self) -> None:
        """No money came or went, and every tipset gives the same state when it is executed again."""
        replay_check(self.node)
        state = self.state
        escrows = state.records(ESCROWS)
        assert state.get(ACTORS, MARKET_ACTOR.actor_id).balance == sum(row.amount for row in escrows)
        own = self.market.totals
        locked = own.client_collateral + own.provider_collateral + own.storage_fee
        assert sum(row.locked for row in escrows) == locked
        assert all(0 <= row.locked <= row.amount for row in escrows)
