"""A waiting message that another program sends with its own key: this holds up its sender, not the pool."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from apps.core import clock
from apps.gateway.errors import SignerAway
from apps.messages import tasks
from apps.messages.models import Message, Recovery, Sender
from apps.messages.services.recovery import unrecorded
from apps.messages.services.recovery.unrecorded import MempoolSnapshot
from apps.messages.services.track import messages_track
from apps.messages.states import MessageState, SenderState, Wait
from tests.messaging import Pool
from tests.people import principal
from tests.unit.apps.messages.recovery import Dump, heads, paid, without_ids

AMOUNT = 55


BEGUN = datetime(2021, 1, 1, tzinfo=UTC)
"""When the process looked first, before all heads of the node."""


@pytest.fixture(autouse=True)
def begun(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin each test as a process that has seen no sender, and an empty pool of the node."""
    monkeypatch.setattr(unrecorded, "_versions", {})
    look(monkeypatch)


def look(monkeypatch: pytest.MonkeyPatch, *, at: datetime = BEGUN, **how: Any) -> None:
    monkeypatch.setattr(unrecorded, "_snapshots", [MempoolSnapshot(at, how.get("pending", frozenset()))])
    monkeypatch.setattr(unrecorded, "_server_started", lambda: how.get("server", at))


def waiting(pool: Pool, address: str, *, of: str = "alice", is_of_this_life: bool = True) -> None:
    """Let a first message land and a second wait, pushed by a clock that is a day off."""
    by = principal(of)
    pool.push(f"before {address}", address, by=by)
    pool.choose()
    pool.step()
    pool.push(f"waits {address}", address, by=by, value=AMOUNT)
    pushed(is_of_this_life=is_of_this_life)


def pushed(*, is_of_this_life: bool) -> None:
    Message.objects.update(created_at=clock.now() if is_of_this_life else BEGUN + timedelta(minutes=1))


def sent(pool: Pool, address: str) -> str:
    foreign = pool.foreign(address, nonce=1, value=AMOUNT)
    pool.node.pool[(address, 1)] = foreign
    return str(foreign.cid)


def is_recovering() -> bool:
    return Recovery.objects.filter(restored_at__isnull=False).exists()


@pytest.mark.parametrize("is_selecting", [True, False], ids=["in the node's pool", "landed"])
def test_a_message_sent_elsewhere_holds_up_its_sender_alone(pool: Pool, is_selecting: bool) -> None:
    address, other = pool.address(), pool.address(of="bob")
    waiting(pool, address)
    if not is_selecting:  # noticed where it lands
        Sender.objects.update(state=SenderState.FORBIDDEN)
    cid = sent(pool, address)
    pool.push("other", other, by=principal("bob"), value=7)
    pool.choose()
    assert pool.row(f"waits {address}").state == MessageState.UNFILLED
    if not is_selecting:
        heads(pool, 2)
        Sender.objects.update(state=SenderState.ALIVE)
    pool.push("after", address, value=8)
    heads(pool, 4)

    row, sender = pool.row(f"waits {address}"), Sender.objects.get(address=address)
    assert not is_recovering()
    assert (row.state, row.landed_cid, row.nonce) == (MessageState.LANDED, cid, 1)
    assert (
        row.events.get(event="matched").text == f"sent outside the pool with nonce 1 as {cid}: not sent again"
    )
    assert (sender.unrecorded_nonce, sender.foreign_at, sender.wait) == (None, None, "")
    assert (paid(pool, address), paid(pool, other)) == ([1, 8, AMOUNT], [7])
    assert pool.nonces_on_chain(address) == [0, 1, 2]


@pytest.mark.parametrize("is_selecting", [True, False], ids=["in the node's pool", "landed"])
def test_one_pushed_before_this_process_began_begins_recovery(pool: Pool, is_selecting: bool) -> None:
    address = pool.address()
    waiting(pool, address, is_of_this_life=False)
    if not is_selecting:
        Sender.objects.update(state=SenderState.FORBIDDEN)
    sent(pool, address)
    pool.choose()
    heads(pool, 2)

    assert is_recovering()


