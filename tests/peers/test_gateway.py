"""sophon-gateway's client code at our hub, and its hub code in front of our signer and our auth routes."""

from __future__ import annotations

import base64
import hashlib
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from poolsite.filecoin.address import address_parse
from poolsite.filecoin.signature import signature_verify
from tests.acceptance.pool import RunningPool
from tests.integration.pools import wait_until
from tests.peers.conftest import tenant_new, token_of
from tests.peers.programs import Peer, PeerRefused
from tests.peers.questions import transfer
from tests.peers.signatures import message_of, meta_of, signature, text, wallet_signs
from tests.peers.signer import RunningSigner

pytestmark = pytest.mark.peer

REFUSED_HEIGHT: Final = 13
"""At this height the Go prover refuses: its words must arrive."""
RANDOMNESS: Final = b"randomness"
SECTOR: Final = {
    "SealProof": 5,
    "SectorNumber": 7,
    "SectorKey": None,
    "SealedCID": {"/": "bagboea4b5abcatlxechwbp7kjpjguna6r6q7ejrhe6mdp3lf34pmswn27pkkiekz"},
}
PIECE: Final = {"/": "baga6ea4seaqao7s73y24kcutaosvacpdjgfe5pw76ooefnyqw4ynr3d2y6x2mpq"}
FUND: Final = 10**18


@pytest.fixture
def tenant(pool: RunningPool) -> str:
    """A tenant of this test alone."""
    return tenant_new(pool, f"gateway-{uuid.uuid4().hex[:8]}")


@pytest.fixture
def part(gateway: Path, pool: RunningPool) -> Iterator[Callable[..., Peer]]:
    """Start a part of the gateway program at our hub: `part(name, token, *words)`."""
    running: list[Peer] = []

    def start(name: str, token: str, *words: str, version: str = "v2") -> Peer:
        url = f"ws://127.0.0.1:{pool.port}/rpc/{version}"
        running.append(Peer([gateway, name, url, *words], token=token))
        return running[-1]

    yield start
    for peer in running:
        peer.__exit__()


@pytest.fixture
def hub(venus: Path, pool: RunningPool, admin: str) -> Iterator[Peer]:
    """Our hub as venus' gateway client sees it."""
    with Peer([venus, "gateway", f"ws://127.0.0.1:{pool.port}/rpc/v2"], token=admin) as peer:
        yield peer


def test_a_go_wallet_registers_its_keys_and_signs(part, hub, pool, tenant):
    wallet = part("wallet", token_of(pool, tenant), tenant)
    address = wallet.call("New")

    wallet.call("Listen")

    [handshake] = wallet.call("Asked")
    assert (handshake["Signer"], handshake["Meta"]["Type"]) == (address, "verifyaddress")
    shown = hub.call("ListWalletInfoByWallet", tenant)
    assert [row["Addrs"] for row in shown["ConnectStates"]] == [[address]]
    assert hub.call("WalletHas", address, [tenant]) is True
    assert hub.call("WalletHas", address, ["nobody"]) is False
    signed = hub.call("WalletSign", address, [tenant], text(b"hello"), {"Type": "unknown", "Extra": None})
    signature_verify(signature(signed), address_parse(address), b"hello")
    with pytest.raises(PeerRefused, match="wallet nobody not exit"):
        hub.call("ListWalletInfoByWallet", "nobody")


def test_a_go_wallet_announces_and_withdraws_keys(part, hub, pool, tenant):
    wallet = part("wallet", token_of(pool, tenant), tenant, version="v1")
    first = wallet.call("New")
    wallet.call("Listen")
    second = wallet.call("New")

    wallet.call("Announce", second)
    assert hub.call("WalletHas", second, [tenant]) is True
    wallet.call("Withdraw", second)
    assert hub.call("WalletHas", second, [tenant]) is False
    assert hub.call("WalletHas", first, [tenant]) is True
    with pytest.raises(PeerRefused, match="has not agreed to be served by"):
        wallet.call("Support", "pool")


def test_a_go_wallet_signs_a_message_that_lands(part, pool, tenant, worker):
    token = token_of(pool, tenant)
    wallet = part("wallet", token, tenant)
    sender = wallet.call("New")
    wallet.call("Listen")
    funding = pool.rpc("Message.PushMessage", {**transfer(worker), "To": sender, "Value": str(FUND)}, None)
    pool.rpc("Message.WaitMessage", funding["result"], 0)

    pushed = pool.rpc("Message.PushMessage", transfer(sender), None, token=token)
    landed = pool.rpc("Message.WaitMessage", pushed["result"], 0, token=token)["result"]

    assert landed["Receipt"]["ExitCode"] == 0
    asked = wallet.call("Asked")[-1]
    assert (asked["Signer"], asked["Meta"]["Type"]) == (sender, "message")
    assert base64.b64decode(asked["ToSign"])[-32:] in cid_bytes(landed["UnsignedCid"]["/"])


def cid_bytes(cid: str) -> bytes:
    """A CID of version 1 as bytes."""
    body = cid[1:].upper()
    return base64.b32decode(body + "=" * (-len(body) % 8))


