"""A round for 200 miners by sophon-miner and by ours in one world, by turns: from base info to submission.

Both ask the same node and the same gateway, a process beside them that answers at once, over sockets; both
times are taken there, from the first question for base info until the last block.  Where sophon-miner is not
to be had, ours is measured alone, and why is said.
"""

from __future__ import annotations

import asyncio
import base64
import importlib
import itertools
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import httpx
import websockets

from tests.bench import blocks
from tests.bench.beside_messager import cpu_of
from tests.bench.block_world import FIRST_MINER, MINERS, USER
from tests.peers.programs import SITE, built_program

TAG: Final = "v1.19.0"
ROUNDS: Final = 5
"""Of each, after one that nobody counts."""
STILL_S: Final = 1.5
"""Without a block for so long a round is over: of 200 miners one or two lose."""
PATIENCE_S: Final = 120
LOOK_S: Final = 0.25
LEAST_PART: Final = 0.95


@dataclass(frozen=True, slots=True)
class Case:
    """One measurement."""

    name: str
    unit: str


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value; `digits` are those that are printed."""

    name: str
    value: float
    unit: str
    peer: float | None = None
    limit: float | None = None
    digits: int = 2


@dataclass(frozen=True, slots=True)
class Took:
    """What a round took."""

    wall_s: float
    cpu_s: float
    """Of the program alone."""
    world_s: float
    """CPU time of node and gateway."""


WALL: Final = Case(f"a round of {MINERS} miners over sockets, base info to submission", "s")
RATIO: Final = Case("the same: ours in parts of sophon-miner's", "%")
CPU: Final = Case("the same: CPU time of the program", "s")
WORLD: Final = Case("the same: CPU time of node, signer and provers", "s")


def cases() -> list[Case]:
    """List the measurements; what is part of sophon-miner's has none without it."""
    return [WALL, RATIO, CPU, WORLD] if isinstance(peer(), Path) else [WALL, CPU, WORLD]


@cache
def peer() -> Path | str:
    """Return the program, or why there is none; that is said once."""
    try:
        return built_program("sophon-miner", version=TAG, shows="ours is no slower")
    except AssertionError as error:
        sys.stdout.write(f"  sophon-miner is not measured beside ours: {error}\n")
        return str(error)


def run(case: Case) -> Figure:
    """Return one figure of the one run."""
    ours, theirs = figures()
    if case is RATIO:
        assert theirs is not None
        return Figure(case.name, 100 * ours.wall_s / theirs.wall_s, case.unit)
    name = {WALL: "wall_s", CPU: "cpu_s", WORLD: "world_s"}[case]
    beside = None if theirs is None else getattr(theirs, name)
    return Figure(case.name, getattr(ours, name), case.unit, beside, blocks.LIMIT_S if case is WALL else None)


@cache
def figures() -> tuple[Took, Took | None]:
    """Measure both by turns; gives the medians."""
    program = peer()
    miners = blocks.miners_make(FIRST_MINER, MINERS, account=USER)
    with world() as line, tempfile.TemporaryDirectory(prefix="pt-") as folder:
        if isinstance(program, Path):
            with Original(program, Path(folder), line) as original:
                pairs = asyncio.run(by_turns(line, miners, original))
        else:
            pairs = asyncio.run(by_turns(line, miners, None))
    importlib.import_module("django.db").connections.close_all()
    ours, theirs = [one for one, _ in pairs[1:]], [two for _, two in pairs[1:] if two is not None]
    return middle(ours), middle(theirs) if theirs else None


def middle(rounds: list[Took]) -> Took:
    """Return the median of each."""
    return Took(
        statistics.median(one.wall_s for one in rounds),
        statistics.median(one.cpu_s for one in rounds),
        statistics.median(one.world_s for one in rounds),
    )


