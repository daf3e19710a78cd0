"""Reading the partitions of miners' deadlines, and which sectors live in them."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from apps.chain.errors import NodeRefused
from apps.chain.node.calls import partitions_call
from poolsite.filecoin.bitfield import BitField, bitfield_from_json, bitfield_union
from poolsite.filecoin.cbor import BadCbor, decode
from poolsite.filecoin.cids import Cid

if TYPE_CHECKING:
    from apps.chain.node.client import ChainClient


@dataclass(frozen=True, slots=True)
class PartitionFacts:
    """One partition's sectors at one tipset."""

    all_sectors: BitField
    live: BitField
    active: BitField
    faulty: BitField
    recovering: BitField


def partitions_read(
    client: ChainClient, address: str, deadlines: Sequence[int], key: str
) -> dict[int, list[PartitionFacts]]:
    """Fetch the partitions of several deadlines.  Raises NodeRefused, NodeUnavailable."""
    answers = client.call_many([partitions_call(address, deadline, key) for deadline in deadlines])
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
    answers = client.call_many([partitions_call(address, at, key) for at in deadlines])
    fields = {}
    for deadline, answer in zip(deadlines, answers, strict=True):
        if isinstance(answer, NodeRefused):
            raise answer
        fields[deadline] = bitfield_union(bitfield_from_json(row[name]) for row in answer or [])
    return fields


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
