"""Speed of the messager on its wire: one WebSocket, 50 calls in flight, a client in a process of its own.

The web process is the site's own under uvicorn, over PostgreSQL; nothing is chosen or signed meanwhile.
The peers' figures are those of the Go messager on 2 cores (SQLite, plain HTTP).
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any, Final

from tests.bench.messager import Case, Figure, bench_pool, redis_layer, server_start

IN_FLIGHT: Final = 50
CALLS: Final = 4_000

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


COSTS: Final[list[float]] = []
"""CPU time per call of the measurements before, in ms: it says something on a busy machine too."""


def last_cost(_pool: Any) -> float:
    """Give what a call of the measurement before took of the web process."""
    return COSTS[-1]


def cases() -> list[Case]:
    """List the measurements."""
    return [
        Case(f"push over one WebSocket, {IN_FLIGHT} in flight", push_over_socket, "pushes/s", 1175.0, 1170.0),
        Case("the same: CPU time of the web process for one push", last_cost, "ms"),
        Case(
            f"read by id over one WebSocket, {IN_FLIGHT} in flight",
            read_over_socket,
            "reads/s",
            2605.0,
            2605.0,
        ),
        Case("the same: CPU time of the web process for one read", last_cost, "ms"),
    ]


def run(case: Case) -> Figure:
    """Measure one case in a fresh pool."""
    if case.measure is last_cost:
        return Figure(case.name, last_cost(None), case.unit, case.peer, case.limit)
    with bench_pool() as pool:
        return Figure(case.name, case.measure(pool), case.unit, case.peer, case.limit)


def called(method: str, params: list[Any], *, calls: int = CALLS) -> float:
    """Serve the site, let the client call, and give the calls per second."""
    from tests.hub import WebProcess
    from tests.people import operator_token

    server_start()
    web = WebProcess()
    with redis_layer():
        web.start()
        began = time.process_time()
        try:
            url = f"ws://127.0.0.1:{web.port}/rpc/v0"
            command = [sys.executable, "-c", CLIENT, url, operator_token(), method, json.dumps(params)]
            ended = subprocess.run(
                [*command, str(calls), str(IN_FLIGHT)],
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


def push_over_socket(pool: Any) -> float:
    """Push transfers under ids of the caller's."""
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
    return called("Message.PushMessageWithId", ["bench-<n>", message, None])


def read_over_socket(pool: Any) -> float:
    """Read messages that landed."""
    del pool
    return called("Message.GetMessageByUid", ["old-1<n>"])
