"""The pool as a storage at somebody else's gateway: a market there has our sectors' pieces unsealed.

Source: ipfs-force-community/sophon-gateway marketevent/; filecoin-project/go-jsonrpc websocket.go.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import structlog
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import WebSocketException

from apps.chain.node.addresses import NodeAddress
from apps.chain.node.sockets import socket_open
from apps.core import clock
from apps.core.errors import DomainError
from apps.gateway.hub.client import hub_database
from apps.gateway.selectors.reverse import DROPLET, reverse_of
from apps.miners.selectors.miners import miner_get, miner_principal
from apps.sectors.services.runs.deliveries import UnsealOrder, piece_deliver
from apps.users.rules.principals import SYSTEM
from poolsite.wire.jsonrpc.channels import Channels
from poolsite.wire.jsonrpc.client import ClientSession
from poolsite.wire.jsonrpc.messages import Json, RpcError
from poolsite.wire.jsonrpc.parameters import BadParam, cid, fields, number, text

log = structlog.get_logger(__name__)

CALL_S: Final = 30.0
PAUSE_S: Final = 1.0
"""Before a channel that was closed is opened again, as sophon-gateway's own clients have it."""
PAUSE_MAX_S: Final = 30.0
"""The longest pause before a gateway that is away or refuses is tried again."""
REASON_MAX: Final = 300


class MarketStorage:
    """One gateway, dialled for ever."""

    def __init__(self, gateway: NodeAddress, miners: Sequence[str]) -> None:
        self.gateway = gateway
        self.miners = miners
        """Addresses of the miners whose pieces are unsealed for it."""

    async def run(self) -> None:
        """Dial again whenever the socket ends, until cancelled."""
        pause_s = PAUSE_S
        headers = {
            "Authorization": f"Bearer {self.gateway.token}",
            "X-VENUS-API-NAMESPACE": "gateway.IGateway",
        }
        while True:
            try:
                socket = await socket_open(self.gateway.ws_url, headers)
                try:
                    session = StorageSession(socket, self.gateway)
                    await session.run(self.miners)
                finally:
                    await socket.close()
                pause_s = PAUSE_S
            except (WebSocketException, OSError, TimeoutError) as error:
                log.warning("market_gateway_away", url=self.gateway.http_url, reason=str(error)[:REASON_MAX])
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, PAUSE_MAX_S)


class StorageSession(ClientSession):
    """One socket to a gateway."""

    def __init__(self, socket: ClientConnection, gateway: NodeAddress) -> None:
        super().__init__(socket.send)
        self.socket = socket
        self.gateway = gateway
        self.channels = Channels(self.handle)
        """Of the miners whose pieces are unsealed."""

    async def run(self, miners: Sequence[str]) -> None:
        """Listen for each miner until the socket ends."""
        listeners = [asyncio.create_task(self.listen_forever(miner)) for miner in miners]
        try:
            async for data in self.socket:
                self.frame_handle(data)
        finally:
            for task in listeners:
                task.cancel()
            await asyncio.gather(*listeners, self.channels.end(), return_exceptions=True)

    async def listen_forever(self, miner: str) -> None:
        """Open a miner's channel, and again when the gateway closes it."""
        while True:
            try:
                channel = await self.call("Gateway.ListenMarketEvent", {"Miner": miner}, timeout_s=CALL_S)
            except (RpcError, TimeoutError) as error:
                log.warning(
                    "market_channel_refused", url=self.gateway.http_url, miner=miner, reason=str(error)
                )
                await asyncio.sleep(PAUSE_MAX_S)
                continue
            await self.channels.follow(channel, miner)
            await asyncio.sleep(PAUSE_S)

    def frame_handle(self, data: str | bytes) -> None:
        """Handle one frame: an answer, or an event of one of our channels."""
        try:
            self.channels.receive(self.receive(data))
        except ValueError:
            log.warning("market_frame_unread", url=self.gateway.http_url)

    async def handle(self, miner: str, event: dict[str, Json]) -> None:
        """Answer one event."""
        if event.get("Method") == "InitConnect":
            log.info("market_connected", url=self.gateway.http_url, miner=miner)
            return
        answer = {"Id": event.get("Id"), "Payload": None, "Error": ""}
        try:
            if event.get("Method") != "SectorsUnsealPiece":
                raise BadParam(f"unexpect market event type {str(event.get('Method'))[:40]}")
            order = order_read(event.get("Payload"), miner=miner)
            state = await hub_database(order_accept, order, gateway=self.gateway.http_url)
            answer["Payload"] = base64.b64encode(json.dumps(state).encode()).decode()
        except (DomainError, BadParam) as error:
            log.warning("market_order_refused", miner=miner, reason=str(error)[:REASON_MAX])
            answer["Error"] = str(error)[:REASON_MAX]
        try:
            await self.call("Gateway.ResponseMarketEvent", answer, timeout_s=CALL_S)
        except (RpcError, TimeoutError, WebSocketException) as error:
            log.warning("market_answer_not_taken", request=event.get("Id"), reason=str(error)[:REASON_MAX])


def order_read(payload: Json, *, miner: str) -> UnsealOrder:
    """Read an UnsealRequest; it is the channel's miner that is meant.  Raises BadParam."""
    try:
        query = fields(json.loads(base64.b64decode(text(payload), validate=True)))
    except (ValueError, RecursionError):
        raise BadParam("the request is not base64-encoded JSON") from None
    if text(query.get("miner")).lstrip("ft") != miner.lstrip("ft"):
        raise BadParam(f"this channel is for {miner}")
    return UnsealOrder(
        miner=miner,
        number=number(query.get("sid")),
        piece_cid=str(cid(query.get("piececid"))),
        offset=number(query.get("offset")),
        size=number(query.get("size")),
        dest=text(query.get("dest")),
    )


def order_accept(order: UnsealOrder, *, gateway: str) -> str:
    """Begin its delivery for the miner's tenant; return how far that is.  Raises DomainError."""
    miner = miner_get(SYSTEM, order.miner)
    by = replace(miner_principal(miner), actor=f"market at {gateway}"[:200])
    return piece_deliver(order, market=reverse_of(DROPLET), by=by, now=clock.now())
