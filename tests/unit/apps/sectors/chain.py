"""A chain that knows some sectors, as far as the chain's steps of sectors ask for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from apps.chain.errors import NodeRefused
from apps.sectors.models import Sector
from poolsite.filecoin.cids import commr_cid
from poolsite.filecoin.message import Message


@dataclass
class SomeSectors:
    """Stands where the client of the nodes is; a test says what the chain has."""

    precommits: dict[int, tuple[int, bytes]] = field(default_factory=dict)
    """Number to epoch and commitment."""
    proven: dict[int, bytes] = field(default_factory=dict)
    refuses: dict[str, str] = field(default_factory=dict)
    """Miner to the words in which the node refuses every question about it."""
    trials: int = 0
    deposit: int = 1
    available: int = 0
    """attoFIL of every miner's balance that nothing has locked."""
    values: list[int] = field(default_factory=list)
    """What the messages carried that were tried."""

    @staticmethod
    def landing_form(message: Message) -> Message:
        """Return a message as the next epoch takes it: this chain knows one form."""
        return message

    def precommit(self, sector: Sector, *, epoch: int) -> None:
        """Let the chain have a sector's pre-commit."""
        self.precommits[sector.number] = (epoch, bytes(sector.comm_r or b""))

    def prove(self, sector: Sector) -> None:
        """Let the chain have proven a sector: its pre-commit is gone."""
        self.precommits.pop(sector.number, None)
        self.proven[sector.number] = bytes(sector.comm_r or b"")

    def call_many(self, calls: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        """Answer each question, or refuse it."""
        return [
            NodeRefused(1, self.refuses[str(params[0])])
            if str(params[0]) in self.refuses
            else getattr(self, f"do_{method}")(*params)
            for method, params in calls
        ]

    def do_StateSectorPreCommitInfo(self, _miner: str, number: int, _key: Any) -> Any:
        if number not in self.precommits:
            return None
        epoch, comm_r = self.precommits[number]
        cid = {"/": str(commr_cid(comm_r))}
        info = {"SealProof": 5, "SealRandEpoch": 90, "SealedCID": cid, "Expiration": 999_999}
        return {"PreCommitEpoch": epoch, "PreCommitDeposit": "1", "Info": info}

    def do_StateSectorGetInfo(self, _miner: str, number: int, _key: Any) -> Any:
        if number not in self.proven:
            return None
        cid = {"/": str(commr_cid(self.proven[number]))}
        return {"Activation": 120, "Expiration": 999_999, "InitialPledge": "1", "SealedCID": cid}

    def do_StateSectorPartition(self, _miner: str, _number: int, _key: Any) -> Any:
        return {"Deadline": 0, "Partition": 0}

    def do_StateGetActor(self, _miner: str, _key: Any) -> Any:
        return {"Head": {"/": str(commr_cid(bytes(32)))}, "Balance": "0", "Nonce": 0}

    def do_StateMinerPartitions(self, _miner: str, _deadline: int, _key: Any) -> Any:
        return None

    def do_StateMinerPreCommitDepositForPower(self, _miner: str, _info: Any, _key: Any) -> Any:
        return str(self.deposit)

    def do_StateReadState(self, _miner: str, _key: Any) -> Any:
        state = {"LockedFunds": "7", "PreCommitDeposits": "0", "InitialPledge": "0", "FeeDebt": "0"}
        return {"Balance": str(self.available + 7), "State": state}

    def do_StateCall(self, message: Any, _key: Any) -> Any:
        self.trials += 1
        self.values.append(int(message["Value"]))
        return {"MsgRct": {"ExitCode": 0}, "Error": ""}

    def state_get_randomness_from_tickets(self, _tag: int, _epoch: int, *, entropy: bytes, key: str) -> bytes:
        """Give every ticket."""
        assert entropy
        assert key
        return b"t" * 32