class Line:
    """Asks the world about its rounds."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)

    def ask(self, method: str) -> Any:
        """Call a method of the bench."""
        body = {"jsonrpc": "2.0", "id": 1, "method": f"Bench.{method}", "params": []}
        return self.http.post("/rpc/v1", json=body).json()["result"]

    def round_wait(self, what: str) -> dict[str, float]:
        """Wait until a round is over; gives what the world saw of it."""
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            seen: dict[str, float] = self.ask("Seen")
            if seen["blocks"] >= LEAST_PART * MINERS and (
                seen["blocks"] == MINERS or seen["still"] > STILL_S
            ):
                return seen
            time.sleep(LOOK_S)
        raise RuntimeError(f"{what}: {seen['blocks']} blocks of {MINERS} miners within {PATIENCE_S} s")


@contextmanager
def world() -> Iterator[Line]:
    """Run node, auth and gateway."""
    command = [sys.executable, "-m", "tests.bench.block_world"]
    with subprocess.Popen(command, cwd=SITE, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        try:
            yield Line(int(running.stdout.readline()))
        finally:
            running.kill()


class Original:
    """A running sophon-miner, stopped while ours is measured."""

    def __init__(self, program: Path, folder: Path, line: Line) -> None:
        self.line = line
        self.log = folder / "log"
        self.command: list[str | Path] = [program, "--repo", folder / "repo"]
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Original:
        address = f"/ip4/127.0.0.1/tcp/{self.line.port}"
        words = [f"--api={address}", "--token=bench", f"--auth-api=http://127.0.0.1:{self.line.port}"]
        words += [f"--gateway-api={address}", "--slash-filter=local", "--listen=127.0.0.1:0"]
        begun = subprocess.run(
            [*self.command, "init", *words], capture_output=True, text=True, timeout=60, check=False
        )
        assert begun.returncode == 0, begun.stdout + begun.stderr
        with self.log.open("wb") as log:  # ours logs no more than errors either
            env = {**os.environ, "GOLOG_LOG_LEVEL": "error"}
            self.process = subprocess.Popen(
                [*self.command, "run", "--nosync"], stdout=log, stderr=log, env=env
            )
        self.process.send_signal(signal.SIGSTOP)
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)

    def round(self) -> Took:
        """Let it make the blocks of one new head."""
        assert self.process is not None
        self.line.ask("Arm")
        before, cpu = self.line.ask("Seen"), cpu_of(self.process.pid)
        self.process.send_signal(signal.SIGCONT)
        try:
            seen = self.line.round_wait("sophon-miner")
        except RuntimeError as error:
            raise RuntimeError(f"{error}\n{self.log.read_text(errors='replace')[-2000:]}") from None
        finally:
            self.process.send_signal(signal.SIGSTOP)
        return Took(seen["seconds"], cpu_of(self.process.pid) - cpu, seen["cpu"] - before["cpu"])


class GatewayProviders:
    """The gateway over one socket that is kept, many questions in flight, as the hub's connections are."""

    def __init__(self, socket: websockets.ClientConnection) -> None:
        self.socket = socket
        self.numbers = itertools.count(1)
        self.waiting: dict[int, asyncio.Future[Any]] = {}
        self.types = importlib.import_module("poolsite.filecoin.block")
        self.signature = importlib.import_module("poolsite.filecoin.signature").Signature

    async def listen(self) -> None:
        """Hand answers to those who wait for them."""
        async for text in self.socket:
            answer = json.loads(text)
            self.waiting.pop(answer["id"]).set_result(answer)

    async def ask(self, method: str, *params: Any) -> Any:
        """Call."""
        number = next(self.numbers)
        self.waiting[number] = done = asyncio.get_running_loop().create_future()
        body = {"jsonrpc": "2.0", "id": number, "method": f"Gateway.{method}", "params": params}
        await self.socket.send(json.dumps(body))
        answer = await done
        if "error" in answer:
            raise RuntimeError(answer["error"]["message"])
        return answer["result"]

    async def sign(self, worker: Any, to_sign: bytes, *, account: str, meta_type: str, **_: Any) -> Any:
        """Have the worker's key sign."""
        body = base64.b64encode(to_sign).decode()
        answer = await self.ask(
            "WalletSign", str(worker), [account], body, {"Type": meta_type, "Extra": None}
        )
        return self.signature(answer["Type"], base64.b64decode(answer["Data"]))

    async def prove(self, actor_id: int, request: Any, **_: Any) -> Any:
        """Have a WinningPoSt computed."""
        answer = await self.ask("ComputeProof", f"f0{actor_id}", request)
        return tuple(
            self.types.PoStProof(one["PoStProof"], base64.b64decode(one["ProofBytes"])) for one in answer
        )


async def by_turns(
    line: Line, miners: list[Any], original: Original | None
) -> list[tuple[Took, Took | None]]:
    """Let both make the blocks of heads of their own, one after the other."""
    link = importlib.import_module("apps.chain.node.link").link_to(f"http://127.0.0.1:{line.port}/rpc/v1", "")
    pairs = []
    async with websockets.connect(f"ws://127.0.0.1:{line.port}/rpc/v2", max_size=None) as socket:
        providers = GatewayProviders(socket)
        listening = asyncio.create_task(providers.listen())
        for _ in range(1 + ROUNDS):
            theirs = None if original is None else await asyncio.to_thread(original.round)
            pairs.append((await our_round(line, link, providers, miners), theirs))
        listening.cancel()
    return pairs


async def our_round(line: Line, link: Any, providers: GatewayProviders, miners: list[Any]) -> Took:
    """Let ours make the blocks of one new head."""
    await asyncio.to_thread(line.ask, "Arm")
    before, cpu = await asyncio.to_thread(line.ask, "Seen"), time.process_time()
    await blocks.round_run(link, providers, miners)
    cpu = time.process_time() - cpu
    seen = await asyncio.to_thread(line.round_wait, "ours")
    return Took(seen["seconds"], cpu, seen["cpu"] - before["cpu"])
