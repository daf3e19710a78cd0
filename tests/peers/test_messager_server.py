"""sophon-messager itself, with our node interface, our auth routes, our hub and our signer behind it."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.acceptance.pool import RunningPool
from tests.integration.pools import wait_until
from tests.peers.conftest import tenant_new, token_of
from tests.peers.programs import Peer, PeerRefused
from tests.peers.questions import transfer
from tests.peers.signer import RunningSigner
from tests.servers import port_free

pytestmark = pytest.mark.peer

LANDED: Final = 3
FUND: Final = 10**18
COUNT: Final = 12
"""Messages in one go: several are chosen, estimated and signed for one head."""


@pytest.fixture
def token(pool: RunningPool) -> str:
    """Of a tenant of this test alone."""
    return token_of(pool, tenant_new(pool, f"messager-{uuid.uuid4().hex[:8]}"))


@pytest.fixture
def sender(pool: RunningPool, worker: str, token: str, tmp_path: Path) -> Iterator[str]:
    """A key of a signer of ours at our hub, with money."""
    with RunningSigner(tmp_path / "signer", hub=f"ws://127.0.0.1:{pool.port}/rpc/v1", token=token) as signer:
        signer.logged("gateway_connected")
        key = signer.keys["control"]
        funding = {**transfer(worker), "To": key, "Value": str(FUND)}
        pool.rpc("Message.WaitMessage", pool.rpc("Message.PushMessage", funding, None)["result"], 0)
        yield key


@pytest.fixture
def messager(
    sophon_messager: Path, venus: Path, pool: RunningPool, token: str, tmp_path: Path
) -> Iterator[Peer]:
    """Its client, as the tenant; the node it follows is the console."""
    port, admin = port_free(), pool.operator["admin_token"]
    console, log_path = f"/ip4/127.0.0.1/tcp/{pool.port}", tmp_path / "messager.log"
    words = ["run", "--listen", f"/ip4/127.0.0.1/tcp/{port}", "--node-url", console, "--node-token", admin]
    words += ["--auth-url", f"http://127.0.0.1:{pool.port}", "--auth-token", admin]
    words += ["--gateway-url", console, "--gateway-token", admin]
    with log_path.open("wb") as log:
        command: list[str | Path] = [sophon_messager, "--repo", tmp_path / "repo", *words]
        running = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        with Peer([venus, "messager", f"http://127.0.0.1:{port}"], token=token) as peer:
            wait_until(
                lambda: is_up(peer),
                within_s=60,
                what=lambda: f"an answer\n{log_path.read_text(errors='replace')[-3000:]}",
            )
            yield peer
    finally:
        running.kill()
        running.wait(10)


def is_up(peer: Peer) -> bool:
    """Whether it answers."""
    try:
        return bool(peer.call("Version"))
    except PeerRefused:
        return False


def test_it_signs_sends_and_follows_through_us(messager: Peer, sender: str) -> None:
    asked = [
        messager.begin("PushMessage", {**transfer(sender), "Value": str(at)}, None) for at in range(COUNT)
    ]
    uids = [messager.end(number)["result"] for number in asked]

    waiting = [messager.begin("WaitMessage", uid, 1) for uid in uids]
    rows = [messager.end(number, within_s=120)["result"] for number in waiting]

    assert [(row["State"], row["Receipt"]["ExitCode"]) for row in rows] == [(LANDED, 0)] * COUNT
    assert sorted(row["Nonce"] for row in rows) == list(range(COUNT))
