"""A client of a miner's deals whose program is go-libp2p's: it proposes, and asks how far its deals are."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from poolsite.filecoin.deals import MIN_DURATION
from poolsite.filecoin.keys import KeyInfo, key_address, key_generate
from poolsite.wire.proposals import PUBLISHING_RULE, rule_text
from tests.acceptance.pool import RunningPool
from tests.acceptance.soak import signer_verb
from tests.integration.pools import wait_until
from tests.mk20 import sized
from tests.servers import port_free

CLIENT_S: Final = 120
DOOR_S: Final = 60
ACTIVE_S: Final = 300
COLLATERAL: Final = 10**15
"""attoFIL of each deal."""
AUTHORIZATION: Final = "Bearer of the data"


class Files(BaseHTTPRequestHandler):
    """The client's web server: its data, for who shows the header that the proposal names."""

    is_open: Final = threading.Event()
    """Cleared while it keeps everybody waiting."""
    asked: Final[list[tuple[str, str]]] = []

    data: Final[dict[str, bytes]] = {}
    """The bytes by their path."""

    def do_GET(self) -> None:
        self.asked.append((self.path, self.headers.get("Authorization", "")))
        self.is_open.wait(CLIENT_S)
        data = self.data.get(self.path)
        is_allowed = self.headers.get("Authorization") == AUTHORIZATION
        self.send_response(200 if data and is_allowed else 403)
        self.send_header("Content-Length", str(len(data or b"")))
        self.end_headers()
        if data and is_allowed:
            self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""


class DealClient:
    """A key that proposes deals to one miner of a pool."""

    start_epochs = 900
    """Epochs until the deals start: on a devnet of one second a farm seals in a minute."""

    def __init__(self, pool: RunningPool, program: Path, miner: str) -> None:
        self.pool, self.program, self.miner, self.port = pool, program, miner, port_free()
        self.key: KeyInfo = key_generate("secp256k1")
        self.client = str(key_address(self.key))

    def market_open(self) -> None:
        """Allow the signer to publish deals, and open the miner's door."""
        wished = self.pool.base / "wished.toml"
        wished.write_text((self.pool.var / "signer" / "policy.toml").read_text() + rule_text(PUBLISHING_RULE))
        signer_verb(self.pool, "policy", "--take", str(wished), "--by", "test")
        door = {"takes_libp2p": True, "libp2p_port": self.port}
        wanted = {"is_open": True, "serves_data": True, "publish_wait": 0, **door}
        answer = self.pool.ask("PATCH", f"/api/v1/miners/{self.miner}/market", json=wanted)
        assert answer.status_code == 200, answer.text
        self.address = self.door()
        """Address that clients connect to: they check its peer id."""

    def door(self) -> str:
        """The multiaddress of the door, once it answers."""
        peer: list[str] = []

        def is_open() -> bool:
            door = self.pool.read(f"/api/v1/miners/{self.miner}/market")["door"]
            peer[:] = [door["peer_id"]]
            return bool(door["is_up"])

        wait_until(is_open, within_s=DOOR_S, what=self.pool.diagnosis)
        return f"/ip4/127.0.0.1/tcp/{self.port}/p2p/{peer[0]}"

    def door_host(self) -> str:
        """The machine that reported the door last."""
        return str(self.pool.read(f"/api/v1/miners/{self.miner}/market")["door"]["host"])

    def is_listening(self) -> bool:
        """Whether a process has the door's port."""
        with socket.socket() as link:
            return link.connect_ex(("127.0.0.1", self.port)) == 0

    def kill(self) -> None:
        """End the process of the door as kill -9 does; the supervisor starts another."""
        self.pool.kill("deals")
        wait_until(lambda: not self.is_listening(), within_s=DOOR_S, what="a door that is shut")

    def order(self, data: bytes, url: str, **changes: Any) -> dict[str, Any]:
        start = self.pool.chain.height() + self.start_epochs
        return {
            **{"Key": self.key.private_key.hex(), "Provider": self.miner, "UUID": str(uuid4()), "Label": "a"},
            **{"Piece": str(sized(data).cid), "PieceSize": sized(data).padded_size, "Size": len(data)},
            **{"URL": url, "Headers": {"Authorization": AUTHORIZATION}, "Verified": False},
            **{"Start": start, "End": start + MIN_DURATION, "Price": "1000", "Collateral": str(COLLATERAL)},
        } | changes

    def begin(self, order: dict[str, Any]) -> subprocess.Popen[str]:
        """Start go-libp2p, which proposes a deal and asks for its status."""
        wait_until(self.is_listening, within_s=DOOR_S, what=self.pool.diagnosis)
        words = [str(self.program), self.address, "deal", json.dumps(order)]
        return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def propose(self, order: dict[str, Any]) -> dict[str, Any]:
        """Return what the client was answered, by step."""
        client = self.begin(order)
        text, _ = client.communicate(timeout=CLIENT_S)
        assert client.returncode == 0, text
        return {row["step"]: row for row in map(json.loads, text.splitlines())}

    def state(self, order: dict[str, Any]) -> str:
        """Return the state of a deal; empty if there is none."""
        sql = "select state from market_deal where uuid = %s and state <> 'REFUSED'"
        rows = self.pool.rows_of(sql, order["UUID"])
        assert len(rows) <= 1
        return str(rows[0][0]) if rows else ""

    def wait_state(self, *orders: dict[str, Any], state: str, within_s: float = ACTIVE_S) -> float:
        """Seconds until deals are that far."""
        return wait_until(
            lambda: all(self.state(order) == state for order in orders),
            within_s=within_s,
            what=lambda: f"{state}: {self.pool.read('/api/v1/deals')}\n{self.pool.diagnosis()}",
        )
