"""What a miner asks of clients and accepts, over REST."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, ClassVar, Final

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.serializers import CODE_HELP, AmountField, InputSerializer, checked
from apps.api.v1.views import PoolView
from apps.automation.selectors.auto_rules import escrow_rules
from apps.chain.errors import NetworkUnknown
from apps.chain.node.client import page_client
from apps.chain.selectors.heads import head_current
from apps.core import clock
from apps.core.marked_texts import gettext
from apps.core.reasons import code_of
from apps.market.rules import chain_path
from apps.market.selectors.deals import doors_status, escrow_of, market_of
from apps.market.selectors.discovery import discovery_of
from apps.market.selectors.settlements import settling_of
from apps.market.services.markets import (
    COUNT_MAX,
    FIELDS,
    INDEXERS_MAX,
    MESSAGE_MAX,
    NUMBER_MAX,
    PORT_MAX,
    PORT_MIN,
    SETTLE_DAYS_MAX,
    market_set,
)
from apps.market.services.settling import deals_settle_now
from apps.market.states import ClientsRule
from apps.miners.selectors.miners import miner_get
from apps.pieces.data.sources import URL_MAX
from apps.pieces.services.retrieval_counts import retrieved_list

if TYPE_CHECKING:
    from apps.market.models import MinerMarket, Settlement

RETRIEVALS_MAX: Final = 100


class MarketInput(InputSerializer):
    """Settings of a market to change; those left out stay as they are."""

    is_open = serializers.BooleanField(required=False, help_text="whether it makes deals")
    price = AmountField(required=False, help_text="attoFIL per GiB and epoch of plain data")
    verified_price = AmountField(required=False, help_text="the same of verified data")
    least_size = serializers.IntegerField(required=False, help_text="padded bytes of the smallest piece")
    most_size = serializers.IntegerField(required=False, help_text="padded bytes of the largest piece")
    is_verified_only = serializers.BooleanField(required=False)
    clients_rule = serializers.ChoiceField(choices=ClientsRule.values, required=False)
    clients = serializers.ListField(
        child=serializers.CharField(max_length=128), required=False, max_length=1000
    )
    start_wait = serializers.IntegerField(
        required=False,
        min_value=0,
        max_value=2**53,
        help_text="epochs that a deal must leave until its start, beyond what this farm's hosts need",
    )
    start_within = serializers.IntegerField(
        required=False,
        min_value=0,
        max_value=2**53,
        help_text="epochs from now within which a deal must start; 0: no limit",
    )
    waiting_deals = serializers.IntegerField(
        required=False, min_value=0, max_value=10**6, help_text="most deals that are in no sector yet"
    )
    waiting_bytes = serializers.IntegerField(
        required=False, min_value=0, max_value=NUMBER_MAX, help_text="most raw bytes of those; 0: no limit"
    )
    client_deals = serializers.IntegerField(
        required=False, min_value=1, max_value=COUNT_MAX, help_text="most deals of one client without data"
    )
    publish_wait = serializers.IntegerField(
        required=False,
        min_value=0,
        max_value=2**53,
        help_text="epochs for which a deal waits for others that share its message",
    )
    publish_most = serializers.IntegerField(
        required=False, min_value=1, max_value=MESSAGE_MAX, help_text="most deals of one message"
    )
    publish_base_fee = AmountField(
        required=False,
        help_text="attoFIL per gas above which deals wait, unless they start soon; 0: no limit",
    )
    settle_days = serializers.IntegerField(
        required=False,
        min_value=0,
        max_value=SETTLE_DAYS_MAX,
        help_text="days after which what a deal has earned is settled; 0: only by hand",
    )
    settle_day_fee = AmountField(
        required=False,
        help_text="attoFIL of fees at most that settling by itself may cost in a day; 0: no limit",
    )
    takes_http = serializers.BooleanField(required=False, help_text="data from the client's URLs")
    takes_put = serializers.BooleanField(required=False, help_text="data that the client uploads")
    takes_offline = serializers.BooleanField(required=False, help_text="data that the operator imports")
    takes_libp2p = serializers.BooleanField(
        required=False, help_text="whether clients of market 1.2 may come by libp2p"
    )
    libp2p_port = serializers.IntegerField(
        required=False, min_value=PORT_MIN, max_value=PORT_MAX, help_text="on which that door listens"
    )
    serves_data = serializers.BooleanField(
        required=False, help_text="whether anybody may retrieve the data of its active sectors"
    )
    unseals_data = serializers.BooleanField(
        required=False,
        help_text="whether that unseals what no unsealed copy is kept of, one piece at a time",
    )
    retrieval_day_bytes = serializers.IntegerField(
        required=False,
        min_value=0,
        max_value=NUMBER_MAX,
        help_text="bytes that one network address may retrieve a day (UTC); 0: no limit",
    )
    indexers = serializers.ListField(
        child=serializers.CharField(max_length=200),
        required=False,
        max_length=INDEXERS_MAX,
        help_text="URLs at which indexers (IPNI) are told of its advertisements",
    )
    filter_url = serializers.CharField(
        required=False,
        allow_blank=True,
        max_length=URL_MAX,
        help_text="URL that accepts or refuses each proposal; only its host is shown; empty: none",
    )
    accepts_unfiltered = serializers.BooleanField(
        required=False, help_text="whether a deal is accepted without its answer"
    )


class DoorOutput(serializers.Serializer[Any]):
    """A miner's libp2p door as its process said last."""

    is_up = serializers.BooleanField(help_text="whether it answers")
    reason = serializers.CharField(help_text="why it does not; empty if it does")
    reason_code = serializers.CharField(help_text=CODE_HELP)
    host = serializers.CharField(help_text="machine that serves it; empty: none has")
    port = serializers.IntegerField()
    peer_id = serializers.CharField(help_text="of its key; empty: it has none yet")
    said_at = serializers.DateTimeField(allow_null=True)


