"""Who may do what on the devnet's node without a token."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from poolsite.devnet.access import Access
from poolsite.devnet.faults import Faults
from poolsite.devnet.server import Server
from poolsite.devnet.store import Store

SECRET = b"k" * 32
ADMIN = Access(SECRET).token_new(["read", "write", "sign", "admin"])


class Node:
    """A node of which only the door and its tokens are asked."""

    is_ready = True
    access = Access(SECRET)
    faults = Faults(Store(":memory:"), lambda _is_frozen: None)


async def said(method: str, param: Any, *, client: str = "127.0.0.1", **headers: str) -> Any:
    """What the door answers."""
    transport = httpx.ASGITransport(app=Server(Node()), client=(client, 5))  # type: ignore[arg-type]  # its door
    body = {"jsonrpc": "2.0", "id": 1, "method": f"Filecoin.{method}", "params": [param]}
    async with httpx.AsyncClient(transport=transport, base_url="http://devnet") as web:
        return (await web.post("/rpc/v1", content=json.dumps(body), headers=headers)).json()


@pytest.mark.parametrize(
    ("client", "headers"),
    [
        ("10.0.0.7", {}),
        ("2001:db8::7", {}),
        ("127.0.0.1", {"Origin": "http://evil.example"}),
        ("127.0.0.1", {"Origin": "null"}),
        ("127.0.0.1", {"X-Forwarded-For": "127.0.0.1"}),
        ("not an address", {}),
    ],
)
async def test_callers_from_elsewhere_and_pages_in_a_browser_only_read(client, headers):
    refused = await said("AuthNew", ["admin"], client=client, **headers)
    read = await said("AuthVerify", ADMIN, client=client, **headers)

    assert "missing permission" in refused["error"]["message"]
    assert "admin" in read["result"]


@pytest.mark.parametrize("client", ["127.0.0.1", "::1", "127.0.0.5"])
async def test_a_program_of_this_machine_needs_no_token(client):
    assert "result" in await said("AuthNew", ["admin"], client=client)


async def test_a_token_counts_from_everywhere():
    assert "result" in await said("AuthNew", ["read"], client="10.0.0.7", Authorization=f"Bearer {ADMIN}")