def test_a_sender_that_was_set_back_begins_recovery(pool: Pool) -> None:
    address = pool.address()
    waiting(pool, address)
    sent(pool, address)
    unrecorded.version_note(address, version=Sender.objects.get(address=address).version + 1)
    pool.choose()

    assert is_recovering()


def test_a_message_on_its_way_when_the_process_began_begins_recovery(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a restore: a client pushes again what is in the node's pool and in no row."""
    address = pool.address()
    waiting(pool, address)
    sent(pool, address)
    monkeypatch.setattr(unrecorded, "_snapshots", [])
    tasks.track(height=0, key="")
    del pool.node.pool[address, 1]
    tasks.track(height=0, key="")
    sent(pool, address)
    Message.objects.update(created_at=clock.now() + timedelta(hours=1))
    pool.choose()

    assert [one.pending for one in unrecorded._snapshots] == [{(address, 1)}]
    assert is_recovering()


@pytest.mark.parametrize("is_selecting", [True, False], ids=["by the selection", "by the tracker"])
def test_a_message_executed_before_the_process_began_begins_recovery(
    pool: Pool, monkeypatch: pytest.MonkeyPatch, is_selecting: bool
) -> None:
    address = pool.address()
    waiting(pool, address)
    sent(pool, address)
    pool.node.mine()
    pool.node.mine()
    look(monkeypatch, at=datetime.fromtimestamp(pool.node.clock, tz=UTC))
    Message.objects.update(created_at=clock.now() + timedelta(days=9_999))
    pool.follow()
    if is_selecting:
        pool.choose()
    else:
        messages_track(head=pool.head, client=pool.client, now=pool.now)

    assert is_recovering()


@pytest.mark.parametrize("is_known", [True, False], ids=["server began later", "no look"])
def test_nothing_is_of_a_life_that_nobody_looked_at(
    pool: Pool, monkeypatch: pytest.MonkeyPatch, is_known: bool
) -> None:
    address = pool.address()
    waiting(pool, address)
    sent(pool, address)
    look(monkeypatch, server=clock.now())
    if not is_known:
        monkeypatch.setattr(unrecorded, "_snapshots", [])
    pool.choose()

    assert is_recovering()


@pytest.mark.parametrize(("other", "is_noticed"), [("alice", False), ("bob", True)])
def test_two_tenants_with_messages_sent_elsewhere_begin_recovery(
    pool: Pool, other: str, is_noticed: bool
) -> None:
    for whose in ("alice", other):
        address = pool.address(of=whose)
        waiting(pool, address, of=whose)
        sent(pool, address)
        pool.choose()

    assert is_recovering() == is_noticed


@pytest.mark.parametrize("has_ids", [True, False], ids=["our signer", "venus-wallet"])
def test_a_machine_set_back_with_its_memory_pays_once(
    pool: Pool, monkeypatch: pytest.MonkeyPatch, has_ids: bool
) -> None:
    """Neither process nor database server began anew; a signer elsewhere knows better."""
    if not has_ids:
        without_ids(pool, monkeypatch)
    address = pool.address()
    waiting(pool, address)
    dump = Dump()
    pool.choose()
    heads(pool, 2)
    assert paid(pool, address) == [1, AMOUNT]

    dump.restore(is_noticed=False)
    unrecorded._versions.clear()
    pushed(is_of_this_life=True)
    heads(pool, 4)

    assert is_recovering() == has_ids
    assert paid(pool, address) == [1, AMOUNT]
    assert pool.row(f"waits {address}").state == MessageState.LANDED


def test_an_absent_signer_holds_up_what_was_sent_elsewhere(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = pool.address()
    waiting(pool, address)
    sent(pool, address)

    def away(*_args: Any, **_kwargs: Any) -> Any:
        raise SignerAway(address)

    with monkeypatch.context() as patch:
        patch.setattr("apps.messages.services.recovery.restore.signed_ids_read", away)
        pool.choose()
        heads(pool, 3)
    sender = Sender.objects.get(address=address)
    assert (sender.wait, pool.row(f"waits {address}").state) == (Wait.RECOVERY, MessageState.UNFILLED)
    assert "cannot be read: no signer with the key" in sender.error
    heads(pool, 2)

    assert pool.row(f"waits {address}").state == MessageState.LANDED
    assert (paid(pool, address), is_recovering()) == ([1, AMOUNT], False)
