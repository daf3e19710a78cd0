"""Ethereum's libraries, ethers and viem, against the devnet and against the console's node interface."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest

from poolsite.filecoin.address import address_format
from poolsite.filecoin.keys import KEY_DELEGATED, KeyInfo, key_address, key_generate
from tests.acceptance.pool import RunningPool
from tests.integration.pools import wait_until
from tests.peers.programs import node_begin, node_end, node_packages
from tests.peers.questions import transfer

pytestmark = pytest.mark.peer

FUND: Final = 10**18
"""1 FIL: most that the signer's policy lets a plain transfer move."""
SENT: Final = 5 * 10**17
LANDED: Final = 3
MINER: Final = "0xff" + "00" * 11 + (1000).to_bytes(8, "big").hex()
REVERTED: Final = "CALL_EXCEPTION"


@pytest.fixture(scope="module")
def libraries() -> Path:
    return node_packages("eth")


@pytest.fixture(params=["devnet", "console"])
def words(request: pytest.FixtureRequest, pool: RunningPool, admin: str) -> tuple[list[str], list[str]]:
    """Where a node answers, by POST and by socket; and the token for it."""
    address, token = (pool.listen, []) if request.param == "devnet" else (f"127.0.0.1:{pool.port}", [admin])
    return [f"http://{address}/rpc/v1", f"ws://{address}/rpc/v1"], token


@pytest.fixture
def key(pool: RunningPool, worker: str) -> KeyInfo:
    """An Ethereum key of this test, with money."""
    made = key_generate(KEY_DELEGATED)
    funding = {**transfer(worker), "To": address_format(key_address(made)), "Value": str(FUND)}
    uid = pool.rpc("Message.PushMessage", funding, None)["result"]
    wait_until(lambda: has_landed(pool, uid), within_s=90, what="its money")
    return made


def has_landed(pool: RunningPool, uid: str) -> bool:
    """Whether a message is on chain; asked again and again, a busy machine takes its time."""
    return bool(pool.rpc("Message.GetMessageByUid", uid)["result"]["State"] == LANDED)


def receiver_new() -> str:
    """A name that nobody has yet."""
    name = key_address(key_generate(KEY_DELEGATED)).eth_address
    assert name is not None
    return "0x" + name.hex()


def name_of(key: KeyInfo) -> str:
    name = key_address(key).eth_address
    assert name is not None
    return "0x" + name.hex()


def test_ethers_sends_reads_and_follows(libraries: Path, words: Any, key: KeyInfo) -> None:
    (url, socket), token = words
    said = [url, socket, "0x" + key.private_key.hex(), receiver_new(), MINER, *token]

    heard = node_end(node_begin(libraries, "ethers.mjs", *said))

    assert heard["address"].lower() == name_of(key)
    assert (heard["status"], heard["oldStatus"], heard["kinds"]) == (1, 1, [2, 0])
    assert heard["minedBlock"] == heard["blockNumber"]
    assert heard["inBlock"] is True
    assert int(heard["received"]) == SENT + 7
    assert heard["nonce"] == 2
    assert int(heard["gasUsed"]) <= int(heard["estimate"])
    assert heard["refused"]["code"] == REVERTED
    assert "ErrUnhandledMessage(22)" in heard["refused"]["message"]
    assert "message nonce too low" in heard["spent"]
    assert heard["heights"][1] > heard["heights"][0]


def test_viem_sends_filters_and_follows(libraries: Path, words: Any, key: KeyInfo) -> None:
    (url, socket), token = words
    receiver = receiver_new()
    said = [url, socket, "0x" + key.private_key.hex(), receiver, *token]

    heard = node_end(node_begin(libraries, "viem.mjs", *said))

    assert heard["address"].lower() == name_of(key)
    assert (heard["status"], heard["kind"], heard["to"]) == ("success", "eip1559", receiver)
    assert heard["hash"] in heard["seen"]
    assert (heard["fees"], heard["rewards"]) == (5, [2, 2, 2, 2])
    assert heard["heads"] > 0
    assert heard["gone"] is True
    assert int(heard["blocks"][1]) > int(heard["blocks"][0])
