"""COMPAT_PORTS: the recorded requests of old programs, each at the port where its server used to be."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from poolsite.embedded.options import COMPAT_PORTS
from tests.integration.pools import NO_CERTIFICATES, SITE, Pool, wait_until
from tests.servers import port_free
from tests.wire.auth.recordings import CLI, JWT, LOCAL, Replay, masked

pytestmark = pytest.mark.xdist_group("pool")

LEFT_OUT: Final = "tasks,tasks-slow,bootstrap-miner,sealer,prover"
TYPICAL: Final[dict[str, tuple[str, list[Any]]]] = {
    "damocles-manager": ("Venus.AllocateSector", [{"AllowedMiners": [], "AllowedProofTypes": []}]),
    "sophon-gateway": ("Gateway.ListWalletInfo", []),
    "sophon-messager": ("Message.HasMessageByUid", ["nothing"]),
    "sophon-miner": ("Filecoin.ListAddress", []),
    "venus": ("Filecoin.ChainHead", []),
    "venus-wallet": ("Filecoin.WalletList", []),
}
"""A method that clients of each program call; sophon-auth's are REST and have a test of their own."""
MESSAGER: Final = json.loads(
    (Path(__file__).parents[1] / "golden" / "messager" / "messager_rpc.json").read_text()
)


class OldPorts(Pool):
    """A pool that answers at every old port, moved so that they meet nobody's."""

    def __init__(self) -> None:
        self.moved = {name: port_free() for name in (*COMPAT_PORTS.values(), "venus-wallet")}
        self.auth, self.gateway, self.messager, _, _, _, self.wallet = self.moved.values()
        super().__init__(
            has_tables=True,
            COMPAT_PORTS=",".join(str(self.moved[name]) for name in COMPAT_PORTS.values()),
            SIGNER_LISTEN=f"127.0.0.1:{self.wallet}",
            POOLSITE_DISABLE=LEFT_OUT,
        )

    def admin(self) -> str:
        """The operator's token."""
        return str(json.loads((self.var / "operator.json").read_text())["admin_token"])


@pytest.fixture(scope="module")
def pool() -> Iterator[OldPorts]:
    """One pool for all of them."""
    with OldPorts() as pool:
        wait_until(pool.all_up, within_s=60, what=pool.words)
        yield pool


class AtPort:
    """What `Replay` needs of Django's test client, over HTTP."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def generic(
        self, method: str, path: str, body: str, *, content_type: str, headers: dict[str, str]
    ) -> httpx.Response:
        """Send one request."""
        sent = {**headers, "Content-Type": content_type} if content_type else headers
        return httpx.request(
            method, self.url + path, content=body.encode(), headers=sent, timeout=60, verify=NO_CERTIFICATES
        )


def test_sophon_auths_command_line_is_answered_at_its_port(pool: OldPorts) -> None:
    replay = Replay(AtPort(pool.auth), pool.admin())
    wrong = []
    for row in CLI:
        for exchange in row["http"]:
            answer = replay.send(exchange["request"])
            recorded = exchange["response_body"]
            replay.learn(recorded, answer.text)
            got, asked = masked(answer.text.replace(replay.token or JWT, JWT)), masked(recorded)
            if isinstance(asked, list) and isinstance(got, list):
                got = [one for one in got if one in asked]  # the pool has tenants of its own
            if (answer.status_code, got) != (exchange["status"], asked):
                wrong.append((row["cli"], answer.status_code, got, asked))

    assert LOCAL not in {name for name, *_ in wrong}
    assert wrong == []


def called(port: int, method: str, *params: Any, token: str) -> Any:
    """Call a method over POST; gives the result."""
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
    headers = {"Authorization": f"Bearer {token}"}
    answer = httpx.post(
        f"http://127.0.0.1:{port}/rpc/v0", json=body, headers=headers, timeout=60, verify=NO_CERTIFICATES
    )
    assert answer.status_code == 200, answer.text
    return answer.json()["result"]


def test_the_messagers_recorded_questions_are_answered_at_its_port(pool: OldPorts) -> None:
    asked = [entry for entry in MESSAGER if entry["method"] == "Message.HasMessageByUid"]
    assert asked

    for entry in asked:
        assert called(pool.messager, entry["method"], *entry["params"], token=pool.admin()) is False
    assert called(pool.messager, "Message.Version", token=pool.admin())["Version"]


def is_taken(port: int) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as link:
        return link.connect_ex(("127.0.0.1", port)) == 0


def signer_token(pool: OldPorts) -> str:
    """A token of the signer's own."""
    words = [sys.executable, "-m", "workers", "signer", "token", "--dir", str(pool.var / "signer"), "admin"]
    made = subprocess.run(words, cwd=SITE, env=pool.env, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    return made.stdout.strip().splitlines()[-1]


@pytest.mark.parametrize("name", [*list(COMPAT_PORTS.values())[1:], "venus-wallet"])
def test_each_opened_port_answers_a_method_of_its_program(pool: OldPorts, name: str) -> None:
    method, params = TYPICAL[name]
    token = signer_token(pool) if name == "venus-wallet" else pool.admin()
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}

    def answered() -> bool:
        url = f"http://127.0.0.1:{pool.moved[name]}/rpc/v0"
        answer = httpx.post(
            url, json=body, headers={"Authorization": f"Bearer {token}"}, timeout=60, verify=NO_CERTIFICATES
        )
        return answer.status_code == 200 and "result" in answer.json()

    wait_until(answered, within_s=60, what=f"{method} at {name}'s port")


def test_the_gateway_is_answered_at_its_port_and_sees_the_signer(pool: OldPorts) -> None:
    assert called(pool.gateway, "Gateway.Version", token=pool.admin())["Version"]

    def wallets() -> Any:
        return called(pool.gateway, "Gateway.ListWalletInfo", token=pool.admin())

    wait_until(wallets, within_s=30, what="the signer's connection")


def test_the_signer_answers_as_a_wallet_at_its_port(pool: OldPorts) -> None:
    listed = called(pool.wallet, "Filecoin.WalletList", token=signer_token(pool))

    known = json.loads((pool.var / "signer.json").read_text())
    assert set(known.values()) <= set(listed)


def test_a_taken_old_port_is_named_and_nothing_is_made(pool: OldPorts) -> None:
    other = Pool(COMPAT_PORTS=f"{port_free()},{pool.gateway}")

    said = other.refused()

    assert said == f"Poolsite cannot start: port {pool.gateway} on 127.0.0.1 is in use by another program.\n"
    assert not other.var.exists()


def test_a_taken_port_of_the_signer_is_named_and_nothing_is_made(pool: OldPorts) -> None:
    other = Pool(SIGNER_LISTEN=f"127.0.0.1:{pool.wallet}")
    wait_until(lambda: is_taken(pool.wallet), within_s=30, what="the signer's port")

    said = other.refused()

    assert said == f"Poolsite cannot start: port {pool.wallet} on 127.0.0.1 is in use by another program.\n"
    assert not other.var.exists()
