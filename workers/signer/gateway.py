"""The signer's end of a gateway: dials out, proves its keys, answers what comes down its event channel.

Source: filecoin-project/venus-wallet wallet_event/; filecoin-project/go-jsonrpc websocket.go.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import structlog
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidURI

from poolsite.filecoin.signature import signature_to_json
from poolsite.tracing import span
from poolsite.wire.cleartext import is_clear
from poolsite.wire.codec import BadWire, document_decode, document_encode
from poolsite.wire.jsonrpc.messages import CHANNEL_CLOSE, CHANNEL_VALUE
from poolsite.wire.key_labels import LABEL_FIELD
from poolsite.wire.origins import IDS_METHOD, ORIGIN_FIELD, SIGNED_FIELD, TRACE_FIELD, IdsAsked, Origin
from poolsite.wire.policy import POLICY_METHODS
from poolsite.wire.unable import UNABLE_FIELD
from workers.console.gateway import LISTEN_PAUSE_S, GatewaySocket, dial_forever, pack, unpack
from workers.signer.errors import BadPolicy, GatewayRefused, SignerError, Unable
from workers.signer.fair_share import REFUSALS, FairShare, Limits
from workers.signer.origins import SignedBefore
from workers.signer.policy_service import PolicyService
from workers.signer.sign_request import VERIFY_ADDRESS

if TYPE_CHECKING:
    from workers.signer.signing import Signer

log = structlog.get_logger(__name__)

CALL_S: Final = 90.0
"""Time for an answer; AddNewAddress includes the proof of each key."""
WATCH_S: Final = 1.0
"""How often keys that came or went are looked for."""
LIMITS: Final = Limits()
SIGN_METHOD: Final = "WalletSign"
TOO_MANY: Final = "too many of your requests are pending at this signer: wait for responses"

Json = Any


def gateway_url(console: str) -> str:
    """Return the socket's address of a console named by its page's address, or the given ws address."""
    for page, socket in (("http://", "ws://"), ("https://", "wss://")):
        if console.startswith(page):
            place, _, path = console.removeprefix(page).partition("/")
            return f"{socket}{place}/{path or 'rpc/v1'}"
    return console


def bad_address_text(url: str) -> str:
    """Return what is said of an address that is none."""
    return f"{url} is not a gateway address: use https://pool.example or wss://pool.example/rpc/v1"


class GatewayLink:
    """One gateway, dialled for ever."""

    def __init__(
        self,
        signer: Signer,
        *,
        url: str,
        token: Callable[[], str],
        supported: Sequence[str] = (),
        rule_set: str = "",
        limits: Limits = LIMITS,
    ) -> None:
        self.signer = signer
        self.url = url
        if is_clear(url):
            log.warning("token_sent_in_clear", url=url, advice="give the gateway a wss:// address")
        self.token = token
        """Read at each dial, so that a renewed token needs no restart."""
        self.supported = list(supported)
        self.session: GatewaySession | None = None
        """The open socket, if there is one."""
        self.rule_set = rule_set
        """Rules of the policy that this gateway is limited to; empty: all."""
        self.caller = f"gateway {url}"
        """How rules and records name it."""
        self.policy_service = PolicyService(signer, caller=self.caller, rule_set=rule_set)
        self.share = FairShare(url, limits)
        self.is_connected = asyncio.Event()
        """Set while the gateway has taken our keys."""

    async def run(self) -> None:
        """Keep a socket open until cancelled.  Raises SignerError for what is no address."""
        try:
            await dial_forever(self.url, token=self.token, serve=self.serve, lost=self.lost)
        except InvalidURI:
            raise SignerError(bad_address_text(self.url)) from None

    async def serve(self, socket: ClientConnection) -> None:
        """Answer on one socket until it ends."""
        self.session = GatewaySession(self, socket)
        await self.session.run()

    def lost(self) -> None:
        """Note that there is no socket."""
        self.session = None
        self.is_connected.clear()

    async def support(self, account: str) -> None:
        """Offer the keys to one more account, now and at each dial.  Raises GatewayRefused, TimeoutError."""
        if self.session is not None and self.session.channel_id:
            await self.session.call("Gateway.SupportNewAccount", self.session.channel_id, account)
        self.supported.append(account)

    async def announce(self, addresses: Sequence[str]) -> None:
        """Register keys at the gateway at once.  Raises GatewayRefused, TimeoutError."""
        if self.session is not None and self.session.channel_id:
            wanted = self.session.keys_now().intersection(addresses)
            await self.session.call("Gateway.AddNewAddress", self.session.channel_id, sorted(wanted))
            self.session.announced |= wanted


class GatewaySession(GatewaySocket):
    """One socket to a gateway."""

    def __init__(self, link: GatewayLink, socket: ClientConnection) -> None:
        super().__init__(socket, url=link.url, refused=GatewayRefused, call_s=CALL_S)
        self.link = link
        self.signer = link.signer
        self.channel: int | None = None
        """Number under which events come."""
        self.closed = asyncio.Event()
        """Set when the gateway ended the channel."""
        self.channel_id = ""
        """What the gateway calls us, told by InitConnect."""
        self.announced: set[str] = set()
        self.is_policy_readable = True
        """As it was when the keys for a set of rules were last looked for."""
        self.tasks: set[asyncio.Task[None]] = set()
        self.refusals: asyncio.Queue[Json] = asyncio.Queue(REFUSALS)

    async def run(self) -> None:
        """Read until the socket ends.  Raises ConnectionClosed."""
        works = (self.listen_forever(), self.watch_keys(), self.refuse_forever())
        beside = [asyncio.create_task(work) for work in works]
        try:
            async for data in self.socket:
                self.frame_handle(data)
                await self.link.share.read_pause()
            raise ConnectionClosed(None, None)
        finally:
            for task in (*beside, *self.tasks):
                task.cancel()
            await asyncio.gather(*beside, *self.tasks, return_exceptions=True)

    async def listen_forever(self) -> None:
        """Open the event channel; open it again when the gateway closes it."""
        while True:
            policy = {
                "SupportAccounts": self.link.supported,
                "SignBytes": base64.b64encode(self.signer.sign_bytes).decode(),
            }
            try:
                self.announced = self.keys_now()
                if not self.announced:
                    log.warning("no_key_announced", url=self.link.url, rule_set=self.link.rule_set)
                self.closed.clear()
                self.channel = await self.call("Gateway.ListenWalletEvent", policy)
                await self.closed.wait()
            except (GatewayRefused, TimeoutError) as error:
                log.warning("gateway_refused", url=self.link.url, reason=str(error))
            self.channel, self.channel_id = None, ""
            self.link.is_connected.clear()
            await asyncio.sleep(LISTEN_PAUSE_S)

    async def watch_keys(self) -> None:
        """Register keys that were added or removed meanwhile, by whatever way."""
        while True:
            await asyncio.sleep(WATCH_S)
            if not self.channel_id:
                continue
            now, before = self.keys_now(), self.announced
            with contextlib.suppress(GatewayRefused, TimeoutError):  # asked again the next time
                if now - before:
                    await self.call("Gateway.AddNewAddress", self.channel_id, sorted(now - before))
                    self.announced = before | now
                if before - now:
                    await self.call("Gateway.RemoveAddress", self.channel_id, sorted(before - now))
                    self.announced = now

    async def refuse_forever(self) -> None:
        """Send what was refused, without asking whether it was taken."""
        while True:
            await self.post("Gateway.ResponseWalletEvent", await self.refusals.get())

    def keys_now(self) -> set[str]:
        """Return the keys of the store with which this gateway may have anything signed."""
        keys, rule_set = {entry.address for entry in self.signer.store.entries()}, self.link.rule_set
        if not rule_set:
            return keys
        try:
            policy = self.signer.policy.current()
        except BadPolicy as error:
            if self.is_policy_readable:
                log.warning("policy_unreadable", url=self.link.url, rule_set=rule_set, reason=str(error))
            self.is_policy_readable = False
            return keys & self.announced
        self.is_policy_readable = True
        caller = self.link.caller
        return {key for key in keys if policy.has_rule_for(key, caller=caller, rule_set=rule_set)}

    def frame_handle(self, data: str | bytes) -> None:
        """Handle one frame: an answer, or an event of our channel."""
        found = self.receive(data)
        if found is None:
            return
        method, params = found
        if method == CHANNEL_CLOSE:
            self.closed.set()
        elif method == CHANNEL_VALUE and len(params) == 2 and isinstance(params[1], dict):
            if not self.link.share.enter(len(data)):
                with contextlib.suppress(asyncio.QueueFull):  # it does not read them
                    self.refusals.put_nowait(refusal(params[1].get("Id"), TOO_MANY, is_unable=True))
                return
            task = asyncio.create_task(self.handle(params[1]))
            self.tasks.add(task)
            task.add_done_callback(lambda task: self.left(task, len(data)))

    def left(self, task: asyncio.Task[None], size_bytes: int) -> None:
        """Note that a request is over."""
        self.tasks.discard(task)
        self.link.share.leave(size_bytes)

    async def handle(self, event: dict[str, Json]) -> None:
        """Answer one event."""
        method, key = event.get("Method"), event.get("Id")
        if method == "InitConnect":
            payload = self.read(event.get("Payload"))
            self.channel_id = str(payload["ChannelId"]) if isinstance(payload, dict) else ""
            self.link.is_connected.set()
            log.info("gateway_connected", url=self.link.url, channel=self.channel_id)
            return
        try:
            with span(f"signer {method}"[:60], entry=str(event.get(TRACE_FIELD, ""))):
                payload = pack(await self.answer(str(method), event.get("Payload")))
            answer: dict[str, Json] = {"Id": key, "Payload": payload, "Error": ""}
        except SignerError as error:
            is_unable = method == SIGN_METHOD and isinstance(error, Unable)
            answer = refusal(key, str(error) or type(error).__name__, is_unable=is_unable)
        try:
            await self.call("Gateway.ResponseWalletEvent", answer)
        except (GatewayRefused, TimeoutError, ConnectionClosed) as error:
            log.warning("answer_not_taken", request=key, reason=str(error))

    async def answer(self, method: str, payload: Json) -> Json:
        """Do what an event asks.  Raises SignerError."""
        if method == "WalletList":
            return sorted(self.announced)
        if method in POLICY_METHODS:
            async with self.link.share.policy:
                return await asyncio.to_thread(self.link.policy_service.answer, method, self.read(payload))
        if method == IDS_METHOD:
            return await self.ids_answer(self.read(payload))
        if method != SIGN_METHOD:
            raise SignerError(f"unexpect type {method[:40]}")
        request = self.read(payload)
        try:
            meta = request["Meta"]
            address, meta_type = str(request["Signer"]), str(meta["Type"])
            to_sign = base64.b64decode(request["ToSign"] or "", validate=True)
            extra = base64.b64decode(meta.get("Extra") or "", validate=True)
            origin_fields = request.get(ORIGIN_FIELD)
            origin = None if origin_fields is None else document_decode(Origin, origin_fields)
        except (TypeError, KeyError, ValueError, AttributeError):
            raise SignerError("the request cannot be read") from None
        try:
            async with self.link.share.signing:
                signature, rule = await asyncio.to_thread(
                    self.signer.sign_by_rule,
                    address=address,
                    to_sign=to_sign,
                    meta_type=meta_type,
                    extra=extra,
                    caller=self.link.caller,
                    rule_set=self.link.rule_set,
                    origin=origin,
                )
        except SignedBefore as refused:
            return {SIGNED_FIELD: [base64.b64encode(message).decode() for message in refused.signed]}
        answer = {**signature_to_json(signature), "Rule": rule}  # the console shows it, Go passes it over
        if meta_type == VERIFY_ADDRESS and (label := self.label(address)):
            answer[LABEL_FIELD] = label
        return answer

    def label(self, address: str) -> str:
        """Return the label of a key that proves itself; empty if it has none."""
        return next((one.label for one in self.signer.store.entries() if one.address == address), "")

    async def ids_answer(self, payload: Json) -> Json:
        """Return under which ids messages were signed.  Raises SignerError."""
        try:
            request = document_decode(IdsAsked, payload)
        except BadWire as error:
            raise SignerError(f"the request cannot be read: {error}") from None
        async with self.link.share.policy:
            return document_encode(await asyncio.to_thread(self.signer.ids_find, request))

    @staticmethod
    def read(payload: Json) -> Json:
        """Read a payload.  Raises SignerError."""
        try:
            return unpack(payload)
        except ValueError as error:
            raise SignerError(str(error)) from None


def refusal(key: Json, text: str, *, is_unable: bool) -> dict[str, Json]:
    """Write the answer to a request that is not done; `is_unable`: another signer may do it."""
    return {"Id": key, "Payload": None, "Error": text, **({UNABLE_FIELD: True} if is_unable else {})}
