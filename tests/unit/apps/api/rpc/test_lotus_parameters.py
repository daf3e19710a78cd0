"""Methods of lotus and lotus-miner take as many parameters as their clients send."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import pytest

from apps.api.rpc.services.registry import SERVICES

GOLDEN: Final = Path(__file__).parents[4] / "golden" / "chain" / "rpc_methods_lotus.json"
METHODS: Final = {name: method for name, method in SERVICES["Filecoin"].methods.items() if not method.is_raw}


def sent(version: str) -> dict[str, set[int]]:
    """Return how many parameters lotus' clients send, by the names of methods."""
    found: dict[str, set[int]] = {}
    for methods in json.loads(GOLDEN.read_text())[version].values():
        for name, facts in methods.items():
            found.setdefault(f"Filecoin.{name}", set()).add(len(facts["params"]))
    return found


COUNTS: Final = sent("v0") | sent("v1")


@pytest.mark.parametrize("name", sorted(METHODS.keys() & COUNTS.keys()))
def test_a_method_of_lotus_takes_what_its_client_sends(name: str) -> None:
    method = METHODS[name]
    accepted = range(len(method.params) - method.optional, len(method.params) + 1)

    assert COUNTS[name] & set(accepted), f"{name} is sent {COUNTS[name]} parameters"
