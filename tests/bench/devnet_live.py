"""Live runs of the devnet: a process of its own under load, and a whole week without a pause."""

from __future__ import annotations

import functools
import itertools
import json
import multiprocessing
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import httpx

from poolsite.devnet.clock import ManualClock, WallClock
from poolsite.devnet.node import Devnet
from poolsite.devnet.profile import Profile
from poolsite.devnet.service import Service
from poolsite.filecoin.address import address_parse
from poolsite.filecoin.amounts import FIL, AttoFil
from poolsite.filecoin.message import Message, signed_message_to_json
from poolsite.filecoin.policy import network_by_name
from poolsite.filecoin.signing import message_sign
from tests.unit.devnet.people import person

NETWORK: Final = "localnet-poolsite-test"
"""Epochs of 1 s."""
SENDERS: Final = 50
MESSAGES: Final = 300
"""Messages a second."""
SECONDS: Final = 30
REST_S: Final = 3
"""What the last messages have to land."""
WEEK_EPOCHS: Final = 20_160
ANSWER_S: Final = 60


@dataclass(frozen=True, slots=True)
class Live:
    """What came of a live run."""

    behind_ms: float
    """Wall time that no epoch stands for."""
    landed: float
    """Messages a second that are in blocks at the end."""


def serve(path: str, funded: Sequence[str], door: Connection) -> None:
    """Be the devnet until the other side says so (entry of the child process)."""
    funds = {address_parse(text): 1000 * FIL for text in funded}
    node = Devnet(path, network=NETWORK, clock=WallClock(), funds=funds, profile=Profile(null_free=True))
    with Service(node) as service:
        door.send(service.url)
        door.recv()
    node.close()


def bodies() -> tuple[list[str], list[bytes]]:
    """The senders, and one request for each second: its messages, signed beforehand."""
    people = [person(f"live {number}", "bls" if number % 2 else "secp256k1") for number in range(SENDERS)]
    chain_id = network_by_name(NETWORK).eth_chain_id
    requests = []
    for second in range(SECONDS):
        batch = []
        for who, place in itertools.product(people, range(MESSAGES // SENDERS)):
            message = Message(
                to=people[0].address,
                from_=who.address,
                nonce=second * (MESSAGES // SENDERS) + place,
                value=AttoFil(1),
                gas_limit=2_000_000,
                gas_fee_cap=AttoFil(10**9),
                gas_premium=AttoFil(100_000),
            )
            batch.append(signed_message_to_json(message_sign(who.key, message, chain_id=chain_id)))
        request = {"jsonrpc": "2.0", "id": second, "method": "Filecoin.MpoolBatchPush", "params": [batch]}
        requests.append(json.dumps(request).encode())
    return [str(who.address) for who in people], requests


@functools.cache
def live() -> Live:
    """Push by JSON-RPC each second what one block shall carry, and see whether the chain keeps up."""
    funded, requests = bodies()
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    with tempfile.TemporaryDirectory() as folder:
        child = context.Process(target=serve, args=(str(Path(folder) / "chain.sqlite"), funded, there))
        child.start()
        try:
            with httpx.Client(timeout=ANSWER_S) as client:
                return _pushed(client, here.recv(), requests)
        finally:
            here.send("end")
            child.join(ANSWER_S)


def _pushed(client: httpx.Client, url: str, requests: Sequence[bytes]) -> Live:
    def ask(content: bytes) -> Any:
        answer = client.post(url, content=content).json()
        assert "error" not in answer, answer
        return answer["result"]

    info = json.dumps({"jsonrpc": "2.0", "id": 0, "method": "Devnet.Info", "params": []}).encode()
    first = _next_epoch(ask, info)
    began = time.monotonic()
    for second, request in enumerate(requests):
        time.sleep(max(began + second - time.monotonic(), 0))
        ask(request)
    time.sleep(max(began + len(requests) + REST_S - time.monotonic(), 0))
    last = _next_epoch(ask, info)
    elapsed = time.monotonic() - began
    epochs = last["Height"] - first["Height"]
    landed = MESSAGES * len(requests) - last["PendingMessages"]
    return Live(max(elapsed - epochs, 0) * 1000, landed / len(requests))


def _next_epoch(ask: Any, info: bytes) -> Any:
    """The devnet's word as soon as its next head is there."""
    before = ask(info)["Height"]
    while True:
        found = ask(info)
        if found["Height"] > before:
            return found
        time.sleep(0.01)


def week() -> float:
    """Seconds that a mainnet week takes: each epoch with its block, on disk, everything verified."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "chain.sqlite"
        node = Devnet(path, network="lotus-2k", clock=ManualClock(), profile=Profile(null_free=True))
        start = node.head.height
        began = time.perf_counter()
        node.mine(WEEK_EPOCHS)
        spent = time.perf_counter() - began
        assert node.head.height - start == WEEK_EPOCHS, "an epoch had no block"
        node.close()
    return spent
