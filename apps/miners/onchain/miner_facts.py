"""Reading what the chain says of one miner: addresses, sizes, power, balances, proving."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from apps.chain.errors import NodeRefused
from apps.chain.node.tipsets import key_to_json
from apps.miners.onchain.actors import actor_root
from poolsite.filecoin.address import address_format, address_parse
from poolsite.filecoin.cids import cid_from_json
from poolsite.filecoin.deadlines import DeadlineInfo, deadline_from_json
from poolsite.filecoin.sector import post_proof

if TYPE_CHECKING:
    from apps.chain.node.client import ChainClient


@dataclass(frozen=True, slots=True)
class MinerFacts:
    """A miner's actor at one tipset."""

    state_root: str
    deadlines_root: str
    """CID of all its deadlines; the state's where the node does not give the inner state."""
    owner_id: str
    worker_id: str
    control_ids: tuple[str, ...]
    beneficiary: str
    new_worker: str
    """That was asked for and is not confirmed yet; empty if there is none."""
    new_worker_epoch: int | None
    peer_id: str
    post_proof: int
    sector_size: int
    partition_sectors: int
    raw_power: int
    qa_power: int
    has_min_power: bool
    balance: int
    available: int
    locked: int
    pledge: int
    deposits: int
    fee_debt: int
    live: int
    active: int
    faulty: int
    deadline: DeadlineInfo


def address_named(value: Any) -> str:
    """Return an address; empty for none, which nodes write as null or `<empty>`."""
    is_named = isinstance(value, str) and value.startswith(("f", "t"))
    return address_format(address_parse(value)) if is_named else ""


def miner_facts(client: ChainClient, address: str, key: str) -> MinerFacts:
    """Fetch everything about a miner in one request.  Raises NodeRefused, NodeUnavailable."""
    tipset = key_to_json(key)
    answers = client.call_many(
        [
            ("StateMinerInfo", [address, tipset]),
            ("StateMinerPower", [address, tipset]),
            ("StateGetActor", [address, tipset]),
            ("StateMinerAvailableBalance", [address, tipset]),
            ("StateReadState", [address, tipset]),
            ("StateMinerSectorCount", [address, tipset]),
            ("StateMinerProvingDeadline", [address, tipset]),
        ]
    )
    # Not every node gives an actor's inner state; the money in it is then unknown and shown as 0.
    inner = {} if isinstance(answers[4], NodeRefused) else answers[4]["State"]
    for answer in (*answers[:4], *answers[5:]):
        if isinstance(answer, NodeRefused):
            raise answer
    info, power, actor, available, _, count, deadline = answers
    own = power["MinerPower"]
    root = actor_root(actor)
    new_worker = address_named(info.get("NewWorker"))
    return MinerFacts(
        state_root=root,
        deadlines_root=str(cid_from_json(inner.get("Deadlines")) or root),
        owner_id=info["Owner"],
        worker_id=info["Worker"],
        control_ids=tuple(info["ControlAddresses"] or ()),
        beneficiary=info.get("Beneficiary") or info["Owner"],
        new_worker=new_worker,
        new_worker_epoch=int(info.get("WorkerChangeEpoch", -1)) if new_worker else None,
        peer_id=info.get("PeerId") or "",
        post_proof=_proof_number(info["WindowPoStProofType"]),
        sector_size=int(info["SectorSize"]),
        partition_sectors=int(info["WindowPoStPartitionSectors"]),
        raw_power=int(own["RawBytePower"]),
        qa_power=int(own["QualityAdjPower"]),
        has_min_power=bool(power["HasMinPower"]),
        balance=int(actor["Balance"]),
        available=int(available),
        locked=int(inner.get("LockedFunds", 0)),
        pledge=int(inner.get("InitialPledge", 0)),
        deposits=int(inner.get("PreCommitDeposits", 0)),
        fee_debt=int(inner.get("FeeDebt", 0)),
        live=int(count["Live"]),
        active=int(count["Active"]),
        faulty=int(count["Faulty"]),
        deadline=deadline_from_json(deadline),
    )


def _proof_number(value: Any) -> int:
    return int(post_proof(int(value)))
