"""Every golden file of the chain formats is read, and every entry in it is checked."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.unit.filecoin.golden import actors, chain, formats, lotus, messages, mining
from tests.unit.filecoin.golden.files import ROOT, load

CHECKS: dict[str, Callable[[Any], Iterator[object]]] = {
    "addresses": formats.addresses,
    "bigints": formats.bigints,
    "bitfields": formats.bitfields,
    "cids": formats.cids,
    "randomness": formats.randomness,
    "election": formats.election,
    "messages_secp": messages.messages_secp,
    "messages_bls": messages.messages_bls,
    "messages_delegated": messages.messages_delegated,
    "eth_transactions": messages.eth_transactions,
    "serialization_vectors": messages.serialization_vectors,
    "blocks": chain.blocks,
    "deadlines": chain.deadlines,
    "gas": chain.gas,
    "basefee": chain.basefee,
    "monies": chain.monies,
    "params": actors.params,
    "params_schema": actors.params_schema,
    "methods": actors.methods,
    "lotus/golden_basefee": chain.golden_basefee,
    "lotus/golden_blocks": lotus.golden_blocks,
    "lotus/golden_messages": lotus.golden_messages,
    "lotus/gas_table": lotus.gas_table,
    "lotus/golden_mining": mining.golden_mining,
    "lotus/miner_diary": mining.miner_diary,
}
"""The reader of each file."""

ENTRIES: dict[str, Callable[[Any], int]] = {
    "addresses": lambda d: len(d["valid"]) + len(d["parse"]),
    "messages_bls": lambda d: len(d["messages"]) + len(d["keys"]) + len(d["vrf"]) + 2,  # and two aggregates
    "messages_delegated": lambda d: len(d["messages"]),
    "eth_transactions": lambda d: len(d["transactions"]),
    "serialization_vectors": lambda d: sum(len(v) for v in d.values() if isinstance(v, list)),
    "blocks": lambda d: len(d["blocks"]) + len(d["receipts"]) + len(d["amt_v0_bitwidth3"]) + 2,
    "deadlines": lambda d: len(d["dline"]) + len(d["quantize_up"]),
    "basefee": lambda d: (
        len(d["utilization"])
        + len(d["lotus_run"]["cases"])
        + len(d["weighted_select"])
        + len(d["premium_next"])
    ),
    "monies": lambda d: (
        len(d["monies"]) + sum(len(m["initial_pledge"]) for m in d["monies"]) + len(d["qa_power"])
    ),
    "params_schema": lambda d: len(d) - 1,  # one entry explains the others
    "methods": lambda d: sum(map(len, d.values())),
    "lotus/golden_basefee": lambda d: len(d["old"]) + len(d["new"]),
    "lotus/gas_table": lambda d: len(d["rows"]),
    "lotus/golden_mining": mining.accepted_blocks,
    "lotus/miner_diary": lambda d: sum("deadline" in row for row in d),
}
"""How many entries a file holds; lists count themselves."""

ELSEWHERE = {
    "rpc_schema",
    "rpc_methods_lotus",
    "lotus/gas_by_network_version",
    "lotus/golden_mpool",
    "lotus/golden_rpc",
    "lotus/golden_ws",
}
"""Behaviour of a node, replayed by the tests of the embedded chain and of the JSON-RPC doors."""


@functools.cache
def checked(name: str) -> int:
    """Run a file's checks and count them."""
    return sum(1 for _ in CHECKS[name](load(name)))


@pytest.mark.parametrize("name", sorted(CHECKS))
def test_the_library_agrees_with(name: str) -> None:
    assert checked(name) > 0


def test_every_entry_of_every_file_is_checked() -> None:
    counts = {name: (ENTRIES.get(name, len)(load(name)), checked(name)) for name in CHECKS}

    assert {name: pair for name, pair in counts.items() if pair[0] != pair[1]} == {}
    assert sum(total for total, _ in counts.values()) > 1500


def test_no_file_is_forgotten() -> None:
    present = {str(path.relative_to(ROOT).with_suffix("")) for path in ROOT.rglob("*.json")}

    assert present == set(CHECKS) | ELSEWHERE
