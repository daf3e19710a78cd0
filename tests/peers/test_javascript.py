"""The npm clients against the devnet and against the console's node interface."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any, Final

import pytest

from poolsite.filecoin.address import address_format
from poolsite.filecoin.keys import KEY_SECP256K1, KeyInfo, key_address, key_export, key_generate
from poolsite.filecoin.message import message_from_json, message_to_cbor
from tests.acceptance.pool import RunningPool
from tests.peers.programs import node_begin, node_end, node_packages
from tests.peers.questions import Node, transfer

pytestmark = pytest.mark.peer

FUND: Final = 10**18
NO_MINER: Final = "failed to load miner actor: actor not found"


@pytest.fixture(scope="module")
def readers() -> Path:
    return node_packages("node")


@pytest.fixture(scope="module")
def wallets() -> Path:
    return node_packages("wallet")


@pytest.fixture(params=["devnet", "console"])
def place(request: pytest.FixtureRequest, pool: RunningPool, admin: str) -> tuple[str, str]:
    """Where a node answers, and the token for it."""
    return (pool.listen, "") if request.param == "devnet" else (f"127.0.0.1:{pool.port}", admin)


@pytest.fixture
def key(pool: RunningPool, worker: str) -> KeyInfo:
    """A key of this test, with money."""
    made = key_generate(KEY_SECP256K1)
    funding = {**transfer(worker), "To": address_format(key_address(made)), "Value": str(FUND)}
    uid = pool.rpc("Message.PushMessage", funding, None)["result"]
    pool.rpc("Message.WaitMessage", uid, 0)
    return made


@pytest.mark.parametrize("scheme", ["ws", "http"])
def test_lotus_client_rpc_reads_and_follows(place, readers, scheme):
    address, token = place

    heard = node_end(node_begin(readers, "shipyard.mjs", f"{scheme}://{address}/rpc/v0", token))

    assert heard["head"]["Height"] > 0
    assert heard["info"]["SectorSize"] == 2048
    assert heard["refusal"] == NO_MINER
    kinds = [[change["Type"] for change in frame] for frame in heard["frames"]]
    assert kinds == ([["current"], ["apply"], ["apply"]] if scheme == "ws" else [])


def test_glif_rpc_client_reads(place, readers):
    address, token = place

    heard = node_end(node_begin(readers, "glif.mjs", f"http://{address}/rpc/v1", token))

    assert heard["version"]["APIVersion"] > 0
    assert heard["head"]["Height"] > 0
    assert int(heard["balance"]) > 0
    assert heard["refusal"] == NO_MINER


def test_iso_filecoin_estimates_signs_sends_and_waits(place, wallets, key):
    address, token = place
    url = f"http://{address}/rpc/v1"

    heard = node_end(node_begin(wallets, "iso.mjs", url, token, key.private_key.hex(), "f01000", "5"))

    assert heard["from"] == address_format(key_address(key)) == heard["key"]
    assert heard["balance"] == str(FUND)
    assert heard["exported"] == key_export(key)
    assert heard["lookup"]["Message"] == heard["cid"]
    assert heard["lookup"]["Receipt"]["ExitCode"] == 0
    assert heard["height"] > heard["lookup"]["Height"]
    assert "message nonce too low" in heard["refused"]


def test_what_filecoin_signing_tools_signs_is_taken(place, wallets, key):
    address, token = place
    node = Node(address, "/rpc/v1", token)
    sender = address_format(key_address(key))
    wish: dict[str, Any] = {**transfer(sender), "Params": ""}
    wish |= {"GasLimit": 2_000_000, "GasFeeCap": str(10**9), "GasPremium": "200000"}
    secret = base64.b64encode(key.private_key).decode()

    heard = node_end(node_begin(wallets, "zondax.cjs", secret, json.dumps(wish)))

    assert heard["address"] == sender
    assert heard["serialized"] == message_to_cbor(message_from_json(wish)).hex()
    cid = node.ask("MpoolPush", heard["signed"])
    assert node.ask("StateWaitMsg", cid, 1, -1, True)["Receipt"]["ExitCode"] == 0
