"""Checks of blocks, deadlines, gas, base fee and money."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from poolsite.filecoin.amt import amt_root_of_cids
from poolsite.filecoin.block import BlockHeader, BlockMsg, MsgMeta, messages_root, receipts_root
from poolsite.filecoin.cids import cid_of_cbor
from poolsite.filecoin.codec import from_cbor, from_json, to_cbor, to_json
from poolsite.filecoin.deadlines import (
    ProvingParams,
    deadline_from_json,
    deadline_info,
    deadline_to_json,
)
from poolsite.filecoin.epochs import Quantization
from poolsite.filecoin.gas import (
    GasBid,
    base_fee_by_premium,
    base_fee_by_use,
    base_fee_next,
    gas_outputs,
    premium_at_target,
)
from poolsite.filecoin.message import receipt_from_cbor, receipt_from_json, receipt_to_cbor, receipt_to_json
from poolsite.filecoin.pledge import (
    daily_fee,
    fault_fee,
    initial_pledge,
    pre_commit_deposit,
    termination_fee,
)
from poolsite.filecoin.power import Estimate, quality_power, sector_quality
from poolsite.filecoin.tipset import (
    tipset_key_from_bytes,
    tipset_key_from_json,
    tipset_key_to_cbor,
    tipset_key_to_json,
)
from tests.unit.filecoin.golden.files import alike

DAY = 2880


def blocks(data: Any) -> Iterator[object]:
    for case in data["blocks"]:
        header = from_json(BlockHeader, case["header"])
        raw = bytes.fromhex(case["cbor"])
        assert to_cbor(header) == raw
        assert from_cbor(BlockHeader, raw) == header
        assert str(header.cid) == case["cid"]
        assert header.signing_bytes.hex() == case["signing_bytes"]
        assert alike(to_json(header), case["header"])
        meta = from_cbor(MsgMeta, bytes.fromhex(case["msgmeta_cbor"]))
        assert str(meta.cid) == case["msgmeta_cid"]
        block = from_cbor(BlockMsg, bytes.fromhex(case["blockmsg_cbor"]))
        assert to_cbor(block).hex() == case["blockmsg_cbor"]
        assert str(messages_root(block.bls_messages, block.secpk_messages)) == case["msgmeta_cid"]
        yield case
    for case in data["receipts"]:
        receipt = receipt_from_cbor(bytes.fromhex(case["cbor"]))
        assert receipt_to_cbor(receipt).hex() == case["cbor"]
        assert alike(receipt_to_json(receipt), case["receipt"])
        assert alike(receipt_to_json(receipt_from_json(case["receipt"])), case["receipt"])
        yield case
    first = [receipt_from_cbor(bytes.fromhex(case["cbor"])) for case in data["receipts"][:3]]
    assert str(receipts_root(first)) == data["receipts_amt_root_first3"]
    yield "receipts_amt_root_first3"
    for case in data["amt_v0_bitwidth3"]:
        items = [cid_of_cbor(f"amt item {place}".encode()) for place in range(case["n"])]
        assert str(amt_root_of_cids(items)) == case["root"]
        yield case
    case = data["tipset_key"]
    key = tipset_key_from_json(case["json"])
    assert bytes(key).hex() == case["bytes"]
    assert tipset_key_from_bytes(bytes.fromhex(case["bytes"])) == key
    assert tipset_key_to_cbor(key).hex() == case["cbor"]
    assert str(key.cid) == case["cid"]
    assert tipset_key_to_json(key) == case["json"]
    yield case


def deadlines(data: Any) -> Iterator[object]:
    params = ProvingParams(deadlines=48, window=60, lookback=20, fault_cutoff=70)
    for case in data["dline"]:
        info = deadline_info(case["period_start"], case["index"], case["current"], params)
        assert deadline_to_json(info) == case["info"]
        assert deadline_to_json(deadline_from_json(case["info"])) == case["info"]
        assert deadline_to_json(info.next_not_elapsed()) == case["next_not_elapsed"]
        for predicate in ("is_open", "has_elapsed", "fault_cutoff_passed"):
            assert getattr(info, predicate) == case[predicate], predicate
        yield case
    for case in data["quantize_up"]:
        assert Quantization(unit=case["unit"], offset=case["offset"]).up(case["e"]) == case["up"]
        yield case


def gas(data: Any) -> Iterator[object]:
    for case in data:
        outputs = gas_outputs(
            gas_used=case["gas_used"],
            gas_limit=case["gas_limit"],
            base_fee=case["base_fee"],
            fee_cap=case["fee_cap"],
            premium=case["premium"],
        )
        assert outputs.to_json() == case["out"]
        yield case


def basefee(data: Any) -> Iterator[object]:
    for case in data["utilization"]:
        limits, blocks_, fee = case["limit_used"], case["blocks"], case["base_fee"]
        after = base_fee_by_use(fee, gas_limits=limits, blocks=blocks_)
        before = base_fee_by_use(fee, gas_limits=limits, blocks=blocks_, before_smoke=True)
        assert (before, after) == (case["next_pre_smoke"], case["next_post_smoke"])
        yield case
    for case in data["lotus_run"]["cases"]:
        fee = base_fee_by_use(int(case["base_fee"]), gas_limits=case["limit_used"], blocks=case["blocks"])
        assert str(fee) == case["next"]
        yield case
    for case in data["weighted_select"]:
        bids = list(zip(case["premiums"], case["limits"], strict=True))
        assert premium_at_target(bids) == case["premium_at_index"]
        yield case
    for case in data["premium_next"]:
        assert base_fee_by_premium(case["base_fee"], case["premium_p"]) == case["next"]
        yield case


def monies(data: Any) -> Iterator[object]:
    for case in data["monies"]:
        reward, power = (
            Estimate(int(case[name]["PositionEstimate"]), int(case[name]["VelocityEstimate"]))
            for name in ("reward", "qa_network")
        )
        quality, circulating = int(case["qa_sector"]), int(case["circulating"])
        fee = fault_fee(reward, power, quality)
        assert str(pre_commit_deposit(reward, power, quality)) == case["precommit_deposit"]
        assert str(fee) == case["fault_fee_day"]
        assert str(daily_fee(quality, circulating)) == case["daily_fee"]
        for ramp in case["initial_pledge"]:
            pledge = initial_pledge(
                reward,
                power,
                quality,
                baseline_power=int(case["baseline"]),
                circulating_supply=circulating,
                epochs_since_ramp=ramp["since_ramp"],
                ramp_epochs=ramp["ramp_duration"],
            )
            assert str(pledge) == ramp["pledge"]
            young = termination_fee(pledge, age=10 * DAY, sector_fault_fee=fee)
            old = termination_fee(pledge, age=200 * DAY, sector_fault_fee=fee)
            assert str(young) == ramp["termination_fee_age_10d"]
            assert str(old) == ramp["termination_fee_age_200d"]
            yield ramp
        yield case
    for case in data["qa_power"]:
        size, duration, weight = case["size"], case["duration"], int(case["verified_weight"])
        assert str(sector_quality(size, duration=duration, verified_weight=weight)) == case["quality"]
        assert str(quality_power(size, duration=duration, verified_weight=weight)) == case["qa_power"]
        yield case


def golden_basefee(data: Any) -> Iterator[object]:
    """Each step of a real node's base fee follows from the tipset before it, under both rules."""
    for rule, by_premium in (("old", False), ("new", True)):
        steps = data[rule]
        for now, after in itertools.pairwise(steps):
            yield from _base_fee_step(now, after, by_premium=by_premium)
        yield steps[-1]  # the last has no successor to compare with


def _base_fee_step(now: Any, after: Any, *, by_premium: bool) -> Iterator[object]:
    fee = int(now["parent_base_fee"])
    bids = [
        GasBid(gas_limit=limit, fee_cap=int(cap), premium=int(premium))
        for limit, premium, cap in now["messages"]
    ]
    following = base_fee_next(fee, bids, blocks=now["blocks"], by_premium=by_premium)
    assert str(following) == after["parent_base_fee"], now
    yield now
