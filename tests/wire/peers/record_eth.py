"""Record what Ethereum's libraries send and get: `python -m tests.wire.peers.record_eth`; needs Node.js.

The clients talk to a devnet through a proxy that writes tests/golden/peers/eth_clients.jsonl.  Each row says
at which height of the chain its request came; so the same chain can be played again.
"""

from __future__ import annotations

import http.client
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from poolsite.devnet.service import Service
from poolsite.filecoin.amounts import FIL
from tests.peers.programs import node_begin, node_end, node_packages
from tests.unit.devnet.people import OWNER, Person, chain, person, send
from tests.wire.peers.record import mining

if TYPE_CHECKING:
    from poolsite.devnet.node import Devnet

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


class Recorder:
    """A proxy before a devnet that keeps what goes through."""

    def __init__(self, node: Devnet, port: int) -> None:
        self.rows: list[dict[str, Any]] = []
        self.client = ""
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            """Passes one request on, while the chain stands still."""

            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:  # the name that http.server calls
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with node.lock:
                    link = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
                    link.request("POST", self.path, body, {"Content-Type": "application/json"})
                    answer = link.getresponse()
                    text = answer.read()
                    link.close()
                    row = {"client": recorder.client, "height": node.head.height, "status": answer.status}
                    recorder.rows.append({**row, "body": json.loads(body), "answer": json.loads(text)})
                self.send_response(answer.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, format: str, *args: Any) -> None:  # the name of http.server
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/rpc/v1"
        self.thread = threading.Thread(target=self.server.serve_forever)

    def __enter__(self) -> Recorder:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def main() -> None:
    """Record both libraries, one after the other."""
    node = world_make()
    folder = node_packages("eth")
    with Service(node, mining="paused") as service, Recorder(node, service.address[1]) as recorder:
        for name, who in SENDERS.items():
            recorder.client = name
            with mining(node.mine):
                socket = service.url.replace("http", "ws")
                node_end(node_begin(folder, *words_of(name, who, recorder.url, socket)))
    node.close()
    TARGET.write_text("".join(json.dumps(row, separators=(",", ":")) + "\n" for row in recorder.rows))


if __name__ == "__main__":
    main()
