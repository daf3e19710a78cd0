"""Checks of blocks that a real node accepted, and of a real miner's deadlines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from poolsite.filecoin.address import address_parse
from poolsite.filecoin.block import BeaconEntry, BlockHeader, BlockMsg, messages_root
from poolsite.filecoin.codec import from_cbor, from_json, to_cbor
from poolsite.filecoin.deadlines import (
    current_deadline,
    deadline_from_json,
    deadline_info,
    deadline_to_json,
)
from poolsite.filecoin.election import (
    election_randomness,
    ticket_randomness,
    tipset_weight,
    vrf_verify,
    win_count,
)
from poolsite.filecoin.signature import bls_aggregate_verify, bls_verify
from poolsite.filecoin.tipset import Tipset, tipset_from_json


def accepted_blocks(exchanges: Any) -> int:
    """How many blocks the node took, all but the deliberately spoiled ones."""
    return sum(1 for x in exchanges if _is_submit(x) and "error" not in x["response"])


def _is_submit(exchange: Any) -> bool:
    return exchange["topic"] == "mining" and "SyncSubmitBlock" in exchange["request"]


def golden_mining(data: Any) -> Iterator[object]:
    """Each accepted block's proofs, win count, signature, roots and weight follow from its parent."""
    head: Tipset | None = None
    base: Any = None
    for exchange in data:
        if exchange["topic"] != "mining":
            continue
        request = json.loads(exchange["request"])
        result = json.loads(exchange["response"]).get("result")
        if request["method"] == "Filecoin.ChainHead":
            head = tipset_from_json(result)
        elif request["method"] == "Filecoin.MinerGetBaseInfo" and result is not None:
            base = result
        elif request["method"] == "Filecoin.SyncSubmitBlock" and "error" not in exchange["response"]:
            assert head is not None
            _block(request["params"][0], head=head, base=base)
            yield exchange


def _block(value: Any, *, head: Tipset, base: Any) -> None:
    block = from_json(BlockMsg, value)
    header = block.header
    assert from_cbor(BlockHeader, to_cbor(header)) == header
    assert header.parents == head.cids
    assert header.ticket is not None
    assert header.election_proof is not None
    assert header.block_sig is not None
    assert header.bls_aggregate is not None
    assert head.min_ticket is not None
    worker = address_parse(base["WorkerKey"])
    beacon = from_json(BeaconEntry, (base["BeaconEntries"] or [base["PrevBeaconEntry"]])[-1]).data
    draw = ticket_randomness(
        beacon, header.height, miner=header.miner, parent_ticket=head.min_ticket.vrf_proof
    )
    vrf_verify(worker, draw, header.ticket.vrf_proof)
    vrf_verify(
        worker, election_randomness(beacon, header.height, header.miner), header.election_proof.vrf_proof
    )
    power, total = int(base["MinerPower"]), int(base["NetworkPower"])
    assert win_count(header.election_proof.vrf_proof, power, total) == header.election_proof.win_count
    bls_verify(worker.payload, header.signing_bytes, header.block_sig.data)
    assert messages_root(block.bls_messages, block.secpk_messages) == header.messages
    if not block.bls_messages:
        bls_aggregate_verify(header.bls_aggregate, [], [])
    wins = [b.election_proof.win_count for b in head.blocks if b.election_proof]
    weight = tipset_weight(head.parent_weight, total_power=total, win_counts=wins)
    assert weight == header.parent_weight


def miner_diary(data: Any) -> Iterator[object]:
    """A real miner's deadline is the one that the period's start and the epoch give."""
    for row in data:
        if "deadline" not in row:  # some rows tell of money only
            continue
        info = deadline_from_json(row["deadline"])
        assert deadline_to_json(info) == row["deadline"]
        assert deadline_info(info.period_start, info.index, info.current_epoch, info.params) == info
        if info.is_open:
            assert current_deadline(row["ProvingPeriodStart"], info.current_epoch, info.params) == info
        yield row
