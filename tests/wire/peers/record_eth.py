"""Record what Ethereum's libraries send and get: `python -m tests.wire.peers.record_eth`; needs Node.js.

The clients talk to a devnet through a proxy that writes tests/golden/peers/eth_clients.jsonl.  Each row says
at which height of the chain its request came; so the same chain can be played again.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from poolsite.devnet.node import Devnet
from poolsite.devnet.service import Service
from poolsite.filecoin.amounts import FIL
from tests.peers.programs import node_begin, node_end, node_packages
from tests.unit.devnet.people import OWNER, Person, chain, person, send
from tests.wire.peers.record import mining
from tests.wire.peers.recorder import Exchange, Recorder

TARGET: Final = Path(__file__).parents[2] / "golden" / "peers" / "eth_clients.jsonl"
SENDERS: Final = {"ethers": person("ethers", "delegated"), "viem": person("viem", "delegated")}
RECEIVER: Final = "0x" + "22" * 20
MINER: Final = "0xff" + "00" * 11 + (1000).to_bytes(8, "big").hex()


def world_make() -> Devnet:
    """The chain on which the libraries work: each has a sender with 100 FIL."""
    node = chain()
    node.mine(2)
    for who in SENDERS.values():
        send(node, OWNER, who.address, value=100 * FIL)
    return node


def words_of(name: str, who: Person, url: str, socket: str) -> list[str]:
    """The words of a library's script."""
    words = [f"{name}.mjs", url, socket, "0x" + who.key.private_key.hex(), RECEIVER]
    return [*words, MINER] if name == "ethers" else words


class Rows:
    """What was said, in order."""

    def __init__(self, node: Devnet) -> None:
        self.node = node
        self.client = ""
        self.rows: list[dict[str, Any]] = []

    def keep(self, exchange: Exchange) -> None:
        """Keep one exchange with the height at which it came; the chain stands still meanwhile."""
        row = {"client": self.client, "height": self.node.head.height, "status": exchange.status}
        said = {"body": json.loads(exchange.body), "answer": json.loads(exchange.text)}
        self.rows.append({**row, **said})


def main() -> None:
    """Record both libraries, one after the other."""
    node = world_make()
    folder = node_packages("eth")
    kept = Rows(node)
    with (
        Service(node, mining="paused") as service,
        Recorder(service.address[1], kept.keep, still=node.lock) as recorder,
    ):
        url, socket = f"http://{recorder.address}/rpc/v1", service.url.replace("http", "ws")
        for name, who in SENDERS.items():
            kept.client = name
            with mining(node.mine):
                node_end(node_begin(folder, *words_of(name, who, url, socket)))
    node.close()
    TARGET.write_text("".join(json.dumps(row, separators=(",", ":")) + "\n" for row in kept.rows))


if __name__ == "__main__":
    main()
