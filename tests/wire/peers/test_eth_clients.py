"""ethers and viem as they were recorded: on the same chain each request gets the same answer, word by word.

Only hashes of blocks and names of filters are each chain's own: the first answer that has one says which it
is here, and from then on it must be that one.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import httpx
import pytest

from poolsite.devnet.node import Devnet
from poolsite.devnet.server import Server
from tests.devnet_epochs import advance_to
from tests.wire.peers.record_eth import SENDERS, TARGET, world_make

ROWS: Final[list[dict[str, Any]]] = [json.loads(line) for line in TARGET.read_text().splitlines()]
NAME: Final = re.compile(r"0x[0-9a-f]{64}")


class Names:
    """What the recorded chain's names are here."""

    def __init__(self) -> None:
        self.here: dict[str, str] = {}

    def filled(self, value: Any) -> Any:
        """A request with this chain's names."""
        return json.loads(NAME.sub(lambda found: self.here.get(found[0], found[0]), json.dumps(value)))

    def differences(self, recorded: Any, given: Any, path: str = "") -> Iterator[str]:
        """Where an answer is another one; names that are new are noted."""
        if isinstance(recorded, dict) and isinstance(given, dict) and recorded.keys() == given.keys():
            for name, item in recorded.items():
                yield from self.differences(item, given[name], f"{path}.{name}")
        elif isinstance(recorded, list) and isinstance(given, list) and len(recorded) == len(given):
            for at, (item, other) in enumerate(zip(recorded, given, strict=True)):
                yield from self.differences(item, other, f"{path}[{at}]")
        elif _is_name(recorded) and _is_name(given):
            if self.here.setdefault(recorded, given) != given:
                yield f"{path} is {given}, not {self.here[recorded]}"
        elif recorded != given:
            yield f"{path} is {given!r}, not {recorded!r}"


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and NAME.fullmatch(value) is not None


@pytest.fixture(scope="module")
def world() -> Iterator[Devnet]:
    node = world_make()
    yield node
    node.close()


async def test_the_libraries_are_answered_as_they_were_recorded(world: Devnet) -> None:
    names, found = Names(), []
    transport = httpx.ASGITransport(app=Server(world))
    async with httpx.AsyncClient(transport=transport, base_url="http://devnet") as http:
        for row in ROWS:
            advance_to(world, row["height"])
            assert world.head.height == row["height"]
            answer = await http.post("/rpc/v1", json=names.filled(row["body"]))
            found += [f"{row['client']} {row['body']}: {line}" for line in names.differences(
                row["answer"], answer.json())]  # fmt: skip
            assert answer.status_code == row["status"]

    assert not found, "\n".join(found)


def test_both_libraries_were_recorded_at_length() -> None:
    counted: Counter[str] = Counter()
    methods: set[str] = set()
    for row in ROWS:
        calls = row["body"] if isinstance(row["body"], list) else [row["body"]]
        counted[row["client"]] += len(calls)
        methods |= {call["method"] for call in calls}

    assert set(counted) == set(SENDERS)
    assert min(counted.values()) >= 10
    assert methods >= {
        "eth_sendRawTransaction",
        "eth_getTransactionReceipt",
        "eth_estimateGas",
        "eth_feeHistory",
        "eth_getBlockByHash",
        "eth_getFilterChanges",
        "eth_call",
    }
