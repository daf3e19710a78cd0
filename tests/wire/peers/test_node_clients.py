"""Node clients of others as they were recorded: each request gets the form, code and words that it got."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from poolsite.devnet.server import Server
from tests.unit.devnet.recorded import answer_differences
from tests.wire.peers.world import World, world_make

if TYPE_CHECKING:
    from collections.abc import Iterator

ROWS: list[dict[str, Any]] = [
    json.loads(line)
    for line in (Path(__file__).parents[2] / "golden" / "peers" / "node_clients.jsonl")
    .read_text()
    .splitlines()
]
CLIENTS = sorted({row["client"] for row in ROWS})


@pytest.fixture
def world() -> Iterator[World]:
    made = world_make()
    yield made
    made.node.close()


@pytest.mark.parametrize("client", CLIENTS)
async def test_a_client_is_answered_as_it_was_recorded(world: World, client: str) -> None:
    found = []
    transport = httpx.ASGITransport(app=Server(world.node))
    async with httpx.AsyncClient(transport=transport, base_url="http://devnet") as http:
        for row in ROWS:
            if row["client"] != client:
                continue
            body = world.fill(row["body"])
            if client == "iso-filecoin" and "StateWaitMsg" in body:
                world.node.mine(4)  # the message that it pushed lands
            answer = await http.post(row["path"], content=body, headers=row["headers"])
            lines = answer_differences(json.dumps(row["answer"]), answer.text)
            if answer.status_code != row["status"]:
                lines.append(f"status {answer.status_code}, not {row['status']}")
            found += [f"{json.loads(body)['method']}: {line}" for line in lines]

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
