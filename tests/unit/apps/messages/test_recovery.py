"""A database that was restored from a backup reads back what it sent since, and pays nothing twice."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.gateway.errors import SignerAway
from apps.messages.models import (
    Message,
    Recovery,
    Sender,
    UnmatchedMessage,
)
from apps.messages.selectors.recovery import recovery_now, unmatched_open
from apps.messages.selectors.replacement_fees import NewFees
from apps.messages.services.recovery import restore
from apps.messages.services.recovery.detect import recovery_begin, restore_check
from apps.messages.services.recovery.restore import recovery_end, recovery_step, unmatched_decide
from apps.messages.services.replace import message_replace
from apps.messages.states import MessageState, Wait
from poolsite.filecoin.actors.miner import Method
from poolsite.filecoin.actors.miner_proving import DeclareFaultsRecoveredParams, TerminateSectorsParams
from poolsite.filecoin.actors.miner_sectors import ExtendSectorExpiration2Params
from poolsite.filecoin.address import address_parse
from poolsite.filecoin.codec import to_cbor
from poolsite.filecoin.ethereum import transfer_method
from tests.messaging import Pool
from tests.people import principal
from tests.unit.apps.messages.recovery import Dump, heads, paid, without_ids

QUERIES_OF_A_SENDER = 20
"""The second reading back is of two senders: each is asked about, whatever it sent."""


@pytest.fixture(autouse=True)
def first_look(pool: Pool) -> None:
    restore_check(now=pool.now)


@pytest.mark.parametrize("has_ids", [True, False], ids=["our signer", "venus-wallet"])
@pytest.mark.parametrize("count", [0, 1, 100, pytest.param(1000, marks=pytest.mark.slow)])
def test_what_waited_at_the_dump_and_landed_is_paid_once(
    pool: Pool, monkeypatch: pytest.MonkeyPatch, count: int, has_ids: bool
) -> None:
    if not has_ids:
        without_ids(pool, monkeypatch)
    address = pool.address(fil=10**6)
    pool.push("before", address, value=10**6)
    heads(pool, 3)
    pool.push_many(count, address)
    Sender.objects.update(quota=600)
    dump = Dump()
    pool.choose()
    heads(pool, 4)
    assert len(paid(pool, address)) == count + 1

    dump.restore()
    heads(pool, 4)

    assert len(paid(pool, address)) == count + 1
    assert Message.objects.filter(state=MessageState.LANDED).count() == count + 1
    assert recovery_now() is None
    pool.push("after", address, value=77)
    pool.choose()
    heads(pool, 2)
    assert paid(pool, address).count(77) == 1
    assert pool.nonces_on_chain(address) == list(range(count + 2))


@pytest.mark.parametrize("kept", ["rows", "ids alone", "contents alone", "nothing"])
def test_reading_back_asks_as_much_for_many_messages_as_for_few(
    pool: Pool, monkeypatch: pytest.MonkeyPatch, kept: str
) -> None:
    asked = []
    if kept in {"contents alone", "nothing"}:
        without_ids(pool, monkeypatch)
    for count in (3, 30):
        address = pool.address(fil=10**6)
        pool.push(f"{kept}{count}", address, value=10**6)
        heads(pool, 3)
        ids, dump = [f"{kept}{count}-{at}" for at in range(count)], None
        if kept in {"ids alone", "nothing"}:
            dump = Dump()
        for at, id in enumerate(ids):
            pool.push(id, address, value=at % 5 + 1)
        dump = dump or Dump()
        Sender.objects.update(quota=600)
        pool.choose()
        heads(pool, 3)

        dump.restore()
        restore_check(now=pool.now)
        with CaptureQueriesContext(connection) as seen:
            recovery_step(client=pool.client, now=pool.now)

        lost = count if kept == "nothing" else 0
        assert unmatched_open().filter(from_addr=address).count() == lost
        landed = Message.objects.filter(from_addr=address, state="LANDED", height__gt=0, gas_used__gt=0)
        assert landed.exclude(cid="").exclude(tipset_key="").count() == count + 1 - lost
        asked.append(len(seen))
        unmatched_open().update(decided_at=pool.now)
        recovery_step(client=pool.client, now=pool.now)
        heads(pool, 1)

    assert asked[1] <= asked[0] + QUERIES_OF_A_SENDER


def test_a_row_that_the_dump_lacks_comes_back_with_its_id(pool: Pool) -> None:
    address = pool.address()
    pool.push("before", address, value=9)
    heads(pool, 2)
    dump = Dump()
    pool.push("lost", address, value=5, kind="")
    pool.choose()
    heads(pool, 3)

    dump.restore()
    heads(pool, 3)

    row = pool.row("lost")
    assert (row.state, row.nonce, row.pushed_by) == (MessageState.LANDED, 1, "recovered")
    assert row.tenant is not None
    assert row.tenant.name == "alice"
    assert pool.push("lost", address, value=5).pk == row.pk
    heads(pool, 3)
    assert paid(pool, address) == [5, 9]


@pytest.mark.parametrize("kind", ["secp256k1", "bls"])
def test_what_the_newest_blocks_include_is_read_back_too(pool: Pool, kind: str) -> None:
    """It is in no node's pool any more, and not executed yet."""
    address = pool.address(kind=kind)
    pool.push("before", address, value=9)
    heads(pool, 2)
    dump = Dump()
    pool.push("lost", address, value=5)
    pool.choose()
    pool.node.mine()
    assert not pool.node.pool

    dump.restore()
    pool.settle()
    assert pool.row("lost").nonce == 1
    heads(pool, 3)

    assert pool.row("lost").state == MessageState.LANDED
    pool.push("next", address, value=7)
    heads(pool, 3)
    assert paid(pool, address) == [5, 7, 9]
    assert pool.nonces_on_chain(address) == [0, 1, 2]


