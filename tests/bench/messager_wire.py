"""Speed of the messager on its wire: 50 calls in flight or one, over one connection, a client of its own.

The web process is the site's own under uvicorn, over PostgreSQL; nothing is chosen or signed meanwhile.
The peers' figures are those of the Go messager on 2 cores (SQLite, plain HTTP).
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import uuid
from typing import Any, Final

from tests.bench.messager import Case, Figure, bench_pool, redis_layer, server_start

IN_FLIGHT: Final = 50
CALLS: Final = 4_000
CALLS_ALONE: Final = 1_500

CLIENT: Final = """
import asyncio, json, sys, time
import websockets

async def main(url, token, method, params, calls, in_flight):
    headers = {"Authorization": f"Bearer {token}"}
    async with websockets.connect(url, additional_headers=headers, max_size=None, compression=None) as socket:
        waiting, failed = {}, []

        async def listen():
            async for text in socket:
                answer = json.loads(text)
                if "error" in answer:
                    failed.append(answer["error"])
                waiting.pop(answer["id"]).set_result(None)

        listener = asyncio.create_task(listen())
        loop, numbers = asyncio.get_running_loop(), iter(range(calls))

        async def caller():
            for number in numbers:
                waiting[number] = loop.create_future()
                done = waiting[number]
                sent = json.loads(params.replace("<n>", str(number)))
                body = {"jsonrpc": "2.0", "id": number, "method": method, "params": sent}
                await socket.send(json.dumps(body))
                await done

        began = time.perf_counter()
        await asyncio.gather(*(caller() for _ in range(in_flight)))
        print(json.dumps({"took": time.perf_counter() - began, "failed": failed[:3]}))
        listener.cancel()

asyncio.run(main(*sys.argv[1:5], int(sys.argv[5]), int(sys.argv[6])))
"""
"""What a Go client does: one connection, as many calls under way as there are callers."""

POSTER: Final = """
import http.client, json, sys, time
from urllib.parse import urlsplit

def main(url, token, method, params, calls, in_flight):
    parts, failed = urlsplit(url), []
    link = http.client.HTTPConnection(parts.hostname, parts.port)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    began = time.perf_counter()
    for number in range(calls):
        sent = json.loads(params.replace("<n>", str(number)))
        body = {"jsonrpc": "2.0", "id": number, "method": method, "params": sent}
        link.request("POST", parts.path, json.dumps(body), headers)
        answer = json.loads(link.getresponse().read())
        if "error" in answer:
            failed.append(answer["error"])
    print(json.dumps({"took": time.perf_counter() - began, "failed": failed[:3]}))

main(*sys.argv[1:5], int(sys.argv[5]), int(sys.argv[6]))
"""
"""The same by POST, one call after the other over one connection."""


COSTS: Final[list[float]] = []
"""CPU time per call of the measurements before, in ms: it says something on a busy machine too."""


def last_cost(_pool: Any) -> float:
    """Return what a call of the measurement before took of the web process."""
    return COSTS[-1]


def cases() -> list[Case]:
    """List the measurements."""
    found = []
    many = f"over one WebSocket, {IN_FLIGHT} in flight"
    for name, measure, unit, peer, limit in (
        (f"push {many}", push_over_socket, "pushes/s", 1175.0, 1170.0),
        (f"read by id {many}", read_over_socket, "reads/s", 2605.0, 2605.0),
        ("push over one WebSocket, one at a time", push_alone, "pushes/s", 1161.0, None),
        ("read by id over one WebSocket, one at a time", read_alone, "reads/s", 1204.0, None),
        ("push by POST, one at a time", push_posted, "pushes/s", 1161.0, None),
        ("read by id by POST, one at a time", read_posted, "reads/s", 1204.0, None),
    ):
        found.append(Case(name, measure, unit, peer, limit))
        found.append(Case("the same: CPU time of the web process for one call", last_cost, "ms"))
    return found


def run(case: Case) -> Figure:
    """Measure one case in a fresh pool."""
    if case.measure is last_cost:
        return Figure(case.name, last_cost(None), case.unit, case.peer, case.limit)
    with bench_pool() as pool:
        return Figure(case.name, case.measure(pool), case.unit, case.peer, case.limit)


def called(method: str, params: list[Any], *, in_flight: int = IN_FLIGHT, by_post: bool = False) -> float:
    """Serve the site, let the client call, and give the calls per second."""
    from tests.hub import WebProcess
    from tests.people import operator_token

    server_start()
    web = WebProcess()
    calls = CALLS if in_flight > 1 else CALLS_ALONE
    with redis_layer():
        web.start()
        began = time.process_time()
        try:
            url = f"{'http' if by_post else 'ws'}://127.0.0.1:{web.port}/rpc/v0"
            command = [sys.executable, "-c", POSTER if by_post else CLIENT, url, operator_token(), method]
            ended = subprocess.run(
                [*command, json.dumps(params), str(calls), str(in_flight)],
                capture_output=True,
                text=True,
                check=True,
                timeout=300,
            )
        finally:
            web.stop()
    COSTS.append(1000 * (time.process_time() - began) / calls)
    answer = json.loads(ended.stdout.splitlines()[-1])
    assert not answer["failed"], answer["failed"]
    return calls / float(answer["took"])


PUSH: Final = "Message.PushMessageWithId"
READ: Final = ("Message.GetMessageByUid", ["old-1<n>"])
"""Of messages that landed."""


def transfer_of(pool: Any) -> list[Any]:
    """Return the parameters of a transfer under ids of the caller's."""
    message = {
        "Version": 0,
        "To": "f01000",
        "From": pool.address(of="pool"),
        "Nonce": 0,
        "Value": "5",
        "GasLimit": 0,
        "GasFeeCap": "0",
        "GasPremium": "0",
        "Method": 0,
        "Params": None,
    }
    return [f"{uuid.uuid4().hex}-<n>", message, None]


def push_over_socket(pool: Any) -> float:
    """Push with many calls in flight."""
    return called(PUSH, transfer_of(pool))


def read_over_socket(_pool: Any) -> float:
    """Read with many calls in flight."""
    return called(*READ)


def push_alone(pool: Any) -> float:
    """Push one after the other, as damocles and droplet do."""
    return called(PUSH, transfer_of(pool), in_flight=1)


def read_alone(_pool: Any) -> float:
    """Read one after the other."""
    return called(*READ, in_flight=1)


def push_posted(pool: Any) -> float:
    """Push one after the other by POST over one connection."""
    return called(PUSH, transfer_of(pool), in_flight=1, by_post=True)


def read_posted(_pool: Any) -> float:
    """Read one after the other by POST over one connection."""
    return called(*READ, in_flight=1, by_post=True)
