"""What the chain says about miners, read out of a node's JSON: actors, funds, sector numbers, estimates.

Source: lotus api/api_full.go StateMiner*; api types MinerInfo, MinerPower, Partition.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from apps.chain.errors import NodeRefused
from apps.chain.node.tipsets import key_to_json
from apps.core.marked_texts import gettext
from poolsite.filecoin.address import POWER_ACTOR, REWARD_ACTOR
from poolsite.filecoin.bitfield import bitfield_from_json
from poolsite.filecoin.cids import cid_from_json

if TYPE_CHECKING:
    from apps.chain.node.client import ChainClient


@dataclass(frozen=True, slots=True)
class Actor:
    """What StateGetActor says of a miner."""

    root: str
    """CID of its state."""
    balance: int


def estimates_read(client: ChainClient, key: str) -> dict[str, int]:
    """Return the estimates of reward and power as `RewardEstimate` has them; empty if the node reports none.

    With the circulating supply, where the node tells it.

    Raises NodeUnavailable.
    """
    tipset = key_to_json(key)
    requests = (
        ("reward", REWARD_ACTOR, "ThisEpochRewardSmoothed"),
        ("power", POWER_ACTOR, "ThisEpochQAPowerSmoothed"),
    )
    calls = [("StateReadState", [str(actor), tipset]) for _, actor, _ in requests]
    *answers, supply = client.call_many([*calls, ("StateVMCirculatingSupplyInternal", [tipset])])
    found: dict[str, int] = {}
    if not isinstance(supply, NodeRefused):
        found["circulating"] = int(supply["FilCirculating"])
    for (name, _, field), answer in zip(requests, answers, strict=True):
        if isinstance(answer, NodeRefused):
            return {}
        smoothed = answer["State"][field]
        found[f"{name}_position"] = int(smoothed["PositionEstimate"])
        found[f"{name}_velocity"] = int(smoothed["VelocityEstimate"])
    return found


def numbers_allocated(client: ChainClient, address: str, key: str | None = None) -> list[range]:
    """Return the sector numbers that the chain has ever given this miner, as ranges."""
    field = bitfield_from_json(client.call("StateMinerAllocated", address, key_to_json(key)) or [0])
    return [range(start, end) for start, end in field.ranges]


def available_read(client: ChainClient, address: str, key: str) -> int:
    """Return what a miner may spend at once: what has vested since its last message does not count yet.

    Source: builtin-actors actors/miner/src/state.rs get_available_balance.  Raises NodeRefused.
    """
    answer = client.call_many([("StateReadState", [address, key_to_json(key)])])[0]
    if isinstance(answer, NodeRefused):
        raise answer
    inner = answer.get("State") or {}
    names = ("LockedFunds", "PreCommitDeposits", "InitialPledge", "FeeDebt")
    if any(name not in inner for name in names):
        raise NodeRefused(0, gettext("it does not report the miner's funds"))
    return max(int(answer["Balance"]) - sum(int(inner[name]) for name in names), 0)


def deposits_locked(client: ChainClient, address: str, key: str) -> int | None:
    """Return what all pre-commits of a miner have locked, in attoFIL; None where the node does not report it.

    Source: builtin-actors miner state, whose invariant is that it is the sum over `pre_committed_sectors`.
    """
    try:
        state = client.call("StateReadState", address, key_to_json(key))["State"]
        return int(state["PreCommitDeposits"])
    except (NodeRefused, KeyError, TypeError, ValueError):
        return None


def actors_read(client: ChainClient, addresses: Sequence[str], key: str) -> list[Actor | NodeRefused]:
    """Return each miner's actor; what the node refuses stands as its refusal.  Raises NodeUnavailable."""
    tipset = key_to_json(key)
    answers = client.call_many([("StateGetActor", [address, tipset]) for address in addresses])
    return [
        answer if isinstance(answer, NodeRefused) else Actor(actor_root(answer), int(answer["Balance"]))
        for answer in answers
    ]


def actor_root(actor: Any) -> str:
    """Return the CID of an actor's state, from the node's JSON of the actor."""
    return str(cid_from_json(actor["Head"]))
