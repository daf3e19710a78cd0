"""A miner that makes deals of the market actor, and clients with money there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import uuid4

from apps.chain.node.client import chain_client
from apps.core import clock
from apps.market.models import Deal
from apps.market.rules import Proposal
from apps.market.services.markets import market_set
from apps.market.services.proposals import proposal_decide
from apps.market.states import DealDoor, DealSource
from apps.miners.models import Miner
from poolsite.filecoin.actors.market import (
    AddBalanceParams,
    ClientDealProposal,
    DealProposal,
    WithdrawBalanceParams,
)
from poolsite.filecoin.address import MARKET_ACTOR, address_format, address_parse
from poolsite.filecoin.amounts import FIL
from poolsite.filecoin.codec import to_cbor
from poolsite.filecoin.deals import MIN_DURATION
from tests import people
from tests.integration.sealing.pieces import granted
from tests.integration.sealing.world import PERIOD, World
from tests.mk20 import sized
from tests.unit.devnet.deals import signed_by
from tests.unit.devnet.people import OWNER, STRANGER, Person
from tests.unit.devnet.people import send as chain_send

COLLATERAL = 10**15


class Desk:
    """A miner that makes deals, and clients with money at the market."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.miner: Miner = world.miner_create()
        self.registry = granted(world, self.miner)
        market_set(self.miner, values={"is_open": True, "publish_wait": 0}, by=people.principal())
        worker = Person(world.keys[world.worker], address_parse(world.worker))
        self.pay(worker, address_parse(self.miner.address), 5 * FIL)
        for who in (OWNER, STRANGER):
            self.pay(who, who.address, 5 * FIL)
        world.epoch()

    def pay(self, who: Person, party: Any, amount: int) -> None:
        """Pay into a market balance."""
        params = to_cbor(AddBalanceParams(party))
        receipt = chain_send(self.world.node.devnet, who, MARKET_ACTOR, method=2, params=params, value=amount)
        assert receipt.exit_code == 0

    def withdraw(self, who: Person) -> None:
        """Withdraw all of a client's market balance."""
        params = to_cbor(WithdrawBalanceParams(who.address, 100 * FIL))
        assert chain_send(self.world.node.devnet, who, MARKET_ACTOR, method=3, params=params).exit_code == 0

    def signed(self, who: Person, data: bytes, **changes: Any) -> ClientDealProposal:
        """A client's proposal of 180 days."""
        start = self.world.height + 4 * PERIOD
        fields = {
            "piece_cid": sized(data).cid,
            "piece_size": sized(data).padded_size,
            "verified_deal": False,
            "client": who.address,
            "provider": address_parse(self.miner.address),
            "label": "a label",
            "start_epoch": start,
            "end_epoch": start + MIN_DURATION,
            "storage_price_per_epoch": 10**9,
            "provider_collateral": COLLATERAL,
            "client_collateral": 10**12,
        }
        return signed_by(who, DealProposal(**{**fields, **changes}))

    def propose(self, signed: ClientDealProposal, data: bytes, **changes: Any) -> Deal:
        """Propose it as a door would: offline data, whose size the client does not say."""
        terms = signed.proposal
        values: dict[str, Any] = {
            "uuid": uuid4(),
            "door": DealDoor.MK12,
            "client": address_format(terms.client),
            "provider": self.miner.address,
            "piece": replace(sized(data), payload_size=0),
            "start_epoch": terms.start_epoch,
            "duration": terms.end_epoch - terms.start_epoch,
            "allocation": None,
            "source": DealSource.OFFLINE,
            "signed": signed,
            "digest": "d",
        }
        return proposal_decide(Proposal(**values | changes), client=chain_client(), now=clock.now())

    def stored(self, signed: ClientDealProposal, data: bytes) -> Deal:
        """A deal whose data are here."""
        deal = self.propose(signed, data)
        answer = self.world.console._client.post(f"/api/v1/deals/{deal.uuid}/data", content=data)
        assert answer.status_code == 200, answer.text
        return deal


def states() -> list[str]:
    """States of all deals, oldest first."""
    return list(Deal.objects.order_by("pk").values_list("state", flat=True))
