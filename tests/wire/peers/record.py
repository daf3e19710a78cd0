"""Record what node clients of others send, and the form of what they get.

`python -m tests.wire.peers.record` needs what `make peers` needs.  The clients talk to the devnet of `world`
through a proxy that writes tests/golden/peers/node_clients.jsonl; names that only this run's chain has become
placeholders.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import threading
from pathlib import Path
from typing import Any, Final

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "poolsite.settings.test")

from collections.abc import Callable, Iterator

from poolsite.devnet.service import Service
from tests.peers.programs import (
    SOURCES,
    Peer,
    PeerRefused,
    go_program,
    node_begin,
    node_end,
    node_packages,
    python_environment,
)
from tests.peers.questions import Node, asks
from tests.unit.devnet.people import STRANGER
from tests.wire.peers.recorder import Exchange, Recorder
from tests.wire.peers.world import World, world_make

TARGET: Final = Path(__file__).parents[2] / "golden" / "peers" / "node_clients.jsonl"
KEPT_HEADERS: Final = ("content-type", "accept", "user-agent", "x-venus-api-namespace")
SECTOR: Final = 0
BLOCK_S: Final = 0.2
"""Pause between blocks while a client waits for its message."""


def form(value: Any) -> Any:
    """The shape of a value: members, kinds of values, lists by their first items."""
    if isinstance(value, dict):
        return {name: form(item) for name, item in value.items()}
    if isinstance(value, list):
        return [form(value[0])] if value else []
    if value is None or isinstance(value, bool):
        return value
    return 0 if isinstance(value, int | float) else ""


class Rows:
    """What was said, in order."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.client = ""
        self.rows: list[dict[str, Any]] = []

    def keep(self, exchange: Exchange) -> None:
        """Keep one exchange: of a result its form, of a refusal its words."""
        answer = json.loads(exchange.text)
        if "result" in answer:
            answer["result"] = form(answer["result"])
        headers = {name.lower(): value for name, value in exchange.headers.items()}
        self.rows.append(
            {
                "client": self.client,
                "path": exchange.path,
                "headers": {name: headers[name] for name in KEPT_HEADERS if name in headers},
                "body": self.world.hide(exchange.body.decode()),
                "status": exchange.status,
                "answer": json.loads(self.world.hide(json.dumps(answer))),
            }
        )


@contextlib.contextmanager
def mining(mine: Callable[[int], Any]) -> Iterator[None]:
    """Make blocks meanwhile."""
    over = threading.Event()

    def run() -> None:
        while not over.wait(BLOCK_S):
            mine(1)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def record_go(kept: Rows, address: str, direct: str) -> None:
    """Ask every question with each Go client."""
    for program, kind in (("lotus", "node"), ("venus", "chain")):
        for version in ("v1", "v0"):
            kept.client = f"{program} {version}"
            url = f"http://{address}/rpc/{version}"
            node = Node(direct, f"/rpc/{version}", "")
            with Peer([go_program(program), f"{kind}-{version}", url]) as peer:
                for method, params in asks(node, kept.world.worker, kept.world.miner, SECTOR):
                    with contextlib.suppress(PeerRefused):  # the refusal is recorded
                        peer.call(method, *params)


def record_scripts(kept: Rows, address: str) -> None:
    """Run the npm clients and the Python one; the last one sends a message."""
    world = kept.world
    v0, v1 = (f"http://{address}/rpc/{version}" for version in ("v0", "v1"))
    kept.client = "lotus-client-rpc"
    node_end(node_begin(node_packages("node"), "shipyard.mjs", v0))
    kept.client = "glif rpc-client"
    node_end(node_begin(node_packages("node"), "glif.mjs", v1))
    kept.client = "pylotus-rpc"
    script = SOURCES / "python" / "drive.py"
    command: list[str | Path] = [python_environment("python"), script, v0, "", world.miner, world.worker]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    kept.client = "iso-filecoin"
    with mining(world.node.mine):
        secret = STRANGER.key.private_key.hex()
        node_end(node_begin(node_packages("wallet"), "iso.mjs", v1, "", secret, "f01000", "5"))


def main() -> None:
    """Record all of them."""
    world = world_make()
    kept = Rows(world)
    with Service(world.node, mining="paused") as service:
        host, port = service.address
        with Recorder(port, kept.keep) as recorder:
            record_go(kept, recorder.address, f"{host}:{port}")
            record_scripts(kept, recorder.address)
    world.node.close()
    TARGET.write_text("".join(json.dumps(row) + "\n" for row in kept.rows))


if __name__ == "__main__":
    main()
