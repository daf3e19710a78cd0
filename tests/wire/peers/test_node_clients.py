"""Node clients of others as they were recorded: each request gets the form, code and words that it got."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from poolsite.devnet.server import Server
from tests.unit.devnet.recorded import answer_differences
from tests.wire.peers.world import World, world_make

ROWS: list[dict[str, Any]] = [
    json.loads(line)
    for line in (Path(__file__).parents[2] / "golden" / "peers" / "node_clients.jsonl")
    .read_text()
    .splitlines()
]
CLIENTS = sorted({row["client"] for row in ROWS})


SENDER = "iso-filecoin"
"""The client that sends a message."""


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """One chain for all who only read."""
    made = world_make()
    yield made
    made.node.close()


@pytest.fixture
def own_world() -> Iterator[World]:
    """A chain for one who sends."""
    made = world_make()
    yield made
    made.node.close()


async def differences(world: World, client: str) -> list[str]:
    """Send what a client sent; returns where the answers differ."""
    found = []
    transport = httpx.ASGITransport(app=Server(world.node))
    async with httpx.AsyncClient(transport=transport, base_url="http://devnet") as http:
        for row in ROWS:
            if row["client"] != client:
                continue
            body = world.fill(row["body"])
            if client == SENDER and "StateWaitMsg" in body:
                world.node.mine(4)  # the message that it pushed lands
            answer = await http.post(row["path"], content=body, headers=row["headers"])
            lines = answer_differences(json.dumps(row["answer"]), answer.text)
            if answer.status_code != row["status"]:
                lines.append(f"status {answer.status_code}, not {row['status']}")
            found += [f"{json.loads(body)['method']}: {line}" for line in lines]
    return found


@pytest.mark.parametrize("client", [name for name in CLIENTS if name != SENDER])
async def test_a_reader_is_answered_as_it_was_recorded(world: World, client: str) -> None:
    found = await differences(world, client)

    assert not found, "\n".join(found)


async def test_a_sender_is_answered_as_it_was_recorded(own_world: World) -> None:
    found = await differences(own_world, SENDER)

    assert not found, "\n".join(found)


def test_all_clients_were_recorded_at_length() -> None:
    counted = Counter(row["client"] for row in ROWS)

    assert set(counted) == {
        "lotus v0",
        "lotus v1",
        "venus v0",
        "venus v1",
        "lotus-client-rpc",
        "glif rpc-client",
        "pylotus-rpc",
        "iso-filecoin",
    }
    assert min(counted[name] for name in counted if name[-2:] in ("v0", "v1")) >= 70
    assert min(counted.values()) >= 4