@pytest.fixture
def miner(pool: RunningPool, tenant: str) -> str:
    """A miner of this test's tenant: for the pool's own a prover of the pool answers too."""
    address = f"f0{uuid.uuid4().int % 10**9 + 10**9}"
    body = {"user": tenant, "miner": address, "openMining": True}
    assert pool.ask("POST", "/user/miner/add", json=body).json() is True
    return address


def test_a_go_prover_proves_and_refuses(part, hub, pool, tenant, miner):
    prover = part("proof", token_of(pool, tenant), miner)
    prover.call("Ready")

    assert miner in hub.call("ListConnectedMiners")
    [connection] = hub.call("ListMinerConnection", miner)["Connections"]
    [proof] = hub.call("ComputeProof", miner, [SECTOR], text(RANDOMNESS), 10, 27)
    with pytest.raises(PeerRefused, match="the sealed file of sector 7 is gone"):
        hub.call("ComputeProof", miner, [SECTOR], text(RANDOMNESS), REFUSED_HEIGHT, 27)

    assert connection["ChannelId"]
    assert proof["ProofBytes"] == text(hashlib.sha256(RANDOMNESS).digest())
    asked = prover.call("Asked")
    assert asked[0] == {"Sectors": [SECTOR], "Rand": text(RANDOMNESS), "Height": 10, "Version": 27}
    with pytest.raises(PeerRefused, match="no connections for this miner f01999"):
        hub.call("ComputeProof", "f01999", [SECTOR], text(RANDOMNESS), 10, 27)
    with pytest.raises(PeerRefused, match="miner f01999 not exit"):
        hub.call("ListMinerConnection", "f01999")


def test_a_go_prover_of_another_tenant_gets_no_connection(part, pool, tenant):
    miner = pool.wait_miner()
    prover = part("proof", token_of(pool, tenant), miner)

    wait_until(lambda: "listen proof request errored" in prover.words(), within_s=30, what=prover.words)

    assert f"miner:{miner} not exist in user:{tenant}" in prover.words()


def test_a_go_market_is_asked_to_unseal(part, hub, pool, admin):
    miner = pool.wait_miner()
    market = part("market", admin, miner)
    market.call("Ready")

    hub.call("SectorsUnsealPiece", miner, PIECE, 3, 0, 1016, "http://there")

    [asked] = market.call("Asked")
    assert asked == {
        "Miner": miner,
        "Piece": PIECE,
        "Sector": 3,
        "Offset": 0,
        "Size": 1016,
        "Dest": "http://there",
    }
    assert [row["Addr"] for row in hub.call("ListMarketConnectionsState")] == [miner]


@pytest.fixture
def go_hub(gateway: Path, pool: RunningPool, admin: str) -> Iterator[Peer]:
    """sophon-gateway's hub, which asks our auth routes."""
    command: list[str | Path] = [gateway, "serve", "127.0.0.1:0", f"http://127.0.0.1:{pool.port}"]
    with Peer(command, token=admin) as peer:
        yield peer


def test_our_signer_registers_at_a_go_hub_and_signs(go_hub, venus, pool, tenant, tmp_path):
    address = go_hub.call("Address")
    token = token_of(pool, tenant, perm="admin")
    with RunningSigner(tmp_path / "signer", hub=f"ws://{address}/rpc/v1", token=token) as signer:
        signer.logged("gateway_connected")
        [shown] = go_hub.call("ListWalletInfo")
        assert (shown["Account"], set(shown["ConnectStates"][0]["Addrs"])) == (
            tenant,
            set(signer.keys.values()),
        )
        for key in signer.keys.values():
            wallet_signs(go_hub, key, [tenant])
            meta = meta_of(message_of(key))
            with pytest.raises(PeerRefused, match="are not those of the message in extra"):
                go_hub.call("WalletSign", key, [tenant], text(b"something else"), meta)
        rights = signer.run("token", "admin")
        listens = signer.logged(r'(127\.0\.0\.1:\d+)", "event": "listening"')
        with Peer([venus, "wallet", f"ws://{listens}/rpc/v0"], token=rights) as wallet:
            wallet.call("AddNewAddress", [signer.keys["control"]])
            wallet.call("AddSupportAccount", "pool")
            with pytest.raises(PeerRefused, match="account pool has exit"):
                wallet.call("AddSupportAccount", "pool")
        assert go_hub.call("WalletHas", signer.keys["control"], ["pool"]) is True
        added = signer.run("new", "secp256k1")
        wait_until(lambda: go_hub.call("WalletHas", added, [tenant]), within_s=30, what="the new key")
        # The hub tells our auth routes of a key after it has taken it.
        wanted = {*signer.keys.values(), added}
        wait_until(lambda: wanted <= registered(pool, tenant), within_s=30, what="the key's registration")


def registered(pool: RunningPool, tenant: str) -> set[str]:
    """The signers that our auth routes know of a tenant."""
    return {row["Signer"] for row in pool.read(f"/user/signer/list?user={tenant}")}
