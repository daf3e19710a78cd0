"""What the chain says about a miner, read out of a node's JSON: facts, partitions, sectors, numbers.

Source: lotus api/api_full.go StateMiner*; api types MinerInfo, MinerPower, Partition.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext

from apps.chain.errors import NodeRefused
from poolsite.filecoin.address import POWER_ACTOR, REWARD_ACTOR, address_format, address_parse
from poolsite.filecoin.bitfield import BitField, bitfield_from_json, bitfield_union
from poolsite.filecoin.cbor import BadCbor, decode
from poolsite.filecoin.cids import Cid, cid_from_json
from poolsite.filecoin.deadlines import DeadlineInfo, deadline_from_json
from poolsite.filecoin.sector import post_proof

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apps.chain.client import ChainClient


@dataclass(frozen=True, slots=True)
class Actor:
    """What StateGetActor says of a miner."""

    root: str
    """CID of its state."""
    balance: int


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


@dataclass(frozen=True, slots=True)
class PartitionFacts:
    """One partition's sectors at one tipset."""

    all_sectors: BitField
    live: BitField
    active: BitField
    faulty: BitField
    recovering: BitField


def address_named(value: Any) -> str:
    """Return an address; empty for none, which nodes write as null or `<empty>`."""
    is_named = isinstance(value, str) and value.startswith(("f", "t"))
    return address_format(address_parse(value)) if is_named else ""


def miner_facts(client: ChainClient, address: str, key: str) -> MinerFacts:
    """Fetch everything about a miner in one request.  Raises NodeRefused, NodeUnavailable."""
    tipset = _key_json(key)
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
    root = _root(actor)
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


def estimates_read(client: ChainClient, key: str) -> dict[str, int]:
    """Return the estimates of reward and power as `RewardEstimate` has them; empty if the node tells none.

    Raises NodeUnavailable.
    """
    tipset = _key_json(key)
    asked = (
        ("reward", REWARD_ACTOR, "ThisEpochRewardSmoothed"),
        ("power", POWER_ACTOR, "ThisEpochQAPowerSmoothed"),
    )
    answers = client.call_many([("StateReadState", [str(actor), tipset]) for _, actor, _ in asked])
    found: dict[str, int] = {}
    for (name, _, field), answer in zip(asked, answers, strict=True):
        if isinstance(answer, NodeRefused):
            return {}
        smoothed = answer["State"][field]
        found[f"{name}_position"] = int(smoothed["PositionEstimate"])
        found[f"{name}_velocity"] = int(smoothed["VelocityEstimate"])
    return found


def partitions_read(
    client: ChainClient, address: str, deadlines: Sequence[int], key: str
) -> dict[int, list[PartitionFacts]]:
    """Fetch the partitions of several deadlines in one request.  Raises NodeRefused, NodeUnavailable."""
    tipset = _key_json(key)
    answers = client.call_many(
        [("StateMinerPartitions", [address, deadline, tipset]) for deadline in deadlines]
    )
    result: dict[int, list[PartitionFacts]] = {}
    for deadline, answer in zip(deadlines, answers, strict=True):
        if isinstance(answer, NodeRefused):
            raise answer
        result[deadline] = [
            PartitionFacts(
                all_sectors=bitfield_from_json(row["AllSectors"]),
                live=bitfield_from_json(row["LiveSectors"]),
                active=bitfield_from_json(row["ActiveSectors"]),
                faulty=bitfield_from_json(row["FaultySectors"]),
                recovering=bitfield_from_json(row["RecoveringSectors"]),
            )
            for row in answer or []
        ]
    return result


def numbers_allocated(client: ChainClient, address: str, key: str | None = None) -> list[range]:
    """Return the sector numbers that the chain has ever given this miner, as ranges."""
    field = bitfield_from_json(client.call("StateMinerAllocated", address, _key_json(key)) or [0])
    return [range(start, end) for start, end in field.ranges]


def available_read(client: ChainClient, address: str, key: str) -> int:
    """Return what a miner may spend at once: what has vested since its last message does not count yet.

    Source: builtin-actors actors/miner/src/state.rs get_available_balance.  Raises NodeRefused.
    """
    answer = client.call_many([("StateReadState", [address, _key_json(key)])])[0]
    if isinstance(answer, NodeRefused):
        raise answer
    inner = answer.get("State") or {}
    names = ("LockedFunds", "PreCommitDeposits", "InitialPledge", "FeeDebt")
    if any(name not in inner for name in names):
        raise NodeRefused(0, gettext("it does not report the miner's funds"))
    return max(int(answer["Balance"]) - sum(int(inner[name]) for name in names), 0)


def deposits_locked(client: ChainClient, address: str, key: str) -> int | None:
    """Return what all pre-commits of a miner have locked, in attoFIL; None where the node does not tell.

    Source: builtin-actors miner state, whose invariant is that it is the sum over `pre_committed_sectors`.
    """
    try:
        state = client.call("StateReadState", address, _key_json(key))["State"]
        return int(state["PreCommitDeposits"])
    except (NodeRefused, KeyError, TypeError, ValueError):
        return None


def active_fields(
    client: ChainClient, address: str, deadlines: Sequence[int], key: str
) -> dict[int, BitField]:
    """Return the sectors of deadlines that StateMinerActiveSectors would list: live, proven, not faulty.

    Source: lotus node/impl/full/state.go StateMinerActiveSectors (`AllPartSectors` of `ActiveSectors`).
    """
    return _partition_fields(client, address, deadlines, key, "ActiveSectors")


def live_field(client: ChainClient, address: str, deadlines: int, key: str) -> BitField:
    """Return the proven sectors that neither expired nor were terminated, faulty ones included."""
    return bitfield_union(_partition_fields(client, address, range(deadlines), key, "LiveSectors").values())


def _partition_fields(
    client: ChainClient, address: str, deadlines: Sequence[int], key: str, name: str
) -> dict[int, BitField]:
    tipset = _key_json(key)
    answers = client.call_many([("StateMinerPartitions", [address, at, tipset]) for at in deadlines])
    fields = {}
    for deadline, answer in zip(deadlines, answers, strict=True):
        if isinstance(answer, NodeRefused):
            raise answer
        fields[deadline] = bitfield_union(bitfield_from_json(row[name]) for row in answer or [])
    return fields


def actors_read(client: ChainClient, addresses: Sequence[str], key: str) -> list[Actor | NodeRefused]:
    """Return each miner's actor; what the node refuses stands as its refusal.  Raises NodeUnavailable."""
    tipset = _key_json(key)
    answers = client.call_many([("StateGetActor", [address, tipset]) for address in addresses])
    return [
        answer if isinstance(answer, NodeRefused) else Actor(_root(answer), int(answer["Balance"]))
        for answer in answers
    ]


def deadline_roots(client: ChainClient, root: str) -> tuple[str, ...]:
    """Return the CIDs of a miner's deadlines, by index; none where the node does not give the object.

    Source: go-state-types builtin/v18/miner Deadlines (`Due` alone).  Raises NodeUnavailable.
    """
    try:
        due = decode(base64.b64decode(client.call("ChainReadObj", {"/": root})))[0]
    except (NodeRefused, BadCbor, TypeError, ValueError, IndexError):
        return ()
    is_list = isinstance(due, list) and all(isinstance(one, Cid) for one in due)
    return tuple(map(str, due)) if is_list else ()


def _root(actor: Any) -> str:
    return str(cid_from_json(actor["Head"]))


def _key_json(key: str | None) -> list[dict[str, str]]:
    return [{"/": word} for word in key.split()] if key else []


def _proof_number(value: Any) -> int:
    return int(post_proof(int(value)))
