"""Entries of lotus-miner's metadata are, byte for byte, those that lotus wrote."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from poolsite.filecoin.bitfield import bitfield_from_bytes
from poolsite.filecoin.cbor import encode, value_read
from poolsite.filecoin.cids import cid_from_bytes
from poolsite.filecoin.lotus_metadata import LotusSector, block_entries, entry, number_entries, sector_entry

GOLDEN = Path(__file__).parents[2] / "golden" / "lotus_metadata" / "metadata.json"


def golden() -> dict[str, bytes]:
    """What lotus wrote, by key."""
    return {key: bytes.fromhex(text) for key, text in json.loads(GOLDEN.read_text())["entries"].items()}


def test_a_sector_has_every_field_of_lotus_and_no_other() -> None:
    written = golden()["/sectors/0"]
    there, _ = value_read(value_read(written, 0)[0]["Value"], 0)
    ours = LotusSector(number=0, seal_proof=0, comm_d=there["CommD"], comm_r=there["CommR"])

    value = ours.value | {"Pieces": there["Pieces"]}  # of a market that pre-sealed sectors pretend

    assert entry("/sectors/0", encode(value)) == written
    assert sector_entry(ours).startswith(written[:20])


def test_the_last_number_is_lotus_and_all_before_it_are_allocated() -> None:
    allocated, last = number_entries(8)

    assert last == golden()["/storage/nextid"]
    field, _ = value_read(value_read(allocated, 0)[0]["Value"], 0)
    assert bitfield_from_bytes(field).ranges == ((0, 8),)
    assert number_entries(0) == []


def test_a_block_is_guarded_by_its_height_and_by_its_parents() -> None:
    entries = golden()
    [by_parents] = [key for key in entries if key.startswith("/slashfilter/parents/")]
    second, _ = value_read(entries["/slashfilter/epoch/t01000/2"], 0)
    parent = cid_from_bytes(bytes.fromhex(by_parents.rpartition("/")[2]))
    header: Any = SimpleNamespace(height=2, parents=(parent,), cid=cid_from_bytes(second["Value"]))

    found = block_entries("t01000", cast("Any", header))

    assert found == [entries["/slashfilter/epoch/t01000/2"], entries[by_parents]]