def test_two_processes_that_read_back_at_once_leave_nothing_to_decide(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = pool.address(fil=10)
    pool.push("before", address, value=9)
    heads(pool, 2)
    pool.push("waiting", address, value=5)
    dump = Dump()
    pool.choose()
    heads(pool, 3)
    asked = vars(restore)["signed_ids_read"]  # of the signer beside the test

    def overtaken(*args: Any, **kwargs: Any) -> Any:
        monkeypatch.setattr(restore, "signed_ids_read", asked)
        recovery_step(client=pool.client, now=pool.now)
        return asked(*args, **kwargs)

    dump.restore()
    restore_check(now=pool.now)
    monkeypatch.setattr(restore, "signed_ids_read", overtaken)
    recovery_step(client=pool.client, now=pool.now)

    assert pool.row("waiting").state == MessageState.LANDED
    assert not unmatched_open().exists()
    assert recovery_now() is None


def test_recovery_ends_when_all_is_read_back_not_when_that_began(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, ended = pool.now, pool.now + timedelta(minutes=7)
    restore_check(now=began)
    recovery_begin("restored", now=began)
    monkeypatch.setattr("apps.core.clock.now", lambda: ended)

    recovery_step(client=pool.client, now=began)

    assert recovery_now() is None
    assert Recovery.objects.get().ended_at == ended


def test_unexplained_message_stops_signing_until_decided(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    without_ids(pool, monkeypatch)
    address = pool.address()
    pool.push("before", address, value=9)
    heads(pool, 2)
    dump = Dump()
    pool.push("lost", address, value=5)
    pool.choose()
    heads(pool, 3)

    dump.restore()
    pool.push("new", address, value=6)
    heads(pool, 3)
    assert paid(pool, address) == [5, 9]
    sender = Sender.objects.get(address=address)
    assert (sender.wait, pool.row("new").state) == (Wait.RECOVERY, MessageState.UNFILLED)
    assert "decide about them" in sender.error

    [left] = UnmatchedMessage.objects.all()
    unmatched_decide(principal=principal(), row=left, message_id="", client=pool.client, now=pool.now)
    heads(pool, 3)
    assert paid(pool, address) == [5, 6, 9]
    assert recovery_now() is None


@pytest.mark.parametrize("kind", ["secp256k1", "delegated"])
def test_a_transfer_of_nothing_to_oneself_needs_no_person(
    pool: Pool, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    without_ids(pool, monkeypatch)
    address = pool.address(kind=kind)
    method = transfer_method(address_parse(address))
    pool.push("before", address, to=address, method=method, value=9)
    heads(pool, 2)
    dump = Dump()
    pool.push("lost", address, to=address, method=method, value=0)
    heads(pool, 3)

    dump.restore()
    restore_check(now=pool.now)
    recovery_step(client=pool.client, now=pool.now)

    assert pool.nonces_on_chain(address) == [0, 1]
    assert not unmatched_open().exists()
    assert recovery_now() is None


@pytest.mark.parametrize("is_landed", [True, False], ids=["landed", "in the node's pool"])
@pytest.mark.parametrize(
    ("kind", "method", "params"),
    [
        ("recover", Method.DECLARE_FAULTS_RECOVERED, DeclareFaultsRecoveredParams(recoveries=())),
        ("terminate", Method.TERMINATE_SECTORS, TerminateSectorsParams(terminations=())),
        ("extend", Method.EXTEND_SECTOR_EXPIRATION2, ExtendSectorExpiration2Params(extensions=())),
    ],
)
def test_a_seal_message_of_a_signer_without_ids_needs_no_person(
    pool: Pool, monkeypatch: pytest.MonkeyPatch, is_landed: bool, kind: str, method: Method, params: Any
) -> None:
    without_ids(pool, monkeypatch)
    address = pool.address()
    pool.push("before", address, value=9)
    heads(pool, 2)
    dump = Dump()
    pool.push(f"{kind}:1", address, to="f01000", method=method, params=to_cbor(params), kind=kind)
    pool.choose()
    assert pool.row(f"{kind}:1").state == MessageState.FILLED
    if is_landed:
        heads(pool, 3)

    dump.restore()
    restore_check(now=pool.now)
    recovery_step(client=pool.client, now=pool.now)

    assert not unmatched_open().exists()
    assert recovery_now() is None
    [row] = Message.objects.filter(kind=kind)
    assert (row.nonce, row.pushed_by, row.tenant and row.tenant.name) == (1, "recovered", "alice")
    assert row.push_id.startswith(f"{kind}:")
    heads(pool, 3)
    assert pool.nonces_on_chain(address) == [0, 1]
    assert Message.objects.get(pk=row.pk).state == MessageState.LANDED


def test_a_person_may_say_which_message_it_is(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    without_ids(pool, monkeypatch)
    address = pool.address()
    pool.push("one", address, value=5)
    heads(pool, 2)
    dump = Dump()
    pool.push("lost", address, value=6)
    pool.choose()
    heads(pool, 3)
    dump.restore()
    pool.push("lost", address, value=7)
    heads(pool, 2)
    [left] = UnmatchedMessage.objects.all()

    unmatched_decide(principal=principal(), row=left, message_id="lost", client=pool.client, now=pool.now)
    heads(pool, 3)

    assert paid(pool, address) == [5, 6]
    assert pool.row("lost").state == MessageState.LANDED


def test_what_is_in_the_nodes_pool_is_in_flight_again(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    without_ids(pool, monkeypatch)
    address = pool.address()
    pool.push("one", address, value=5)
    dump = Dump()
    pool.choose()
    cid = pool.row("one").cid

    dump.restore()
    restore_check(now=pool.now)
    recovery_step(client=pool.client, now=pool.now)

    assert (pool.row("one").state, pool.row("one").cid) == (MessageState.FILLED, cid)
    heads(pool, 2)
    assert (paid(pool, address), pool.row("one").state) == ([5], MessageState.LANDED)


def test_a_replacement_that_the_dump_lacks_lands_its_message(pool: Pool) -> None:
    address = pool.address()
    pool.push("one", address, value=5)
    pool.choose()
    dump = Dump()
    row = message_replace(
        message=pool.row("one"), fees=NewFees(), client=pool.client, head=pool.head, now=pool.now
    )
    pool.choose()

    dump.restore()
    heads(pool, 3)

    assert (pool.row("one").state, pool.row("one").landed_cid) == (MessageState.LANDED, row.cid)
    assert paid(pool, address) == [5]


def restored_unnoticed(pool: Pool) -> str:
    """Two messages land after the dump that is put back; returns their sender."""
    address = pool.address()
    pool.push("before", address, value=9)
    heads(pool, 2)
    pool.push("one", address, value=5)
    pool.push("two", address, value=6)
    dump = Dump()
    pool.choose()
    heads(pool, 2)
    dump.restore(is_noticed=False)
    return address


def test_a_restore_that_nobody_noticed_shows_by_the_chain(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_ids(pool, monkeypatch)
    address = restored_unnoticed(pool)
    pool.choose()
    recovery = recovery_now()
    assert recovery is not None
    assert "one" in recovery.reason
    assert "of which the database has no record" in recovery.reason
    heads(pool, 3)

    assert paid(pool, address) == [5, 6, 9]
    assert pool.row("one").state == MessageState.LANDED
    assert recovery_now() is None


def test_what_a_restored_pool_finds_to_be_its_own_is_no_foreign_use(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_ids(pool, monkeypatch)
    address = restored_unnoticed(pool)
    heads(pool, 4)

    sender, recovery = Sender.objects.get(address=address), Recovery.objects.get()
    assert (recovery.since, recovery.matched) == (None, 2)
    first = (
        "a message identical to one, which is pending here, landed with nonce 1, "
        "of which the database has no record"
    )
    assert recovery.reason == first, "what is found after it follows from it"
    assert (sender.foreign_at, sender.foreign_cid) == (None, "")
    assert paid(pool, address) == [5, 6, 9]


def test_an_absent_signer_is_waited_for_where_it_may_know_the_ids(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = pool.address()
    pool.push("one", address, value=5)
    dump = Dump()
    pool.choose()
    heads(pool, 2)
    dump.restore()

    def away(*_args: Any, **_kwargs: Any) -> Any:
        raise SignerAway(address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("apps.messages.services.recovery.restore.signed_ids_read", away)
        heads(pool, 2)
    assert Sender.objects.get(address=address).wait == Wait.RECOVERY
    assert paid(pool, address) == [5]
    heads(pool, 2)
    assert (recovery_now(), pool.row("one").state) == (None, MessageState.LANDED)


def test_a_person_may_end_recovery_and_answers_for_it(pool: Pool) -> None:
    recovery_begin("by hand", now=pool.now)

    recovery_end(principal=principal(), now=pool.now)

    assert recovery_now() is None
