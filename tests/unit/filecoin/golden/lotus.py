"""Checks of what a real lotus node recorded: blocks, messages, gas."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import Any

from poolsite.filecoin import gas_model
from poolsite.filecoin.actors.decode import method_spec, params_decode, params_encode
from poolsite.filecoin.block import BlockHeader, MsgMeta, messages_root, receipts_root
from poolsite.filecoin.cids import cid_parse
from poolsite.filecoin.codec import from_cbor, to_cbor
from poolsite.filecoin.gas import gas_outputs
from poolsite.filecoin.gas_estimates import inclusion_gas
from poolsite.filecoin.message import message_from_cbor, message_from_json, receipt_from_json
from poolsite.filecoin.sigtypes import SIG_BLS
from poolsite.filecoin.tipset import tipset_from_json, tipset_to_json
from tests.unit.filecoin.golden.files import alike, load

WITHIN = 0.11
"""How far the gas model may lie from the real node's gas, of the latter (worst row)."""


def golden_blocks(data: Any) -> Iterator[object]:
    heights = {entry["height"]: entry for entry in data}
    for entry in data:
        _tipset(entry)
        child = heights.get(entry.get("child"))
        if child is not None and "receipts_in_child" in entry:
            receipts = [receipt_from_json(value) for value in entry["receipts_in_child"] or []]
            root = child["tipset"]["Blocks"][0]["ParentMessageReceipts"]["/"]
            assert str(receipts_root(receipts)) == root
        yield entry


def _tipset(entry: Any) -> None:
    tipset = tipset_from_json(entry["tipset"])
    assert alike(tipset_to_json(tipset), entry["tipset"])
    for cid, block, raw in zip(tipset.cids, tipset.blocks, entry["cbor"], strict=True):
        assert to_cbor(block).hex() == raw
        assert from_cbor(BlockHeader, bytes.fromhex(raw)) == block
        assert block.cid == cid
    if not entry["height"]:
        return  # the messages of genesis were not recorded
    for block, messages in zip(tipset.blocks, entry["messages"], strict=True):
        count = len(messages["BlsMessages"] or [])
        cids = [cid_parse(value["/"]) for value in messages["Cids"] or []]
        assert messages_root(cids[:count], cids[count:]) == block.messages
        for cid, message in zip(cids[:count], messages["BlsMessages"] or [], strict=True):
            assert message_from_json(message).cid == cid
    if "mmeta_cbor" in entry:  # recorded for all but the last tipset
        meta = from_cbor(MsgMeta, bytes.fromhex(entry["mmeta_cbor"]))
        assert meta.cid == tipset.blocks[0].messages


def golden_messages(data: Any) -> Iterator[object]:
    for row in data:
        raw = bytes.fromhex(row["msg_cbor"])
        message = message_from_cbor(raw)
        if row["sig_type"] == SIG_BLS:
            assert str(message.cid) == row["cid"]
            assert row["chain_len"] == len(raw)
        _params(row, message)
        if row["receipt"]["GasUsed"]:
            _gas_cost(row, message)
        yield row


def _params(row: Any, message: Any) -> None:
    """Params and returns of known methods read back to the same bytes."""
    kind = _kind(row["to"])
    spec = method_spec(kind, message.method)
    if not message.method or spec is None or spec.params is None or row["exit"]:
        return
    shown = params_decode(kind, message.method, message.params)
    assert params_encode(kind, message.method, shown) == message.params
    returned = base64.b64decode(row["receipt"]["Return"] or "")
    if returned and spec.returns is not None:
        assert to_cbor(from_cbor(spec.returns, returned)) == returned


def _kind(to: str) -> str:
    return {"f01": "init", "f04": "power", "f05": "market"}.get(to, "multisig" if to == "f01009" else "miner")


def _gas_cost(row: Any, message: Any) -> None:
    cost = row["gas_cost"]
    used = row["receipt"]["GasUsed"]
    base_fee, rest = divmod(int(cost["BaseFeeBurn"]), used)
    assert rest == 0
    outputs = gas_outputs(
        gas_used=used,
        gas_limit=message.gas_limit,
        base_fee=base_fee,
        fee_cap=message.gas_fee_cap,
        premium=message.gas_premium,
    ).to_json()
    for name in ("BaseFeeBurn", "OverEstimationBurn", "MinerTip", "Refund"):
        assert outputs[name] == cost[name], name
    total = message.gas_limit * message.gas_fee_cap - int(outputs["Refund"])
    assert str(total) == cost["TotalCost"]


def gas_table(data: Any) -> Iterator[object]:
    """Inclusion gas is exact in every row; the model's actor part within 11 % where it has one."""
    modelled = dict(_modelled(load("lotus/golden_messages")))
    for place, row in enumerate(data["rows"]):
        assert inclusion_gas(row["chain_len"]) == row["inclusion_gas"]
        if place in modelled and row["gas_used"]:
            ours = row["inclusion_gas"] + modelled[place]
            assert abs(ours / row["gas_used"] - 1) < WITHIN, (row["label"], ours)
        yield row
    assert len(modelled) == MODELLED


MODELLED = 82
"""Rows of the real node that the model has a formula for."""


def _modelled(rows: Any) -> Iterator[tuple[int, int]]:
    """The place of each successful row with a formula, and the model's actor gas.

    Walks in order, since pre-commits pending at each miner count.
    """
    pending: dict[str, int] = {}
    known: set[str] = set()
    for place, row in enumerate(rows):
        to, method, count = row["to"], row["method"], row["n"]
        if row["exit"] or (count is None and method):
            continue
        gas = _row_gas(row, pending.get(to, 0), is_first=to not in known)
        if method == 28:
            known.add(to)
            pending[to] = pending.get(to, 0) + count
        elif method == 34:
            pending[to] = pending.get(to, 0) - count
        if gas is not None:
            yield place, gas


def _row_gas(row: Any, pending: int, *, is_first: bool) -> int | None:
    method, count, label = row["method"], row["n"], row["label"]
    if method == 28:
        if "Unsealed" in label:
            return None
        return gas_model.pre_commit_gas(count, pending=pending, is_first=is_first)
    if method == 34:
        return gas_model.prove_commit_gas(
            count,
            pending=pending,
            is_aggregate="aggregate" in label,
            is_small="2KiB" in label,
            deadlines=48 if count == 120 else max(1, count // 2),
        )
    if method == 5:
        return gas_model.window_post_gas(
            count,
            proves_new="round 2" not in label,
            skips="skipped" in label,
            recovers="recover" in label,
            sectors=2,
        )
    if method == 0:
        return _send_gas(row) if "send" in label else None
    if method == 9 and "faulty" in label:
        return None
    if method == 4 and row["to"].endswith("05"):
        return gas_model.publish_gas(count)
    formula = {
        36: gas_model.prove_commit_ni_gas,
        35: gas_model.replica_update_gas,
        11: gas_model.declare_recovered_gas,
        32: gas_model.extend_gas,
        9: gas_model.terminate_gas,
        10: gas_model.declare_faults_gas,
    }.get(method)
    return formula(count) if formula is not None and count else None


def _send_gas(row: Any) -> int:
    label = row["label"]
    created = re.search(r"new (secp|bls)|(f410)", label)
    kinds = {"new secp": "secp256k1", "new bls": "bls", "f410": "delegated"}
    return gas_model.send_gas(
        int(row["value"]),
        to_self="self" in label,
        creates=kinds[created.group(0)] if created else None,
    )
