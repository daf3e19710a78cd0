"""A node for unit tests: JSON-RPC over HTTP and WebSocket, blocks on demand, every answer in plain sight.

It keeps only what the console's message path asks for: heads, nonces, a message pool with lotus' rules and
texts, receipts.  Integration tests use the real devnet.
"""

from __future__ import annotations

import itertools
import json
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from poolsite.filecoin.amounts import AttoFil
from poolsite.filecoin.cids import cid_of_cbor, cid_to_json
from poolsite.filecoin.message import Message as ChainMessage
from poolsite.filecoin.message import (
    SignedMessage,
    message_from_json,
    message_to_json,
    signed_message_from_json,
    signed_message_to_json,
)
from poolsite.filecoin.sigtypes import SIG_BLS

NETWORK = "localnet-poolsite-test"
ACTOR_CODE = str(cid_of_cbor(b"account"))
CODES = {"account": ACTOR_CODE} | {
    name: str(cid_of_cbor(name.encode()))
    for name in ("storageminer", "storagepower", "multisig", "placeholder")
}
"""Codes by their names in the bundle."""
BELOW_GENESIS = "bafyreiaqpwbbyjo4a42saasj36kkrpv4tsherf2e7bvezkert2a7dhonoi"
"""Every real genesis block names this parent, which is no tipset (tests/golden/lotus)."""
GAS = 1_000_000
PREMIUM = 100_000


class Refusal(Exception):
    """A JSON-RPC error."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


@dataclass
class Tipset:
    """One tipset and what it includes."""

    height: int
    cid: str
    parents: list[str]
    base_fee: int
    timestamp: int
    messages: list[SignedMessage] = field(default_factory=list)
    nonces: dict[str, int] = field(default_factory=dict)
    """Next nonce of every sender after its messages."""
    parent_weight: int = 0
    weight: int = 1
    """What it adds to the weight of the chain."""

    def as_json(self) -> dict[str, Any]:
        """Return the node's JSON, with the members that the console reads."""
        block = {
            "Miner": "f01000" if self.parents else "f00",
            "Parents": [{"/": one} for one in self.parents or [BELOW_GENESIS]],
            "Height": self.height,
            "Timestamp": self.timestamp,
            "ParentBaseFee": str(self.base_fee),
            "ParentWeight": str(self.parent_weight),
        }
        return {"Cids": [{"/": self.cid}], "Blocks": [block], "Height": self.height}


