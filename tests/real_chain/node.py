"""A real lotus node as its operator has it: RPC with an admin token, a wallet, perhaps a quicker clock."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Self

import httpx

from apps.chain.node.addresses import node_address
from poolsite.filecoin.amounts import FIL
from tests.acceptance.chain import Chain, NodeRefused

NODE_VARIABLE: Final = "REAL_CHAIN_NODE"
"""Environment variable: the address of the node's JSON-RPC, as `http://127.0.0.1:1234/rpc/v1`."""
TOKEN_VARIABLE: Final = "REAL_CHAIN_TOKEN_FILE"
"""Environment variable: a file with an admin token of the node, as lotus' `token` in its repository."""
CONTROL_VARIABLE: Final = "REAL_CHAIN_CONTROL"
"""Environment variable: where one decides when blocks are made (`/auto?ms=`, `/mine?n=&nulls=`); or empty."""

SLOW_MS: Final = 1500
"""Pace of an epoch in which the pool has to do something."""
FAST_MS: Final = 40
"""Pace of an epoch in which nothing is due."""
STEP_S: Final = 900
"""Patience for one step on a chain whose epochs take a second."""
LEAD: Final = 8
"""So many epochs before a window's challenge the pace slows down, and so many after its close it may rise."""


class RealNode(Chain):
    """The node whose chain the pool works on."""

    def __init__(self, url: str, *, token: str, control: str = "") -> None:
        super().__init__("")
        self.token = token
        self.text = f"{token}:{url}"
        self.address = node_address(self.text)
        self.url = self.address.http_url
        self.control = control.rstrip("/")

    @classmethod
    def named(cls) -> Self:
        """Return the node that the environment names."""
        url, token = os.environ.get(NODE_VARIABLE, ""), os.environ.get(TOKEN_VARIABLE, "")
        assert url, f"{NODE_VARIABLE} must name a real node: make real-chain NODE=url TOKEN_FILE=path"
        assert token, f"{TOKEN_VARIABLE} must name the file with its admin token"
        text = Path(token).read_text(encoding="ascii").strip()
        return cls(url, token=text, control=os.environ.get(CONTROL_VARIABLE, ""))

    @cached_property
    def client(self) -> httpx.Client:
        """The connection, with the token."""
        return httpx.Client(timeout=120, headers={"Authorization": f"Bearer {self.address.token}"})

    def send(
        self, to: str, *, fil: int = 0, method: int = 0, params: str | None = None, sender: str = ""
    ) -> str:
        """Send from a key of the node's wallet, its default one if none is named; return the message's id.

        Raise NodeRefused.
        """
        message = {
            "To": to,
            "From": sender or self.call("WalletDefaultAddress"),
            "Value": str(fil * FIL),
            "Method": method,
            "Params": params,
        }
        zero = {"GasLimit": 0, "GasFeeCap": "0", "GasPremium": "0", "Nonce": 0, "Version": 0}
        signed = self.call("MpoolPushMessage", message | zero, None)
        return str(signed["CID"]["/"])

    def receipt(self, cid: str) -> dict[str, Any]:
        """The receipt of a message once it is executed; empty before."""
        try:
            found = self.call("StateSearchMsg", [], {"/": cid}, -1, True)
        except NodeRefused:  # the node has not yet stored it
            return {}
        return dict(found["Receipt"]) if found else {}

    def pace(self, ms: int) -> None:
        """Set how long an epoch takes, where the node lets itself be told; 0: no blocks are made."""
        if self.control:
            httpx.get(f"{self.control}/auto", params={"ms": ms}, timeout=60).raise_for_status()

    def mine(self, count: int = 1, *, nulls: int = 0) -> int:
        """Have this many blocks made, each after so many null rounds; return the new height."""
        query = {"n": count, "nulls": nulls}
        answer = httpx.get(f"{self.control}/mine", params=query, timeout=60 + 5 * count)
        answer.raise_for_status()
        return int(answer.json()["height"])

    @contextmanager
    def halted(self) -> Iterator[None]:
        """Have no block made unless `mine` asks for it."""
        assert self.control, f"{CONTROL_VARIABLE} must say where one decides when blocks are made"
        self.pace(0)
        time.sleep(2 * SLOW_MS / 1000)  # one that was being made
        try:
            yield
        finally:
            self.pace(SLOW_MS)

    def pending(self, sender: str) -> dict[int, str]:
        """Return the ids of the messages that wait in the node's pool, by nonce."""
        own = self.call("StateAccountKey", sender, None)
        rows = self.call("MpoolPending", None)
        return {row["Message"]["Nonce"]: row["CID"]["/"] for row in rows if row["Message"]["From"] == own}

    def place_of(self, miner: str, number: int) -> tuple[int, int]:
        """Deadline and partition of a sector."""
        found = self.call("StateSectorPartition", miner, number, None)
        return int(found["Deadline"]), int(found["Partition"])

    def is_recovering(self, miner: str) -> bool:
        """Whether a sector of the miner is declared recovered."""
        return self.call("StateMinerRecoveries", miner, None) not in ([], [0], None)


class Hurry:
    """Set the chain's pace: quick between the windows of these deadlines, slow in them."""

    def __init__(self, node: RealNode, miner: str, *deadlines: int) -> None:
        self.node, self.miner, self.deadlines = node, miner, deadlines
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work, name="hurry", daemon=True)
        self._ms = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self.node.pace(SLOW_MS)

    def _work(self) -> None:
        while not self._ended.wait(0.2):
            ms = SLOW_MS if self._is_due() else FAST_MS
            if ms != self._ms:
                self.node.pace(ms)
                self._ms = ms

    def _is_due(self) -> bool:
        """Whether one of the windows is challenged, open, or closed just now."""
        now = self.node.deadline(self.miner)
        height, period, window = (
            int(now[name]) for name in ("CurrentEpoch", "WPoStProvingPeriod", "WPoStChallengeWindow")
        )
        lead = int(now["WPoStChallengeLookback"]) + LEAD
        opens = [int(now["PeriodStart"]) + deadline * window for deadline in self.deadlines]
        return any(
            first + step - lead <= height <= first + step + window + LEAD
            for first in opens
            for step in (-period, 0, period)
        )
