"""Messages of the pool on a real node: its message pool takes, replaces, loses and lands them."""

from __future__ import annotations

import re
import time
from collections import defaultdict
from typing import Any, Final

import pytest

from tests.acceptance.pool import RunningPool
from tests.integration.pools import wait_until
from tests.real_chain.conftest import NodeLine
from tests.real_chain.node import SLOW_MS, STEP_S, RealNode
from tests.real_chain.people import Person

pytestmark = [pytest.mark.peer, pytest.mark.xdist_group("real_chain")]

MANY: Final = 200
SOME: Final = 10
AWAY_EPOCHS: Final = 6
"""So long the node is away while messages are pushed."""
UNAPPROVED: Final = 1_000
"""attoFIL that a transfer may move without a second person."""
REORG_NULLS: Final = 6
"""Null rounds of the other chain: its first block is higher than the head that it replaces."""


def test_two_hundred_messages_land_once_each(pool: RunningPool, node: RealNode, keys: dict[str, str]) -> None:
    receiver = node.call("WalletNew", "secp256k1")
    senders = sorted({keys["owner"], keys["worker"]})
    ids = [f"many-{at}" for at in range(MANY)]
    begun = time.monotonic()
    for at, one in enumerate(ids):
        push(pool, one, sender=senders[at % len(senders)], to=receiver, value=at + 1)
    again = pool.ask("POST", "/api/v1/messages", json=body_of(ids[0], senders[0], receiver, 1))
    assert again.status_code == 200, again.text  # the row that is there

    wait_landed(pool, ids)

    print(f"{MANY} messages landed after {time.monotonic() - begun:.0f} s")
    rows = [read(pool, one) for one in ids]
    assert {row["receipt"]["exit_code"] for row in rows} == {0}
    there = [row for row in node.executed() if row.to == node.identity(receiver)]
    assert sorted(row.cid for row in there) == sorted(row["cid"] for row in rows)
    assert {row.exit_code for row in there} == {0}
    assert int(node.call("WalletBalance", receiver)) == MANY * (MANY + 1) // 2
    nonces: defaultdict[str, list[int]] = defaultdict(list)
    for row in there:
        nonces[row.sender].append(row.nonce)
    for found in nonces.values():
        assert sorted(found) == list(range(min(found), min(found) + len(found)))


def test_a_replaced_message_lands_instead_of_the_first(
    pool: RunningPool, node: RealNode, keys: dict[str, str]
) -> None:
    sender = keys["worker"]
    with node.halted():
        [first] = pushed_and_pending(pool, node, ["replaced"], sender)

        answer = pool.ask("POST", "/api/v1/messages/replaced/replace", json={})

        assert answer.status_code == 200, answer.text
        second = answer.json()
        assert second["nonce"] == first["nonce"]
        assert second["cid"] != first["cid"]
        assert node.pending(sender) == {second["nonce"]: second["cid"]}
        node.mine(2)
        wait_landed(pool, ["replaced"])
    assert read(pool, "replaced")["cid"] == second["cid"]


def test_a_cancelled_message_moves_no_money(pool: RunningPool, node: RealNode, keys: dict[str, str]) -> None:
    sender = keys["worker"]
    receiver = node.call("WalletNew", "secp256k1")
    with node.halted():
        [first] = pushed_and_pending(pool, node, ["cancelled"], sender, to=receiver)

        answer = pool.ask("POST", "/api/v1/messages/cancelled/cancel", json={})

        assert answer.status_code == 200, answer.text
        empty = answer.json()
        assert (empty["nonce"], empty["value"], empty["to"]) == (first["nonce"], "0", empty["from"])
        assert node.pending(sender) == {empty["nonce"]: empty["cid"]}
        node.mine(2)
        wait_landed(pool, [empty["id"]])
    assert read(pool, "cancelled")["state"] in ("FAILED", "REPLACED")
    assert int(node.call("WalletBalance", receiver)) == 0


def test_a_reorganisation_brings_messages_back_with_their_nonces(
    pool: RunningPool, node: RealNode, keys: dict[str, str]
) -> None:
    ids = [f"reorg-{at}" for at in range(SOME)]
    receiver = node.call("WalletNew", "secp256k1")
    with node.halted():
        before = pushed_and_pending(pool, node, ids, keys["worker"], to=receiver)
        base = node.call("ChainHead")
        node.mine(3)
        wait_landed(pool, ids)
        heights = {one: read(pool, one)["height"] for one in ids}

        node.call("ChainSetHead", base["Cids"])
        assert node.height() == int(base["Height"])
        node.mine(1, nulls=REORG_NULLS)
        node.mine(3)

        wait_until(
            lambda: all(is_higher(read(pool, one), heights[one]) for one in ids),
            within_s=STEP_S,
            what=pool.diagnosis,
        )
    after = [read(pool, one) for one in ids]
    assert [(row["nonce"], row["cid"]) for row in after] == [(row["nonce"], row["cid"]) for row in before]
    assert {row["receipt"]["exit_code"] for row in after} == {0}
    assert int(node.call("WalletBalance", receiver)) == SOME


