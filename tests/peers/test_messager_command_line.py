"""sophon-messager's own command line against the console: push, wait, list, replace, rules."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.acceptance.pool import RunningPool
from tests.integration.pools import wait_until
from tests.peers.questions import Node, transfer

pytestmark = pytest.mark.peer

CONFIG: Final = """
[api]
Address = "/ip4/127.0.0.1/tcp/{port}"
[node]
url = "/ip4/127.0.0.1/tcp/{port}"
token = "{token}"
[jwt]
authURL = ""
"""
REALLY: Final = "--really-do-it"
FILLED, LANDED = 2, 3


@pytest.fixture
def command(sophon_messager: Path, pool: RunningPool, admin: str, tmp_path: Path) -> Callable[..., str]:
    """Return it a command; gives what it printed."""
    (tmp_path / "config.toml").write_text(CONFIG.format(port=pool.port, token=admin))
    (tmp_path / "token").write_text(admin)

    def give(*words: str) -> str:
        done = subprocess.run(
            [sophon_messager, "--repo", tmp_path, *words],
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
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


def test_a_message_is_waited_for_and_listed(command, pool, worker):
    uid = pool.rpc("Message.PushMessage", transfer(worker), None)["result"]

    waited = command("msg", "wait", uid)

    assert "exitcode: Ok(0)" in waited, waited
    assert f'"{uid}"' in command("msg", "search", "--id", uid)
    landed = command("msg", "list", "--from", worker, "--state", "3", "--page-size", "50")
    row = next(line for line in landed.splitlines() if line.startswith(uid))
    assert "Send" in row, row


def test_a_message_is_sent_and_its_method_has_its_name(command, pool, worker):
    wish = ["send", "--from", worker, "--account", "pool"]

    sent = command(*wish, "--method", "2", "--params-hex", "", pool.wait_miner(), "0")

    found = re.search(r"msg uuid ([0-9a-f-]{36})", sent)
    assert found, sent
    waiting = command("msg", "list", "--from", worker, "--state", "1", "--page-size", "50")
    row = next(line for line in waiting.splitlines() if line.startswith(found[1]))
    assert "ControlAddresses" in row, row
    assert "as bad successful" in command("msg", "mark-bad", REALLY, found[1])
    assert "do not use it to send funds" in command(*wish, "f01000", "1")


def test_a_waiting_message_is_replaced_and_given_up(command, pool, worker, hidden):
    uid = pool.rpc("Message.PushMessage", transfer(worker), None)["result"]
    wait_until(lambda: state(pool, uid) == FILLED, within_s=60, what="a signed message")

    replaced = command("msg", "replace", "--auto", uid)

    row = pool.rpc("Message.GetMessageByUid", uid)["result"]
    assert f"new message cid:  {row['SignedCid']['/']}" in replaced
    assert uid in command("msg", "list-blocked", "--time", "1ms")
    command("msg", "republish", uid)
    assert f"mark msg {uid} as bad successful" in command("msg", "mark-bad", REALLY, uid)
    assert "success" in command("msg", "recover-failed-msg", REALLY, uid)
    hidden.ask("Devnet.ResetFaults")
    wait_until(lambda: state(pool, uid) == LANDED, within_s=60, what="it has landed")


def state(pool: RunningPool, uid: str) -> int:
    """The state of a message as its number."""
    return int(pool.rpc("Message.GetMessageByUid", uid)["result"]["State"])


def test_senders_rules_and_nodes(command, worker, pool):
    assert worker in command("address", "list")
    command("address", "set-sel-msg-num", "--num", "15", worker)
    command("address", "set-fee-params", "--gas-overestimation", "1.3", worker)
    shown = json.loads(command("address", "search", worker))
    assert (shown["selMsgNum"], shown["gasOverEstimation"]) == (15, 1.3)
    assert "forbidden address success!" in command("address", "forbidden", worker)
    assert "active address success!" in command("address", "active", worker)
    before = json.loads(command("share-params", "get"))
    command("share-params", "set", "--gas-over-estimation", "1.3")
    assert json.loads(command("share-params", "get"))["gasOverEstimation"] == 1.3
    pool.rpc("Message.SetSharedParams", before)
    command("node", "add", "--name", "third", "--url", f"http://{pool.listen}/rpc/v1", "--token", "t")
    assert '"third"' in command("node", "search", "third")
    command("node", "del", "third")
    assert "third" not in command("node", "list")
    assert "confirm to exec this command" in command("msg", "clear-unfill-msg", worker)
    assert re.search(r"clear \d+ unfill messages", command("msg", "clear-unfill-msg", REALLY, worker))
    assert "update message count" in command("msg", "update-all-filled-msg")


def test_unknown_messages_are_named(command):
    assert "record not found" in command("msg", "search", "--id", "nobody's")
    assert "record not found" in command("msg", "wait", "nobody's")
