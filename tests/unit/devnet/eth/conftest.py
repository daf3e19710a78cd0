"""A chain on which an Ethereum key has funds, and its JSON-RPC."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from coincurve import PrivateKey

from poolsite.devnet.node import Devnet
from poolsite.filecoin.amounts import FIL
from poolsite.filecoin.ethereum_transaction import EIP1559, LEGACY, Transaction
from poolsite.filecoin.keccak import keccak256
from tests.unit.devnet.people import OWNER, Person, chain, person, send
from tests.unit.devnet.recorded import Replay

ETH = person("eth", "delegated")
FRIEND = person("friend", "delegated")


@pytest.fixture
def node() -> Iterator[Devnet]:
    """A chain on which ETH has 100 FIL and has never sent."""
    node = chain()
    node.mine(2)
    send(node, OWNER, ETH.address, value=100 * FIL)
    yield node
    node.close()


@pytest.fixture
def ask(node: Devnet) -> Callable[..., Any]:
    """Ask the node; gives the whole answer."""

    async def give(method: str, *params: Any) -> dict[str, Any]:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)})
        response = await Replay(node, {}).answer({"path": "/rpc/v1", "token": "read", "request": body})
        answer: dict[str, Any] = response.json()
        return answer

    return give


@pytest.fixture
def get(ask: Callable[..., Any]) -> Callable[..., Any]:
    """Ask the node; gives the result."""

    async def give(method: str, *params: Any) -> Any:
        answer = await ask(method, *params)
        assert "error" not in answer, answer
        return answer["result"]

    return give


def name_of(who: Person) -> str:
    """A person's Ethereum name."""
    name = who.address.eth_address
    assert name is not None
    return "0x" + name.hex()


def transaction(node: Devnet, who: Person, **fields: Any) -> Transaction:
    """A signed transaction of a value to FRIEND, unless `fields` say otherwise."""
    kind = fields.pop("type", EIP1559)
    chain_id = fields.pop("chain_id", node.network.eth_chain_id)
    wish = Transaction(
        type=kind,
        chain_id=chain_id,
        nonce=fields.pop("nonce", 0),
        premium=fields.pop("premium", 10**9 if kind == LEGACY else 100_000),
        fee_cap=fields.pop("fee_cap", 10**9),
        gas_limit=fields.pop("gas_limit", 10_000_000),
        to=fields.pop("to", FRIEND.address.eth_address),
        value=fields.pop("value", 5),
        data=fields.pop("data", b""),
    )
    assert not fields, fields
    signature = PrivateKey(who.key.private_key).sign_recoverable(keccak256(wish.unsigned_bytes), hasher=None)
    v = signature[64]
    if kind == LEGACY:
        v += 35 + 2 * chain_id if chain_id else 27
    r, s = (int.from_bytes(signature[at : at + 32], "big") for at in (0, 32))
    return replace(wish, v=v, r=r, s=s)
