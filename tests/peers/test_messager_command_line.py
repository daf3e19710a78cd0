"""sophon-messager's own command line against the console: push, wait, list, replace, rules."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING, Final

import pytest

from tests.integration.pools import wait_until
from tests.peers.programs import NoSource, go_source
from tests.peers.questions import Node, transfer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.acceptance.pool import RunningPool

pytestmark = pytest.mark.peer

REPOSITORY: Final = "https://github.com/ipfs-force-community/sophon-messager"
CONFIG: Final = """
[api]
Address = "/ip4/127.0.0.1/tcp/{port}"
[node]
url = "/ip4/127.0.0.1/tcp/{port}"
token = "{token}"
[jwt]
authURL = ""
"""
FILLED, LANDED = 2, 3


@pytest.fixture(scope="module")
def program() -> Path:
    try:
        return go_source(REPOSITORY, tag="v1.20.0", package=".")
    except NoSource as error:
        pytest.skip(str(error))


@pytest.fixture
def command(program: Path, pool: RunningPool, admin: str, tmp_path: Path) -> Callable[..., str]:
    """Give it a command; gives what it printed."""
    (tmp_path / "config.toml").write_text(CONFIG.format(port=pool.port, token=admin))
    (tmp_path / "token").write_text(admin)

    def give(*words: str) -> str:
        done = subprocess.run(
            [program, "--repo", tmp_path, *words], capture_output=True, text=True, timeout=90, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return give


@pytest.fixture
def hidden(pool: RunningPool) -> Iterator[Node]:
    """Blocks leave pending messages out for as long as the test runs."""
    node = Node(pool.listen, "/rpc/v1", "")
    node.ask("Devnet.SetFaults", {"hideMessages": True})
    yield node
    node.ask("Devnet.ResetFaults")


def test_a_message_is_sent_waited_for_and_listed(command, pool, worker):
    said = command(
        "send", "--from", worker, "--account", "pool", "--method", "2", "--params-hex", "", "f01000", "0"
    )
    assert re.search(r"msg uuid [0-9a-f-]{36}", said) or "exit" in said, said
    uid = pool.rpc("Message.PushMessage", transfer(worker), None)["result"]

    waited = command("msg", "wait", uid)

    assert "exitcode: Ok(0)" in waited or "exitcode: 0" in waited, waited
    found = command("msg", "search", "--id", uid)
    assert f'"{uid}"' in found
    listed = command("msg", "list", "--from", worker, "--state", "3", "--page-size", "5")
    assert uid in listed


def test_a_waiting_message_is_replaced_and_given_up(command, pool, worker, hidden):
    uid = pool.rpc("Message.PushMessage", transfer(worker), None)["result"]
    wait_until(lambda: state(pool, uid) == FILLED, within_s=60, what="a signed message")

    replaced = command("msg", "replace", "--auto", uid)

    row = pool.rpc("Message.GetMessageByUid", uid)["result"]
    assert f"new message cid:  {row['SignedCid']['/']}" in replaced
    assert uid in command("msg", "list-blocked", "--time", "1ms")
    command("msg", "republish", uid)
    assert f"mark msg {uid} as bad successful" in command("msg", "mark-bad", uid)
    assert "success" in command("msg", "recover-failed-msg", uid)
    hidden.ask("Devnet.ResetFaults")
    wait_until(lambda: state(pool, uid) == LANDED, within_s=60, what="it has landed")


def state(pool: RunningPool, uid: str) -> int:
    """The state of a message as its number."""
    return int(pool.rpc("Message.GetMessageByUid", uid)["result"]["State"])


def test_senders_rules_and_nodes(command, worker, pool):
    assert worker in command("address", "list")
    assert worker in command("address", "search", worker)
    assert "forbidden address success!" in command("address", "forbidden", "--really-do-it", worker)
    assert "active address success!" in command("address", "active", worker)
    shared = json.loads(command("share-params", "get"))
    assert shared["selMsgNum"] > 0
    command("node", "add", "--name", "third", "--url", f"http://{pool.listen}/rpc/v1", "--type", "full")
    assert '"third"' in command("node", "search", "third")
    assert "third" in command("node", "list")
    command("node", "del", "--really-do-it", "third")
    assert "third" not in command("node", "list")
