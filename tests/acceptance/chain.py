"""The chain as a stranger sees it: only the node's JSON-RPC, nothing of the pool."""

from __future__ import annotations

import base64
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import httpx

from poolsite.filecoin.actors.decode import params_decode
from poolsite.filecoin.bitfield import bitfield_from_json

PRECOMMIT_METHODS: Final = {28: "Sectors"}
"""PreCommitSectorBatch2 and the member of its parameters that lists the sectors."""

COMMIT_METHODS: Final = {34: "SectorActivations"}
"""ProveCommitSectors3."""

POST_METHOD: Final = 5
"""SubmitWindowedPoSt."""

BATCH: Final = 100
"""Questions in one HTTP request."""


class NodeRefused(Exception):
    """The node's own error."""


@dataclass(frozen=True, slots=True)
class Executed:
    """One message that the chain has executed."""

    height: int
    """Of the tipset whose parents carried it: there its receipt stands."""
    sender: str
    to: str
    method: int
    nonce: int
    params: bytes
    exit_code: int
    cid: str

    def numbers(self, methods: dict[int, str]) -> list[int]:
        """Sector numbers that this call of a miner's method names."""
        if self.method not in methods:
            return []
        params = params_decode("miner", self.method, self.params)
        return [int(entry["SectorNumber"]) for entry in params[methods[self.method]]]


class Chain:
    """One node."""

    def __init__(self, listen: str) -> None:
        self.url = f"http://{listen}/rpc/v1"

    @cached_property
    def client(self) -> httpx.Client:
        """The connection."""
        return httpx.Client(timeout=60)

    def call(self, method: str, *params: Any) -> Any:
        """Ask once.  Raises NodeRefused, httpx.TransportError."""
        return self.call_many([(method, list(params))])[0]

    def call_many(self, asks: list[tuple[str, list[Any]]]) -> list[Any]:
        """Ask for several things in few requests."""
        results: list[Any] = []
        for begin in range(0, len(asks), BATCH):
            body = [
                {"jsonrpc": "2.0", "id": at, "method": f"Filecoin.{method}", "params": params}
                for at, (method, params) in enumerate(asks[begin : begin + BATCH])
            ]
            answers = self.client.post(self.url, json=body).json()
            for answer in sorted(answers, key=lambda entry: int(entry["id"])):
                if "error" in answer:
                    raise NodeRefused(f"{body[answer['id']]['method']}: {answer['error']['message']}")
                results.append(answer.get("result"))
        return results

    def devnet(self, method: str, *params: Any) -> Any:
        """Have the small chain misbehave.  Raises NodeRefused, httpx.TransportError."""
        body = {"jsonrpc": "2.0", "id": 1, "method": f"Devnet.{method}", "params": list(params)}
        answer = self.client.post(self.url, json=body).json()
        if "error" in answer:
            raise NodeRefused(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def height(self) -> int:
        """The head's."""
        return int(self.call("ChainHead")["Height"])

    def executed(self, head: dict[str, Any] | None = None, *, since: int = 1) -> list[Executed]:
        """Every message below a head but the block producer's own, oldest first."""
        head = head or self.call("ChainHead")
        heights = range(since, int(head["Height"]) + 1)
        tipsets = self.call_many([("ChainGetTipSetByHeight", [at, head["Cids"]]) for at in heights])
        heads = {int(tipset["Height"]): tipset["Cids"][0] for tipset in tipsets}
        asks = [("ChainGetParentMessages", [cid]) for cid in heads.values()]
        asks += [("ChainGetParentReceipts", [cid]) for cid in heads.values()]
        answers = self.call_many(asks)
        rows = []
        for at, messages, receipts in zip(heads, answers[: len(heads)], answers[len(heads) :], strict=True):
            for entry, receipt in zip(messages or [], receipts or [], strict=True):
                message = entry["Message"]
                rows.append(
                    Executed(
                        height=at,
                        sender=self.identity(message["From"]),
                        to=self.identity(message["To"]),
                        method=int(message["Method"]),
                        nonce=int(message["Nonce"]),
                        params=base64.b64decode(message["Params"] or ""),
                        exit_code=int(receipt["ExitCode"]),
                        cid=entry["Cid"]["/"],
                    )
                )
        return rows

    def identity(self, address: str) -> str:
        """The id address of an actor, with f on any network; the address itself where the chain has none."""
        if address[1] == "0":
            return f"f{address[1:]}"
        if address not in self._identities:
            self._identities[address] = f"f{self.call('StateLookupID', address, None)[1:]}"
        return self._identities[address]

    @cached_property
    def _identities(self) -> dict[str, str]:
        return {}

    def nonce(self, address: str, head: dict[str, Any]) -> int:
        """The next nonce that the chain expects of an account at a head."""
        return int(self.call("StateGetActor", address, head["Cids"])["Nonce"])

    def active(self, miner: str) -> set[int]:
        """Numbers of the sectors that count: live, proven, not faulty."""
        return {int(row["SectorNumber"]) for row in self.call("StateMinerActiveSectors", miner, None) or []}

    def sectors(self, miner: str) -> set[int]:
        """Numbers of all sectors of a miner."""
        return {int(row["SectorNumber"]) for row in self.call("StateMinerSectors", miner, None, None) or []}

    def faulty(self, miner: str) -> set[int]:
        """Numbers of the faulty ones."""
        return set(bitfield_from_json(self.call("StateMinerFaults", miner, None) or [0]))

    def raw_power(self, miner: str) -> int:
        """Bytes of power that the network counts."""
        return int(self.call("StateMinerPower", miner, None)["MinerPower"]["RawBytePower"])

    def deadline(self, miner: str) -> dict[str, int]:
        """Where the miner stands in its proving period."""
        answer: dict[str, int] = self.call("StateMinerProvingDeadline", miner, None)
        return answer


def whole_history_require(chain: Chain, *, miner: str, numbers: set[int]) -> list[Executed]:
    """Require what must hold after any accident, from the chain alone.

    One pre-commit and one commit per number, contiguous nonces of each sender, all sectors active.
    """
    head = chain.call("ChainHead")
    executed = chain.executed(head)
    precommits: dict[int, list[Executed]] = defaultdict(list)
    commits: dict[int, list[Executed]] = defaultdict(list)
    nonces: dict[str, list[int]] = defaultdict(list)
    for row in executed:
        nonces[row.sender].append(row.nonce)
        if row.to != miner:
            continue
        for number in row.numbers(PRECOMMIT_METHODS):
            precommits[number].append(row)
        for number in row.numbers(COMMIT_METHODS):
            commits[number].append(row)
    assert set(precommits) == numbers, precommits
    assert set(commits) == numbers, commits
    for rows in (*precommits.values(), *commits.values()):
        assert [row.exit_code for row in rows] == [0], rows
    for sender, seen in nonces.items():
        assert seen == list(range(len(seen))), f"{sender} used the nonces {seen}"
        assert chain.nonce(sender, head) == len(seen)
    assert chain.active(miner) == numbers
    return executed