class FakeNode:
    """A chain of one block per tipset with accounts and a pool."""

    def __init__(self, *, network: str = NETWORK, salt: str = "") -> None:
        self.network = network
        self.salt = salt
        self.tipsets: dict[str, Tipset] = {}
        self.balances: dict[str, int] = {}
        self.kinds: dict[str, str] = {}
        """Names in the bundle of actors that are no accounts."""
        self.deadlines: dict[str, tuple[int, int]] = {}
        """Of miners: number and closing epoch of the open one."""
        self.pool: dict[tuple[str, int], SignedMessage] = {}
        self.base_fee = 100
        self.max_fee = 0
        """The node's own, for estimates that name none."""
        self.clock = 1_700_000_000
        self.lacks: set[str] = set()
        self.fails: dict[str, str] = {}
        """Method number as text or receiver to an estimation error."""
        self.refuses: Callable[[str, list[Any]], str | None] = lambda _method, _params: None
        self.calls: list[str] = []
        self.simulate: Callable[[ChainMessage, list[ChainMessage]], int] = lambda _message, _prior: GAS
        """Gas that a message takes on top of those before it in a batch; may raise Refusal."""
        self.exit_code = 0
        self.actor_says = ""
        self.gas_used = GAS
        self.return_: str | None = "gA=="
        self.head = self._add([], height=0, salt="genesis")
        self.lock = threading.RLock()

    # Making the chain

    def _add(self, messages: list[SignedMessage], *, height: int, salt: str = "", weight: int = 1) -> Tipset:
        parents = [self.head.cid] if hasattr(self, "head") else []
        name = f"{self.salt}/{salt}/{height}/{parents}/{[str(m.cid) for m in messages]}"
        tipset = Tipset(
            height, str(cid_of_cbor(name.encode())), parents, self.base_fee, self.clock, list(messages)
        )
        tipset.weight = weight
        tipset.parent_weight = self.head.parent_weight + self.head.weight if parents else 0
        tipset.nonces = dict(self.head.nonces) if parents else {}
        for signed in messages:
            address = str(signed.message.from_)
            tipset.nonces[address] = tipset.nonces.get(address, 0) + 1
        self.tipsets[tipset.cid] = tipset
        return tipset

    def mine(
        self,
        *,
        nulls: int = 0,
        salt: str = "",
        weight: int = 1,
        only: Callable[[SignedMessage], bool] | None = None,
    ) -> str:
        """Add one tipset with every pool message that fits its sender's nonce; gives its key."""
        with self.lock:
            taken = []
            nonces: dict[str, int] = {}
            for (address, nonce), signed in sorted(self.pool.items()):
                expected = nonces.setdefault(address, self.nonce_after(self.head.cid, address))
                if nonce == expected and (only is None or only(signed)):
                    nonces[address] += 1
                    taken.append(signed)
            for signed in taken:
                self.pool.pop((str(signed.message.from_), signed.message.nonce), None)
            self.clock += 1 + nulls
            self.head = self._add(taken, height=self.head.height + 1 + nulls, salt=salt, weight=weight)
            return self.head.cid

    def rewind(self, count: int) -> None:
        """Take heads off; their messages come back into the pool."""
        with self.lock:
            for _ in range(count):
                for signed in self.head.messages:
                    self.pool.setdefault((str(signed.message.from_), signed.message.nonce), signed)
                self.head = self.tipsets[self.head.parents[0]]

    def chain(self, cid: str) -> list[Tipset]:
        """Return the tipsets from genesis to `cid`."""
        found = []
        at: str | None = cid
        while at is not None:
            tipset = self.tipsets[at]
            found.append(tipset)
            at = tipset.parents[0] if tipset.parents else None
        return found[::-1]

    def nonce_after(self, cid: str, address: str, *, executed_only: bool = False) -> int:
        """Count the messages of an address; by default those that `cid` includes too."""
        tipset = self.tipsets[cid]
        if executed_only:
            if not tipset.parents:
                return 0
            tipset = self.tipsets[tipset.parents[0]]
        return tipset.nonces.get(address, 0)

    def landed(self, address: str) -> list[SignedMessage]:
        """Return what landed from an address, in order."""
        return [
            signed
            for tipset in self.chain(self.head.cid)
            for signed in tipset.messages
            if str(signed.message.from_) == address
        ]

    # Answering

    def answer(self, method: str, params: list[Any]) -> Any:
        """Carry out one call.  Raises Refusal."""
        name = method.removeprefix("Filecoin.")
        self.calls.append(name)
        handler = getattr(self, f"do_{name}", None)
        if handler is None or name in self.lacks:
            raise Refusal(f"method '{method}' not found", -32601)
        text = self.refuses(name, params)
        if text is not None:
            raise Refusal(text)
        with self.lock:
            return handler(*params)

    def _tipset(self, key: list[dict[str, str]]) -> Tipset:
        return self.tipsets[key[0]["/"]] if key else self.head

    def do_Version(self) -> Any:
        return {"Version": "tiny", "APIVersion": 131840}

    def do_ChainHead(self) -> Any:
        return self.head.as_json()

    def do_ChainGetGenesis(self) -> Any:
        return self.chain(self.head.cid)[0].as_json()

    def do_ChainGetTipSet(self, key: list[dict[str, str]]) -> Any:
        if not key or key[0]["/"] not in self.tipsets:
            raise Refusal("ipld: could not find the tipset")
        return self._tipset(key).as_json()

    def do_ChainGetTipSetByHeight(self, height: int, key: list[dict[str, str]]) -> Any:
        chain = self.chain(self._tipset(key).cid)
        return [tipset for tipset in chain if tipset.height <= height][-1].as_json()

    def do_ChainGetParentMessages(self, cid: dict[str, str]) -> Any:
        tipset = self.tipsets[cid["/"]]
        below = self.tipsets[tipset.parents[0]] if tipset.parents else None
        return [
            {"Cid": {"/": str(signed.cid)}, "Message": message_to_json(signed.message)}
            for signed in (below.messages if below else [])
        ]

    def do_ChainGetBlockMessages(self, cid: dict[str, str]) -> Any:
        tipset = self.tipsets[cid["/"]]
        others = [signed for signed in tipset.messages if signed.signature.type != SIG_BLS]
        bls = [signed for signed in tipset.messages if signed.signature.type == SIG_BLS]
        return {
            "BlsMessages": [message_to_json(signed.message) for signed in bls],
            "SecpkMessages": [signed_message_to_json(signed) for signed in others],
            "Cids": [cid_to_json(signed.cid) for signed in (*bls, *others)],
        }

    def do_ChainGetParentReceipts(self, cid: dict[str, str]) -> Any:
        return [self._receipt() for _ in self.do_ChainGetParentMessages(cid)]

    def _receipt(self) -> dict[str, Any]:
        return {
            "ExitCode": self.exit_code,
            "Return": self.return_,
            "GasUsed": self.gas_used,
            "EventsRoot": None,
        }

    def do_StateNetworkName(self) -> Any:
        return self.network

    def do_StateNetworkVersion(self, _key: Any) -> Any:
        return 28

    def do_StateGetNetworkParams(self) -> Any:
        return {"NetworkName": self.network, "BlockDelaySecs": 1, "PreCommitChallengeDelay": 2}

    def do_StateGetActor(self, address: str, key: list[dict[str, str]]) -> Any:
        if address not in self.balances and address not in self.kinds:
            raise Refusal(f"resolution lookup failed ({address}): resolve address {address}: actor not found")
        nonce = self.nonce_after(self._tipset(key).cid, address, executed_only=True)
        code = {"/": CODES[self.kinds.get(address, "account")]}
        balance = self.balances.get(address, 0)
        return {"Code": code, "Head": code, "Nonce": nonce, "Balance": str(balance)}

    def do_StateActorCodeCIDs(self, _version: int) -> Any:
        return {name: {"/": code} for name, code in CODES.items()}

    def do_StateMinerProvingDeadline(self, miner: str, _key: Any) -> Any:
        if miner not in self.deadlines:
            raise Refusal(f"failed to get miner actor {miner}: actor not found")
        number, close = self.deadlines[miner]
        return {"Index": number, "Open": close - 60, "Close": close}

    def do_StateAccountKey(self, address: str, _key: Any) -> Any:
        raise Refusal("mock: unknown id")

    def do_MpoolGetNonce(self, address: str) -> Any:
        if address not in self.balances:
            raise Refusal(f"resolution lookup failed ({address}): actor not found")
        nonce = self.nonce_after(self.head.cid, address)
        while (address, nonce) in self.pool:
            nonce += 1
        return nonce

    def do_MpoolPending(self, _key: Any) -> Any:
        return [signed_message_to_json(signed) for signed in self.pool.values()]

    def do_MpoolGetConfig(self) -> Any:
        return {"ReplaceByFeeRatio": 1.25}

    def do_MpoolPush(self, body: dict[str, Any]) -> Any:
        signed = signed_message_from_json(body)
        message = signed.message
        address = str(message.from_)
        expected = self.nonce_after(self.head.cid, address)
        if message.nonce < expected:
            text = f"minimum expected nonce is {expected}, got {message.nonce}: message nonce too low"
            raise Refusal(text)
        if message.gas_fee_cap < 100:
            raise Refusal("gas fee cap too low")
        there = self.pool.get((address, message.nonce))
        prefix = f"failed to add locked: message from {address} with nonce {message.nonce} already in mpool"
        if there is not None and there.cid == signed.cid:
            raise Refusal(f"{prefix}: message with nonce already exists")
        if there is not None and message.gas_premium < there.message.gas_premium * 110 // 100 + 1:
            raise Refusal(f"{prefix}, increase GasPremium: replace by fee has too low GasPremium")
        self.pool[(address, message.nonce)] = signed
        return {"/": str(signed.cid)}

    def do_GasEstimateMessageGas(
        self, body: Any, spec: Any, _key: Any, prior: Sequence[ChainMessage] = ()
    ) -> Any:
        message = message_from_json(body)
        for name in (str(message.method), str(message.to)):
            if name in self.fails:
                raise Refusal(self.fails[name], 3)
        if "GasBatchEstimateMessageGas" in self.lacks:  # as lotus, which knows no other wish
            spec = {"MaxFee": spec["MaxFee"]}
        gas = self.simulate(message, list(prior))
        limit = message.gas_limit or int(gas * (spec.get("GasOverEstimation") or 1.25))
        premium = message.gas_premium or int(PREMIUM * (spec.get("GasOverPremium") or 1))
        cap = message.gas_fee_cap or self.base_fee * 10 + premium
        most = int(spec["MaxFee"]) or self.max_fee
        if most and cap * limit > most:
            cap = most // limit
        return message_to_json(
            replace(
                message,
                gas_limit=limit,
                gas_fee_cap=AttoFil(cap),
                gas_premium=AttoFil(min(premium, cap)),
            )
        )

    def do_StateCall(self, body: Any, _key: Any) -> Any:
        text = self.fails.get(str(message_from_json(body).method), "")
        receipt = {**self._receipt(), "ExitCode": 18 if text else self.exit_code}
        return {"MsgRct": receipt, "Error": text}

    def do_StateReplay(self, key: Any, cid: dict[str, str]) -> Any:
        if not any(str(signed.cid) == cid["/"] for signed in self._tipset(key).messages):
            raise Refusal("message not found in tipset")
        return {"MsgRct": self._receipt(), "Error": self.actor_says}

    def do_GasBatchEstimateMessageGas(self, rows: list[Any], nonce: int, key: Any) -> Any:
        answers = []
        prior: list[ChainMessage] = []
        for row in rows:
            try:
                body = self.do_GasEstimateMessageGas(row["Msg"], row["Spec"], key, prior)
            except Refusal as refusal:
                answers.append({"Msg": row["Msg"], "Err": f"estimating gas limit: {refusal}"})
                continue
            prior.append(message_from_json(body))
            answers.append({"Msg": {**body, "Nonce": nonce}, "Err": ""})
            nonce += 1
        return answers

    def do_StateSearchMsg(
        self, key: list[dict[str, str]], cid: dict[str, str], _limit: int, _replaced: bool
    ) -> Any:
        chain = self.chain(self._tipset(key).cid)
        for below, above in itertools.pairwise(chain):
            for signed in below.messages:
                if str(signed.cid) == cid["/"]:
                    return {
                        "Message": cid,
                        "Receipt": self._receipt(),
                        "ReturnDec": None,
                        "TipSet": [{"/": above.cid}],
                        "Height": above.height,
                    }
        if any(str(signed.cid) == cid["/"] for signed in self.pool.values()):
            return None
        raise Refusal(f"ipld: could not find {cid['/']}")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16  # one packet per answer: two would wait 40 ms for each other
    disable_nagle_algorithm = True
    node: FakeNode
    token: str

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", "0"))
        body = json.loads(self.rfile.read(length))
        if self.token and self.headers.get("Authorization") != f"Bearer {self.token}":
            self._send(401, b"")
            return
        if isinstance(body, list):
            self._send(200, json.dumps([self._one(item) for item in body]).encode())
            return
        answer = self._one(body)
        is_protocol = answer.get("error", {}).get("code", 0) < -32000
        self._send(500 if is_protocol else 200, json.dumps(answer).encode())

    def _one(self, request: dict[str, Any]) -> dict[str, Any]:
        head = {"jsonrpc": "2.0", "id": request["id"]}
        try:
            return {**head, "result": self.node.answer(request["method"], request["params"])}
        except Refusal as refusal:
            return {**head, "error": {"code": refusal.code, "message": str(refusal)}}

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: Any) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, *args: Any) -> None:
        self.open: set[Any] = set()
        super().__init__(*args)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection, and remember it."""
        self.open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection."""
        self.open.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        """Stop listening and close what clients keep open: a node that ends answers nobody."""
        super().server_close()
        for request in list(self.open):
            with suppress(OSError):
                request.shutdown(socket.SHUT_RDWR)

    def handle_error(self, *_args: Any) -> None:
        """A client that hangs up is no news."""


@contextmanager
def served(node: FakeNode, *, token: str = "", port: int = 0) -> Iterator[str]:
    """Serve a node on a free port, or on this one; gives its URL."""
    handler = type("Handler", (_Handler,), {"node": node, "token": token})
    server = _Server(("127.0.0.1", port), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/rpc/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
