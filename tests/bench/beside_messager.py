"""sophon-messager and ours in one run: the same node, signer, hub and limits, the same client, by turns.

From the first push until the node's message pool has every message: what is counted is the nonce that the
node would give next.  Needs the program in the folder that POOLSITE_PEER_PROGRAMS names; without it only ours
is measured.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import httpx
import websockets

from tests.acceptance.pool import RunningPool
from tests.integration.pools import wait_until
from tests.peers.programs import PROGRAMS_VARIABLE
from tests.peers.questions import Node, transfer
from tests.peers.signer import RunningSigner
from tests.servers import port_free

PEER: Final = Path(os.environ.get(PROGRAMS_VARIABLE) or os.devnull) / "sophon-messager"
SENDERS: Final = 50
MESSAGES: Final = 10_000
IN_FLIGHT: Final = 50
IN_TURN: Final = 1_000
QUOTA: Final = 200
"""Messages of one sender in flight; the original chooses no more at one head, whatever its setting."""
FUND: Final = 10**17
PATIENCE_S: Final = 300
LOOK_S: Final = 0.2
"""Between two looks at the node's pool: asking costs the node too."""
STILL_S: Final = 60
"""A messager that brought nothing for so long has come to its end."""


@dataclass(frozen=True, slots=True)
class Case:
    """One measurement."""

    name: str
    unit: str


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value."""

    name: str
    value: float
    unit: str
    peer: float | None = None
    limit: float | None = None


PUSHED: Final = Case(f"push, {IN_FLIGHT} in flight, while they are chosen and signed", "messages/s")
ALONE: Final = Case("push, one at a time", "messages/s")
READ: Final = Case("read by id, one at a time", "messages/s")
PUBLISHED: Final = Case(f"{MESSAGES} of {SENDERS} senders: pushed to in the node's pool", "messages/s")
SIGNED: Final = Case("the same: CPU time of the signer for one message", "ms")
SHARE: Final = Case("the same: share of the signer's CPU time in the time of the whole way", "%")


def cases() -> list[Case]:
    """List the measurements."""
    return [PUSHED, PUBLISHED, ALONE, READ, SIGNED, SHARE]


def run(case: Case) -> Figure:
    """Return one figure of the one run."""
    ours, theirs = figures()
    at = cases().index(case)
    peer = None if theirs is None else theirs[at]
    return Figure(case.name, ours[at], case.unit, peer, peer if at < cases().index(SIGNED) else None)


@cache
def figures() -> tuple[tuple[float, ...], tuple[float, ...] | None]:
    """Measure the original, where it is there, then ours."""
    with (
        RunningPool(has_kernels=False, POOLSITE_DISABLE="sealer,prover,bootstrap-miner") as pool,
        tempfile.TemporaryDirectory(prefix="pt-") as folder,
    ):
        wait_until(pool.is_ready, within_s=PATIENCE_S, what=pool.diagnosis)
        token = tenant_token(pool)
        hub = f"ws://127.0.0.1:{pool.port}/rpc/v1"
        with RunningSigner(Path(folder) / "signer", hub=hub, token=token) as signer:
            signer.logged("gateway_connected")
            theirs = None
            if PEER.exists():
                keys = senders_make(pool, signer)
                with messager_beside(pool, Path(folder)) as url:
                    theirs = measured(pool, url, token, keys=keys, signer=signer)
            keys = senders_make(pool, signer)
            ours = measured(pool, f"127.0.0.1:{pool.port}", token, keys=keys, signer=signer)
    return ours, theirs


def tenant_token(pool: RunningPool) -> str:
    """Make a tenant, give it a token, and set the pool's quota."""
    shared = pool.rpc("Message.GetSharedParams")["result"]
    pool.rpc("Message.SetSharedParams", {**shared, "selMsgNum": QUOTA})
    assert pool.ask("POST", "/api/v1/tenants", json={"name": "bench"}).status_code == 201
    body = {"tenant": "bench", "name": "program", "perm": "admin"}
    return str(pool.ask("POST", "/api/v1/tokens", json=body).json()["token"])


def senders_make(pool: RunningPool, signer: RunningSigner) -> list[str]:
    """Make secp256k1 keys at the signer, and give them money."""
    address = signer.logged(r'(127\.0\.0\.1:\d+)", "event": "listening"')
    wallet = Node(address, "/rpc/v0", signer.run("token", "admin"))
    keys = [wallet.ask("WalletNew", "secp256k1") for _ in range(SENDERS)]
    worker = json.loads((pool.var / "signer.json").read_text())["worker"]
    wishes = [{**transfer(worker), "To": key, "Value": str(FUND)} for key in keys]
    pushed = [pool.rpc("Message.PushMessage", wish, None)["result"] for wish in wishes]
    for uid in pushed:
        pool.rpc("Message.WaitMessage", uid, 0)
    return keys


@contextmanager
def messager_beside(pool: RunningPool, folder: Path) -> Iterator[str]:
    """Run the original on our node, auth and hub; gives where it listens."""
    admin, console = pool.operator["admin_token"], f"/ip4/127.0.0.1/tcp/{pool.port}"
    port, node = port_free(), "/ip4/127.0.0.1/tcp/" + pool.listen.rpartition(":")[2]
    words = ["run", "--listen", f"/ip4/127.0.0.1/tcp/{port}", "--node-url", node]
    words += ["--auth-url", f"http://127.0.0.1:{pool.port}", "--auth-token", admin]
    words += ["--gateway-url", console, "--gateway-token", admin, "--node-token", ""]
    with (folder / "messager.log").open("wb") as log:
        running = subprocess.Popen([PEER, "--repo", folder / "repo", *words], stdout=log, stderr=log)
    try:
        address = f"127.0.0.1:{port}"
        wait_until(lambda: is_up(address), within_s=60, what=(folder / "messager.log").read_text)
        local = Node(address, "/rpc/v0", (folder / "repo" / "token").read_text())
        shared = local.ask("Message.GetSharedParams")
        local.ask("Message.SetSharedParams", {**shared, "selMsgNum": QUOTA})
        yield address
    finally:
        running.kill()
        running.wait(10)