def test_messages_pushed_while_the_node_is_dead_land_once(
    pool: RunningPool, node: RealNode, line: NodeLine, keys: dict[str, str]
) -> None:
    ids = [f"away-{at}" for at in range(SOME)]
    receiver = node.call("WalletNew", "secp256k1")
    push(pool, ids[0], sender=keys["worker"], to=receiver)

    line.cut()
    for one in ids[1:]:
        push(pool, one, sender=keys["worker"], to=receiver)
    time.sleep(AWAY_EPOCHS * SLOW_MS / 1000)
    states = {read(pool, one)["state"] for one in ids[1:]}
    line.mend()

    assert states <= {"UNFILLED", "FILLED"}
    wait_landed(pool, ids)
    assert int(node.call("WalletBalance", receiver)) == SOME


def test_messages_that_a_killed_node_forgot_land_once(
    pool: RunningPool, node: RealNode, line: NodeLine, keys: dict[str, str]
) -> None:
    ids = [f"forgotten-{at}" for at in range(SOME)]
    receiver, sender = node.call("WalletNew", "secp256k1"), keys["worker"]
    with node.halted():
        before = pushed_and_pending(pool, node, ids, sender, to=receiver)
        line.cut()
        node.call("MpoolClear", True)  # what waited is gone, as with the process that held it
        assert node.pending(sender) == {}
        line.mend()

    wait_landed(pool, ids)
    after = [read(pool, one) for one in ids]
    assert [(row["nonce"], row["cid"]) for row in after] == [(row["nonce"], row["cid"]) for row in before]
    assert int(node.call("WalletBalance", receiver)) == SOME


# How messages are pushed and read


def test_a_transfer_waits_for_a_second_person_and_others_do_not(
    pool: RunningPool, node: RealNode, keys: dict[str, str], operators: tuple[Person, Person]
) -> None:
    first, second = operators
    answer = pool.ask("POST", "/api/v1/approval-rules", json={"above": str(UNAPPROVED)})
    assert answer.status_code == 201, answer.text
    receiver, moved = node.call("WalletNew", "secp256k1"), 5 * UNAPPROVED
    form = {"id": "held", "from": keys["worker"], "to": receiver, "value": f"{moved / 10**18:.18f}"}
    assert "waits for a second person" in first.post("/send/", **form).text

    page = first.post("/send/", **form, sure="yes").url.path
    ids = [f"free-{at}" for at in range(SOME)]
    for one in ids:
        push(pool, one, sender=keys["worker"], to=receiver)
    wait_landed(pool, ids)

    held = read(pool, "held")
    assert (held["state"], held["nonce"], held["cid"]) == ("UNFILLED", None, None)
    assert int(node.call("WalletBalance", receiver)) == SOME
    review = f"/message/approve/{page.split('/')[2]}/"
    content = re.search(r'name="content" value="(\w+)"', second.browser.get(review).text)
    assert content is not None
    own = first.post(review, content=content.group(1), decision="approve")
    assert own.status_code in (403, 404, 409, 422), "nobody approves what they sent"
    assert read(pool, "held")["state"] == "UNFILLED"
    done = second.post(review, content=content.group(1), decision="approve")
    assert done.status_code == 200, done.text[-2000:]
    wait_landed(pool, ["held"])

    assert int(node.call("WalletBalance", receiver)) == SOME + moved
    rows = [row for row in node.executed() if row.to == node.identity(receiver)]
    nonces = sorted(row.nonce for row in rows)
    assert nonces == list(range(nonces[0], nonces[0] + SOME + 1))
    assert {row.exit_code for row in rows} == {0}


def body_of(one: str, sender: str, to: str, value: int) -> dict[str, Any]:
    """Return the REST body of a transfer."""
    return {"id": one, "from": sender, "to": to, "method": 0, "value": str(value)}


def push(pool: RunningPool, one: str, *, sender: str, to: str, value: int = 1) -> None:
    """Push a transfer of so many attoFIL."""
    answer = pool.ask("POST", "/api/v1/messages", json=body_of(one, sender, to, value))
    assert answer.status_code == 201, answer.text


def read(pool: RunningPool, one: str) -> dict[str, Any]:
    """Return a message as REST has it."""
    row: dict[str, Any] = pool.read(f"/api/v1/messages/{one}")
    return row


def wait_landed(pool: RunningPool, ids: list[str]) -> None:
    """Wait until the pool knows the receipts of all."""
    left = set(ids)

    def are_landed() -> bool:
        left.difference_update({one for one in left if read(pool, one)["state"] == "LANDED"})
        return not left

    wait_until(are_landed, within_s=STEP_S, what=lambda: f"{sorted(left)}\n{pool.diagnosis()}")


def is_higher(row: dict[str, Any], height: int) -> bool:
    """Return whether a message has landed above a height."""
    return bool(row["state"] == "LANDED" and row["height"] > height)


def pushed_and_pending(
    pool: RunningPool, node: RealNode, ids: list[str], sender: str, *, to: str = ""
) -> list[dict[str, Any]]:
    """Push transfers and wait until they are signed and in the node's pool; no block takes them yet."""
    for one in ids:
        push(pool, one, sender=sender, to=to or sender)  # it is chosen at once: a block would take the first
    rows: list[dict[str, Any]] = []

    def are_pending() -> bool:
        rows[:] = [read(pool, one) for one in ids]
        waiting = set(node.pending(sender).values())
        return all(row["cid"] in waiting for row in rows)

    wait_until(are_pending, within_s=STEP_S, what=pool.diagnosis)
    return rows
