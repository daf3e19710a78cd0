"""What must hold of miners after any accidents, from the node's JSON-RPC: windows, wins, blocks, messages.

Nothing of the pool's rows is read.  The worker's key is lent to draw each epoch's election again.
"""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from poolsite.filecoin.actors.decode import params_decode
from poolsite.filecoin.address import address_parse
from poolsite.filecoin.bitfield import bitfield_from_json
from poolsite.filecoin.election import election_randomness, win_count
from poolsite.filecoin.keys import KeyInfo, key_sign
from tests.acceptance.chain import COMMIT_METHODS, POST_METHOD, PRECOMMIT_METHODS, Chain, Executed

ONCE_METHODS: Final = {**PRECOMMIT_METHODS, **COMMIT_METHODS}
"""What names a sector only once in its life."""


@dataclass(frozen=True, slots=True)
class Window:
    """One deadline of one proving period of a miner that had live sectors when it opened."""

    miner: str
    index: int
    open: int
    close: int
    missed: frozenset[int]
    """Sectors that were good when it opened, and faulty when it had closed."""
    live: int


@dataclass(frozen=True, slots=True)
class Win:
    """An epoch at which a miner's lot won."""

    miner: str
    epoch: int
    base: int
    """Height of the tipset that it builds on."""
    blocks: tuple[str, ...]
    """CIDs of the miner's blocks in the chain's tipset of this epoch."""


class ChainAudit:
    """Looks at some miners from an epoch on."""

    def __init__(self, chain: Chain, miners: Iterable[str], worker: KeyInfo) -> None:
        self.chain = chain
        self.miners = tuple(miners)
        self.worker = worker
        self.tipsets: dict[int, dict[str, Any]] = {}
        """The chain's tipset at each epoch, or the last one before it."""

    def read(self, first: int, last: int) -> None:
        """Read the tipsets of these epochs as the head's chain has them."""
        key = self.chain.call("ChainHead")["Cids"]
        heights = range(max(first, 0), last + 1)
        answers = self.chain.call_many([("ChainGetTipSetByHeight", [at, key]) for at in heights])
        self.tipsets.update(zip(heights, answers, strict=True))

    def tipset(self, epoch: int) -> dict[str, Any]:
        """The tipset of an epoch, or the last one before it."""
        if epoch not in self.tipsets:
            self.read(epoch, epoch)
        return self.tipsets[epoch]

    def next_tipset(self, epoch: int) -> dict[str, Any]:
        """The first tipset that is not before an epoch: it shows the state of everything before."""
        while int(self.tipset(epoch)["Height"]) != epoch:
            epoch += 1
        return self.tipset(epoch)

    def time_of(self, epoch: int) -> float:
        """UNIX seconds of an epoch's tipset, or of the last one before it."""
        return float(self.tipset(epoch)["Blocks"][0]["Timestamp"])

    @cached_property
    def _grid(self) -> dict[str, dict[str, int]]:
        return {miner: self.chain.deadline(miner) for miner in self.miners}

    # Windows

    def windows(self, first: int, last: int) -> list[Window]:
        """All windows that close at an epoch of these, the last of which the chain has passed."""
        found = []
        for miner in self.miners:
            grid = self._grid[miner]
            start, length = int(grid["PeriodStart"]), int(grid["WPoStChallengeWindow"])
            count = int(grid["WPoStPeriodDeadlines"])
            for closes in range(first + (start - first) % length, last + 1, length):
                opens = closes - length
                found.append(self._window(miner, (opens - start) // length % count, opens, closes))
        return [window for window in found if window.live]

    def _window(self, miner: str, index: int, opens: int, closes: int) -> Window:
        keys = [self.next_tipset(opens)["Cids"], self.next_tipset(closes)["Cids"]]
        asked = [("StateMinerPartitions", [miner, index, key]) for key in keys]
        before, after = self.chain.call_many(asked)
        bad = _numbers(before, "FaultySectors")
        return Window(
            miner=miner,
            index=index,
            open=opens,
            close=closes,
            missed=frozenset(_numbers(after, "FaultySectors") - bad),
            live=len(_numbers(before, "LiveSectors") - bad),
        )

    # Wins and blocks

    def wins(self, first: int, last: int) -> list[Win]:
        """Draw each miner's lot of these epochs again."""
        asked = [(miner, epoch) for miner in self.miners for epoch in range(first, last + 1)]
        infos = self.chain.call_many(
            [("MinerGetBaseInfo", [miner, epoch, self.tipset(epoch - 1)["Cids"]]) for miner, epoch in asked]
        )
        return [
            Win(miner, epoch, int(self.tipset(epoch - 1)["Height"]), self.blocks(miner, epoch))
            for (miner, epoch), info in zip(asked, infos, strict=True)
            if info is not None and info["EligibleForMining"] and self._has_won(miner, epoch, info)
        ]

    def _has_won(self, miner: str, epoch: int, info: dict[str, Any]) -> bool:
        entry = (info["BeaconEntries"] or [info["PrevBeaconEntry"]])[-1]
        drawn = election_randomness(base64.b64decode(entry["Data"]), epoch, address_parse(miner))
        vrf = key_sign(self.worker, drawn).data
        return win_count(vrf, int(info["MinerPower"]), int(info["NetworkPower"])) > 0

    def blocks(self, miner: str, epoch: int) -> tuple[str, ...]:
        """The miner's blocks that the chain has at an epoch."""
        tipset = self.tipset(epoch)
        if int(tipset["Height"]) != epoch:
            return ()
        pairs = zip(tipset["Cids"], tipset["Blocks"], strict=True)
        return tuple(cid["/"] for cid, block in pairs if block["Miner"] == miner)

    # Messages

    def messages_require(self) -> list[Executed]:
        """Require that no nonce is missing or used twice, and nothing was sent twice."""
        head = self.chain.call("ChainHead")
        executed = self.chain.executed(head)
        nonces: dict[str, list[int]] = defaultdict(list)
        named: dict[tuple[str, int, int], list[Executed]] = defaultdict(list)
        proofs: dict[tuple[str, int, int, int], list[Executed]] = defaultdict(list)
        for row in executed:
            nonces[row.sender].append(row.nonce)
            if row.to not in self.miners:
                continue
            for number in row.numbers(ONCE_METHODS):
                named[row.to, row.method, number].append(row)
            if row.method == POST_METHOD:
                for place in self._places(row):
                    proofs[row.to, *place].append(row)
        for sender, seen in nonces.items():
            assert seen == list(range(len(seen))), f"{sender} used the nonces {seen}"
            assert self.chain.nonce(sender, head) == len(seen)
        twice = [rows for rows in (*named.values(), *proofs.values()) if len(rows) > 1]
        assert not twice, f"sent twice: {twice}"
        return executed

    def _places(self, row: Executed) -> list[tuple[int, int, int]]:
        """The window and the partitions that a proof was for."""
        params, grid = params_decode("miner", row.method, row.params), self._grid[row.to]
        opened = int(grid["PeriodStart"]) + int(params["Deadline"]) * int(grid["WPoStChallengeWindow"])
        period = (row.height - 1 - opened) // int(grid["WPoStProvingPeriod"])
        return [
            (period, int(params["Deadline"]), int(partition["Index"])) for partition in params["Partitions"]
        ]


def _numbers(partitions: list[dict[str, Any]] | None, member: str) -> set[int]:
    return {number for one in partitions or [] for number in bitfield_from_json(one[member])}