def is_up(address: str) -> bool:
    """Whether something answers there."""
    try:
        return httpx.get(f"http://{address}/healthcheck", timeout=1).status_code < 500
    except httpx.TransportError:
        return False


def cpu_of(pid: int) -> float:
    """Return the seconds of CPU time that a process has used.  Source: proc(5), fields 14 and 15 of stat."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measured(
    pool: RunningPool, address: str, token: str, *, keys: list[str], signer: RunningSigner
) -> tuple[float, ...]:
    """Push to a messager; gives the rates of pushing and until the node has all, and what the signer took."""
    node = Node(pool.listen, "/rpc/v1", "")
    began, cpu = time.perf_counter(), cpu_of(signer.process.pid)
    asyncio.run(push_all(f"ws://{address}/rpc/v0", token, keys))
    pushed = time.perf_counter() - began

    arrived, took = arrivals_wait(node, keys, began=began)
    if arrived < MESSAGES:
        sys.stderr.write(f"{address}: {arrived} of {MESSAGES} messages came, then none for {STILL_S} s\n")
    signing = cpu_of(signer.process.pid) - cpu
    ids, alone = asyncio.run(alone_all(f"ws://{address}/rpc/v0", token, keys))
    read = asyncio.run(read_all(f"ws://{address}/rpc/v0", token, ids))
    return (
        MESSAGES / pushed,
        arrived / took,
        *(alone, read),
        1000 * signing / arrived,
        100 * signing / took,
    )


def arrivals_wait(node: Node, keys: list[str], *, began: float) -> tuple[int, float]:
    """Wait until the node's pool has every message, or no more come; gives how many, and when the last came.

    No more come where a messager gave one nonce twice: what follows it is refused with it.
    """
    arrived, at = 0, time.perf_counter()
    while arrived < MESSAGES and time.perf_counter() - at < STILL_S:
        time.sleep(LOOK_S)
        count = in_pool(node, keys)
        if count > arrived:
            arrived, at = count, time.perf_counter()
    return arrived, at - began


def in_pool(node: Node, keys: list[str]) -> int:
    """Count the messages of these senders that the node has, in one question."""
    calls = [
        {"jsonrpc": "2.0", "id": number, "method": "Filecoin.MpoolGetNonce", "params": [key]}
        for number, key in enumerate(keys)
    ]
    answers = httpx.post(f"http://{node.address}{node.path}", json=calls, timeout=60).json()
    return sum(answer["result"] for answer in answers)


def text_of(number: int, method: str, *params: Any) -> str:
    """Write a call."""
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": f"Message.{method}", "params": params})


async def asked_in_turn(url: str, token: str, calls: list[str]) -> float:
    """Make one call after the other over one socket; gives calls per second."""
    headers = {"Authorization": f"Bearer {token}"}
    async with websockets.connect(url, additional_headers=headers, max_size=None) as socket:
        began = time.perf_counter()
        for call in calls:
            await socket.send(call)
            answer = json.loads(await socket.recv())
            assert "error" not in answer, answer
        return len(calls) / (time.perf_counter() - began)


async def alone_all(url: str, token: str, keys: list[str]) -> tuple[list[str], float]:
    """Push in turn, as damocles and droplet do; gives the ids and the rate."""
    ids = [str(uuid.uuid4()) for _ in range(IN_TURN)]
    wishes = [{**transfer(keys[number % SENDERS]), "Value": "1"} for number in range(IN_TURN)]
    calls = [text_of(n, "PushMessageWithId", ids[n], wish, None) for n, wish in enumerate(wishes)]
    return ids, await asked_in_turn(url, token, calls)


async def read_all(url: str, token: str, ids: list[str]) -> float:
    """Read in turn; gives the rate."""
    return await asked_in_turn(url, token, [text_of(n, "GetMessageByUid", id_) for n, id_ in enumerate(ids)])


async def push_all(url: str, token: str, keys: list[str]) -> None:
    """Push over one socket with so many calls in flight."""
    headers = {"Authorization": f"Bearer {token}"}
    numbers = iter(range(MESSAGES))
    waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
    async with websockets.connect(url, additional_headers=headers, max_size=None) as socket:

        async def listen() -> None:
            async for text in socket:
                answer = json.loads(text)
                waiting.pop(answer["id"]).set_result(answer)

        async def caller() -> None:
            for number in numbers:
                waiting[number] = done = asyncio.get_running_loop().create_future()
                wish = {**transfer(keys[number % SENDERS]), "Value": "1"}
                body = {"jsonrpc": "2.0", "id": number, "method": "Message.PushMessageWithId"}
                await socket.send(json.dumps({**body, "params": [str(uuid.uuid4()), wish, None]}))
                answer = await done
                assert "error" not in answer, answer

        listener = asyncio.create_task(listen())
        await asyncio.gather(*(caller() for _ in range(IN_FLIGHT)))
        listener.cancel()
