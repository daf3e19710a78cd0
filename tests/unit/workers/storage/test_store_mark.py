"""What a store's `sectorstore.json` says, as lotus and damocles write it, and what it forbids."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from workers.storage.store import MARK, Store
from workers.storage.store_mark import BadMark, StoreRefuses, mark_read

LOTUS = {"ID": "3b1c", "Weight": 10, "CanSeal": False, "CanStore": True, "MaxStorage": 0, "Groups": ["a"]} | {
    "AllowTo": None,
    "AllowTypes": None,
    "DenyTypes": None,
    "AllowMiners": ["f01000", "t01001"],
    "DenyMiners": None,
}
DAMOCLES = {
    "ID": "x",
    "Name": "p1",
    "Strict": False,
    "ReadOnly": False,
    "Weight": 0,
    "DenyMiners": [1002],
} | {
    "AllowMiners": [],
    "PluginName": "",
    "Meta": {},
}


def marked(folder: Path, facts: object) -> Path:
    path = folder / MARK
    path.write_text(facts if isinstance(facts, str) else json.dumps(facts))
    return path


def test_a_lotus_store_is_read(tmp_path: Path) -> None:
    mark = mark_read(marked(tmp_path, LOTUS))

    assert (mark.name, mark.weight, mark.groups) == ("3b1c", 10, ("a",))
    mark.takes(miner_id=1001)
    with pytest.raises(StoreRefuses, match="3b1c does not accept sectors of f01002: see AllowMiners"):
        mark.takes(miner_id=1002)


def test_a_damocles_store_is_read(tmp_path: Path) -> None:
    mark = mark_read(marked(tmp_path, DAMOCLES))

    assert mark.name == Store(tmp_path).name() == "p1"
    mark.takes(miner_id=1000)
    with pytest.raises(StoreRefuses, match="does not accept sectors of f01002"):
        mark.takes(miner_id=1002)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"ReadOnly": True}, "is read-only: set ReadOnly to false"),
        ({"CanStore": False}, "is for sealing only: set CanStore to true"),
        ({"DenyTypes": ["cache"]}, "does not accept sealed files and caches"),
        ({"AllowTypes": ["unsealed"]}, "does not accept sealed files and caches"),
    ],
)
def test_a_store_that_may_not_take_a_sector_says_why(
    tmp_path: Path, facts: dict[str, Any], words: str
) -> None:
    with pytest.raises(StoreRefuses, match=words):
        mark_read(marked(tmp_path, {"ID": "x", **facts})).takes(miner_id=1000)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ("{", "is not JSON"),
        ("[]", "is not an object"),
        ({"Weight": -1}, "Weight is -1: use a whole number"),
        ({"ReadOnly": "no"}, "ReadOnly is 'no': use true or false"),
        ({"Groups": "a"}, "Groups is 'a': use a list of strings"),
        ({"DenyMiners": ["bob"]}, "DenyMiners is .* as .1000."),
        ({"Name": 7}, "Name is 7: use a string"),
    ],
)
def test_a_mark_with_a_mistake_is_refused_by_key(tmp_path: Path, facts: object, words: str) -> None:
    with pytest.raises(BadMark, match=words):
        mark_read(marked(tmp_path, facts))