class MarketOutput(MarketInput):
    """A miner's market: its prices, and which deals it accepts."""

    miner = serializers.CharField()
    door = DoorOutput(allow_null=True, help_text="null: it is switched off")


def market_body(market: MinerMarket) -> dict[str, Any]:
    """Return the settings as JSON."""
    values = {name: getattr(market, name) for name in FIELDS}
    names = ("price", "verified_price", "publish_base_fee", "settle_day_fee")
    prices = {name: str(values[name]) for name in names}
    return {"miner": market.miner.address, **values, **prices, "door": door_body(market)}


def door_body(market: MinerMarket) -> dict[str, Any] | None:
    """Return how a miner's door is; None where it is switched off."""
    if not market.takes_libp2p:
        return None
    status = doors_status([market], now=clock.now())[market.miner_id]
    row = status.report
    return {
        "is_up": not status.reason,
        "reason": str(status.reason),
        "reason_code": code_of(status.reason),
        "host": "" if row is None else row.host,
        "port": market.libp2p_port,
        "peer_id": "" if row is None else row.peer_id,
        "said_at": None if row is None else row.said_at,
    }


class MinerMarketView(PoolView):
    """`/miners/{address}/market`: whether and under what a miner makes deals."""

    filters = ()
    perms: ClassVar[dict[str, str]] = PoolView.perms | {"PATCH": "sign"}

    @extend_schema(responses=MarketOutput)
    def get(self, request: Request, address: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Show its ask and its rules; it makes no deals until `is_open`."""
        return Response(market_body(market_of(miner_get(self.principal, address))))

    @extend_schema(request=MarketInput, responses=MarketOutput)
    def patch(self, request: Request, address: str) -> Response:
        """Change what is named; deals that were accepted stay."""
        miner = miner_get(self.principal, address)
        values = checked(MarketInput(data=request.data))
        return Response(market_body(market_set(miner, values=values, by=self.principal)))


class EscrowOutput(serializers.Serializer[Any]):
    """A miner's market balance, attoFIL."""

    free = AmountField(help_text="neither locked nor reserved")
    reserved = AmountField(help_text="which accepted deals will lock, those of messages in flight among them")
    locked = AmountField(help_text="collateral of published deals")
    rules = serializers.ListField(
        child=serializers.CharField(), help_text="automatic rules that are on and top it up, by their id"
    )


class MinerEscrowView(PoolView):
    """`/miners/{address}/escrow`: what a miner has at the market actor."""

    filters = ()
    asks_network = True

    @extend_schema(responses=EscrowOutput)
    def get(self, request: Request, address: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Show the balance from which deals' collateral is locked."""
        miner, head = miner_get(self.principal, address), head_current()
        if head is None:
            raise NetworkUnknown(gettext("no node has answered yet"))
        escrow = escrow_of(miner, client=page_client(), key=head.key)
        rules = escrow_rules(self.principal, miner.names)
        amounts = {name: str(getattr(escrow, name)) for name in ("free", "reserved", "locked")}
        return Response({**amounts, "rules": [str(rule.uuid) for rule in rules]})


class RetrievedOutput(serializers.Serializer[Any]):
    """Bytes of a miner's data that one network address retrieved."""

    address = serializers.CharField(help_text="IPv4 address, or network of an IPv6 one")
    day_bytes = serializers.IntegerField(help_text="since midnight UTC")
    week_bytes = serializers.IntegerField(help_text="in seven days, with today")


class RetrievalsOutput(serializers.Serializer[Any]):
    """Who retrieved the most of a miner's data."""

    results = RetrievedOutput(many=True, help_text="most bytes first")


class MinerRetrievalsView(PoolView):
    """`/miners/{address}/retrievals`: which network addresses retrieve a miner's data."""

    filters = ()

    @extend_schema(responses=RetrievalsOutput)
    def get(self, request: Request, address: str) -> Response:  # noqa: ARG002  # DRF's signature
        """List the hundred that retrieved the most in seven days; figures are lost with Redis."""
        miner = miner_get(self.principal, address)
        rows = retrieved_list(str(miner), now=clock.now(), most=RETRIEVALS_MAX)
        return Response({"results": [asdict(row) for row in rows]})


class SettlementOutput(serializers.Serializer[Any]):
    """A message that settles deals of a miner."""

    message = serializers.CharField(allow_null=True, help_text="its id; null: it is not kept any more")
    created_at = serializers.DateTimeField()
    is_open = serializers.BooleanField(help_text="whether its outcome is not known yet")
    owed = AmountField(help_text="attoFIL that its trial paid")
    fee = AmountField(help_text="attoFIL that it was to cost")
    paid = AmountField(help_text="attoFIL that it has paid into the miner's market balance")
    height = serializers.IntegerField(
        allow_null=True, help_text="epoch in which it landed; null: it has not, or came to nothing"
    )


class SettlementsOutput(serializers.Serializer[Any]):
    """A miner's latest settlements of deals, and why others are not sent."""

    reason = serializers.CharField(help_text="why what is due was not settled last; empty if it was")
    reason_code = serializers.CharField(help_text=CODE_HELP)
    looked_at = serializers.IntegerField(
        allow_null=True, help_text="epoch of that; null: nothing was due yet"
    )
    spent_today = AmountField(help_text="attoFIL of fees in this UTC day")
    results = SettlementOutput(many=True, help_text="the latest five, newest first")


def settlement_body(row: Settlement) -> dict[str, Any]:
    """Return a settlement as JSON."""
    amounts = {name: str(getattr(row, name)) for name in ("owed", "fee", "paid")}
    return {
        "message": None if row.message is None else row.message.push_id,
        **{name: getattr(row, name) for name in ("created_at", "is_open", "height")},
        **amounts,
    }


class MinerSettlementsView(PoolView):
    """`/miners/{address}/settlements`: what the market actor pays for a miner's deals."""

    filters = ()
    asks_network = True
    perms: ClassVar[dict[str, str]] = PoolView.perms | {"POST": "sign"}
    bodiless_methods = ("DELETE", "POST")

    @extend_schema(responses=SettlementsOutput)
    def get(self, request: Request, address: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Show the latest settlements, and why what is due is not settled."""
        found = settling_of(miner_get(self.principal, address), now=clock.now())
        reason = "" if found.check is None else found.check.reason
        return Response(
            {
                "reason": str(reason),
                "reason_code": code_of(reason),
                "looked_at": None if found.check is None else found.check.height,
                "spent_today": str(found.spent),
                "results": [settlement_body(row) for row in found.latest],
            }
        )

    @extend_schema(request=None, responses={201: SettlementOutput(many=True)})
    def post(self, request: Request, address: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Settle all that its deals have earned now; 409 if that brings less than it costs."""
        miner = miner_get(self.principal, address)
        rows = deals_settle_now(miner, by=self.principal, client=page_client(), head=head_current())
        return Response([settlement_body(row) for row in rows], status=201)


class IndexerOutput(serializers.Serializer[Any]):
    """The last answer of an indexer."""

    url = serializers.CharField()
    head = serializers.CharField(help_text="advertisement of which it was told; empty: none yet")
    told_at = serializers.DateTimeField(allow_null=True)
    reason = serializers.CharField(help_text="why it did not take it; empty if it did")
    reason_code = serializers.CharField(help_text=CODE_HELP)


class ReaderOutput(serializers.Serializer[Any]):
    """The last advertisement that a network address fetched."""

    address = serializers.CharField()
    agent = serializers.CharField(help_text="as it calls itself")
    cid = serializers.CharField(help_text="advertisement that it fetched last; empty: the head only")
    hashes = serializers.IntegerField(help_text="multihashes that it fetched in all")
    fetched_at = serializers.DateTimeField()


class DiscoveryOutput(serializers.Serializer[Any]):
    """How a miner's data are made known to indexers (IPNI)."""

    reason = serializers.CharField(help_text="why nothing new is made known; empty where all is well")
    reason_code = serializers.CharField(help_text=CODE_HELP)
    peer_id = serializers.CharField(help_text="whose key signs; empty: there is no chain yet")
    path = serializers.CharField(help_text="where indexers read them on this console; empty: nowhere")
    head = serializers.CharField(help_text="newest signed advertisement; empty: none yet")
    length = serializers.IntegerField(help_text="signed advertisements")
    waiting = serializers.IntegerField(help_text="advertisements that are not signed yet")
    pieces = serializers.IntegerField(help_text="pieces that are advertised now")
    blocks = serializers.IntegerField(help_text="blocks of those that are advertised")
    missing = serializers.IntegerField(help_text="pieces that are still to be added or removed")
    addresses = serializers.ListField(child=serializers.CharField(), help_text="where clients get the data")
    indexers = IndexerOutput(many=True)
    readers = ReaderOutput(many=True, help_text="the latest ten, newest first")


def discovery_body(market: MinerMarket) -> dict[str, Any]:
    """Return how a miner's data are made known, as JSON."""
    found = discovery_of(market, now=clock.now())
    chain = found.chain
    return {
        "reason": str(found.reason),
        "reason_code": code_of(found.reason),
        "peer_id": "" if chain is None else chain.peer_id,
        "path": "" if chain is None else chain_path(chain.peer_id),
        "head": "" if chain is None else chain.head,
        "length": 0 if chain is None else chain.length,
        "waiting": found.waiting,
        "pieces": found.pieces,
        "blocks": found.blocks,
        "missing": found.missing,
        "addresses": [] if chain is None else chain.addresses,
        "indexers": [
            {
                "url": url,
                "head": "" if row is None else row.head,
                "told_at": None if row is None else row.told_at,
                "reason": "" if row is None else str(row.reason),
                "reason_code": "" if row is None else code_of(row.reason),
            }
            for url, row in found.answers.items()
        ],
        "readers": [
            {name: getattr(row, name) for name in ("address", "agent", "cid", "hashes", "fetched_at")}
            for row in found.fetches
        ],
    }


class MinerDiscoveryView(PoolView):
    """`/miners/{address}/discovery`: how its data are made known to indexers."""

    filters = ()

    @extend_schema(responses=DiscoveryOutput)
    def get(self, request: Request, address: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Show its advertisements, and what indexers say and fetch of them."""
        return Response(discovery_body(market_of(miner_get(self.principal, address))))


urlpatterns = [
    path("miners/<str:address>/discovery", MinerDiscoveryView.as_view(), name="v1-miner-discovery"),
    path("miners/<str:address>/market", MinerMarketView.as_view(), name="v1-miner-market"),
    path("miners/<str:address>/retrievals", MinerRetrievalsView.as_view(), name="v1-miner-retrievals"),
    path("miners/<str:address>/settlements", MinerSettlementsView.as_view(), name="v1-miner-settlements"),
    path("miners/<str:address>/escrow", MinerEscrowView.as_view(), name="v1-miner-escrow"),
]
