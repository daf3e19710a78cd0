"""A real lotus node as its operator has it: RPC with an admin token, a wallet, perhaps a quicker clock."""

from __future__ import annotations

import os
import threading
from functools import cached_property
from typing import Any, Final, Self

import httpx

from apps.chain.addresses import node_address
from poolsite.filecoin.amounts import FIL
from tests.acceptance.chain import Chain, NodeRefused

NODE_VARIABLE: Final = "REAL_NODE"
"""Environment variable: the node as CHAIN_URLS would have it, with an admin token."""
PACE_VARIABLE: Final = "REAL_NODE_PACE"
"""Environment variable: an address that sets an epoch's milliseconds, with `{ms}` in it; may be empty."""

SLOW_MS: Final = 1500
"""Pace of an epoch in which the pool has to do something."""
FAST_MS: Final = 40
"""Pace of an epoch in which nothing is due."""
LEAD: Final = 8
"""So many epochs before a window's challenge the pace slows down, and so many after its close it may rise."""


class RealNode(Chain):
    """The node whose chain the pool works on."""

    def __init__(self) -> None:
        text = os.environ.get(NODE_VARIABLE, "")
        assert text, (
            f"{NODE_VARIABLE} must name a real node: make real-node NODE=token:http://host:1234/rpc/v1"
        )
        super().__init__("")
        self.text, self.address = text, node_address(text)
        self.url = self.address.http_url
        self.pace_url = os.environ.get(PACE_VARIABLE, "")

    @cached_property
    def client(self) -> httpx.Client:
        """The connection, with the token."""
        return httpx.Client(timeout=120, headers={"Authorization": f"Bearer {self.address.token}"})

    def send(self, to: str, *, fil: int = 0, method: int = 0, params: str | None = None) -> str:
        """Send from the node's own wallet; gives the message's id.  Raises NodeRefused."""
        message = {
            "To": to,
            "From": self.call("WalletDefaultAddress"),
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
        """Set how long an epoch takes, where the node lets itself be told."""
        if self.pace_url:
            httpx.get(self.pace_url.format(ms=ms), timeout=60).raise_for_status()

    def place_of(self, miner: str, number: int) -> tuple[int, int]:
        """Deadline and partition of a sector."""
        found = self.call("StateSectorPartition", miner, number, None)
        return int(found["Deadline"]), int(found["Partition"])

    def is_recovering(self, miner: str) -> bool:
        """Whether a sector of the miner is declared recovered."""
        return self.call("StateMinerRecoveries", miner, None) not in ([], [0], None)


class Hurry:
    """Lets epochs pass quickly between the windows of one deadline, and slowly in them."""

    def __init__(self, node: RealNode, miner: str, deadline: int) -> None:
        self.node, self.miner, self.deadline = node, miner, deadline
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
        """Whether the deadline's window is challenged, open, or closed just now."""
        now = self.node.deadline(self.miner)
        height, period = int(now["CurrentEpoch"]), int(now["WPoStProvingPeriod"])
        opens = int(now["PeriodStart"]) + self.deadline * int(now["WPoStChallengeWindow"])
        lead = int(now["WPoStChallengeLookback"]) + LEAD
        ends = int(now["WPoStChallengeWindow"]) + LEAD
        return any(opens + step - lead <= height <= opens + step + ends for step in (-period, 0, period))
