"""Pushing: idempotent by id, and every wrong field named with no row left behind."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from django.db import connection

from apps.core.errors import DomainError
from apps.messages.errors import BadMessage, MessageIdTaken, ReceiverNotGranted, SenderStopped
from apps.messages.models import Message, Sender
from apps.messages.rules.push_items import PushItem, SendSpec
from apps.messages.selectors.queue_costs import GAS_UNKNOWN, LIMIT_PERCENT
from apps.messages.services.dry_run import message_dry_run
from apps.messages.services.push import messages_insert, messages_push
from apps.messages.services.selection_queue import SELECT_EXPIRES_S, selection_enqueue
from apps.messages.services.senders import sender_set
from apps.messages.states import MessageState, Priority, SenderState, Wait
from apps.users.rules.principals import SYSTEM
from apps.wallets.errors import SenderNotGranted
from tests import factories
from tests.messaging import FIL, RECEIVER, Pool
from tests.people import principal
from tests.unit.apps.messages.push import WRONG


def test_a_push_leaves_a_waiting_row_and_its_sender(pool: Pool) -> None:
    address = pool.address()

    row = pool.push("one", address, spec=SendSpec(max_fee=7))

    assert (row.state, row.nonce, row.max_fee) == (MessageState.UNFILLED, None, 7)
    assert Sender.objects.get(address=address).next_nonce == 0


def test_the_same_content_again_is_the_same_row(pool: Pool) -> None:
    address = pool.address()

    first = pool.push("one", address)
    again = pool.push("one", address)

    assert first.pk == again.pk
    assert Message.objects.count() == 1


def test_a_push_planned_in_an_empty_pool_reads_no_whole_table(pool: Pool) -> None:
    address = pool.address()

    def push(turn: int, count: int) -> int:
        """Push messages; return how many rows were read since the transaction began, in whole tables."""
        names = [f"{turn}-{at}" for at in range(count)]
        items = [PushItem(id=name, to=RECEIVER, from_=address, method=0, value=1) for name in names]
        messages_push(items, principal=principal())
        with connection.cursor() as cursor:
            cursor.execute(
                "select seq_tup_read from pg_stat_xact_user_tables where relname = 'messages_message'"
            )
            return int(cursor.fetchone()[0])

    pool.push("one", address)
    with connection.cursor() as cursor:
        cursor.execute("analyze messages_message")
    for turn in range(8):
        push(turn, 10)
    before, after = push(8, 500), push(9, 50)

    assert after - before < 2_000
    assert Message.objects.count() == 631


@pytest.mark.parametrize(
    "other", [{"value": 2}, {"method": 1}, {"params": b"\x80"}, {"to": "f01001"}], ids=str
)
def test_other_content_under_the_same_id_is_refused(pool: Pool, other: dict[str, Any]) -> None:
    address = pool.address()
    pool.push("one", address)

    with pytest.raises(MessageIdTaken, match="already exists") as refusal:
        pool.push("one", address, **other)

    assert refusal.value.field == "id"
    assert Message.objects.count() == 1


def test_t_and_f_spell_one_sender(pool: Pool) -> None:
    address = pool.address()

    row = pool.push("one", "t" + address[1:])

    assert row.from_addr == address


def test_what_the_balance_cannot_pay_is_taken_and_said_at_once(pool: Pool) -> None:
    address, unknown = pool.address(), pool.address()
    factories.wallet(address, balance=3 * FIL)

    rows = [pool.push("dear", address, value=4 * FIL), pool.push("cheap", address, value=3 * FIL)]
    rows.append(pool.push("unknown", unknown, value=10**6 * FIL))

    assert [(row.wait, row.error) for row in rows] == [
        (Wait.FUNDS, "needs 4 FIL, has 3 FIL"),
        (Wait.NEXT_HEAD, ""),
        (Wait.NEXT_HEAD, ""),
    ]


def test_a_stranger_cannot_send_from_a_wallet(pool: Pool) -> None:
    address = pool.address()

    with pytest.raises(SenderNotGranted) as refusal:
        pool.push("one", address, by=principal("mallory"))

    assert refusal.value.field == "from"
    assert not Message.objects.exists()
    assert not Sender.objects.exists()


def test_the_pool_itself_may_send_from_any_known_wallet(pool: Pool) -> None:
    address = pool.address()

    assert pool.push("one", address, by=SYSTEM).tenant is None


def test_a_stopped_sender_takes_nothing(pool: Pool) -> None:
    address = pool.address()
    pool.push("one", address)
    sender_set(principal=SYSTEM, address=address, state=SenderState.FORBIDDEN)

    with pytest.raises(SenderStopped, match="is forbidden"):
        pool.push("two", address)


@pytest.mark.parametrize(
    ("limits", "state", "error"),
    [
        ({"signers": ("f01",)}, SenderState.ALIVE, SenderNotGranted),
        ({"miners": (1234,)}, SenderState.ALIVE, ReceiverNotGranted),
        ({}, SenderState.FORBIDDEN, SenderStopped),
    ],
    ids=["sender", "receiver", "stopped"],
)
def test_what_a_push_refuses_a_dry_run_refuses_too(
    pool: Pool, limits: dict[str, Any], state: SenderState, error: type[DomainError]
) -> None:
    address = pool.address()
    item = PushItem(id="one", to="f01000", from_=address, method=0, value=1)
    message_dry_run(item, principal=principal(), client=pool.client, head=pool.head)
    Sender.objects.create(address=address, state=state)
    by = replace(principal(), **limits)

    with pytest.raises(error):
        message_dry_run(item, principal=by, client=pool.client, head=pool.head)
    with pytest.raises(error):
        pool.push("one", address, by=by)


def test_a_dry_run_counts_what_waits_of_the_same_sender(pool: Pool) -> None:
    address, other = pool.address(), pool.address()
    item = PushItem(id="one", to="f01000", from_=address, method=0, value=1)
    before = message_dry_run(item, principal=principal(), client=pool.client, head=pool.head)
    for key in ("a", "b"):
        pool.push(key, address, value=10**17)
    pool.push("c", other, value=10**17)

    run = message_dry_run(item, principal=principal(), client=pool.client, head=pool.head)

    gas = 2 * (GAS_UNKNOWN * LIMIT_PERCENT // 100) * run.gas_fee_cap
    assert (before.waiting, run.waiting) == (0, 2 * 10**17 + gas)
    assert run.balance_after == before.balance_after - run.waiting


def test_an_id_address_is_resolved_and_its_failure_is_named(pool: Pool) -> None:
    with pytest.raises(BadMessage) as refusal:
        pool.push("one", "f01234")

    assert refusal.value.reason == "getting key address f01234 failed: mock: unknown id"


def test_a_proof_goes_before_the_rest(pool: Pool) -> None:
    address = pool.address()

    assert pool.push("a", address, kind="window_post").priority == Priority.PROOF
    assert pool.push("b", address, kind="precommit").priority == Priority.PRE_COMMIT
    assert pool.push("c", address, method=5).priority == Priority.PROOF
    assert pool.push("d", address, kind="withdraw").priority == Priority.REST


@pytest.mark.parametrize(
    ("wrong", "field"), [(w, f) for _, w, f in WRONG], ids=[name for name, _, _ in WRONG]
)
def test_a_wrong_field_is_named_and_leaves_no_row(pool: Pool, wrong: dict[str, Any], field: str) -> None:
    address = pool.address()
    pool.step()
    pool.step()
    data = {"id": "one", "from_": address, **wrong}

    with pytest.raises(DomainError) as refusal:
        pool.push(data.pop("id"), data.pop("from_"), **data)

    assert refusal.value.field == field
    assert refusal.value.reason
    assert not Message.objects.exists()
    assert not Sender.objects.exists()


def test_rows_are_written_in_the_order_of_their_ids(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    address = pool.address()
    written: list[list[str]] = []
    real = messages_insert

    def seen(rows: Any) -> Any:
        written.append([row.push_id for row in rows])
        return real(rows)

    monkeypatch.setattr("apps.messages.services.push.messages_insert", seen)
    names = ["c", "a", "b", "a"]
    items = [PushItem(id=name, to="f01000", from_=address, method=0) for name in names]
    messages_push(items, principal=principal())

    assert written == [["a", "b", "c"]]
    assert list(Message.objects.order_by("created_at").values_list("push_id", flat=True)) == ["c", "a", "b"]


def test_a_selection_that_nobody_works_off_is_forgotten(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []
    send = "apps.messages.services.selection_queue.current_app.send_task"
    monkeypatch.setattr(send, lambda _name, **how: asked.append(how))

    selection_enqueue("f01")

    assert asked[0]["expires"] == SELECT_EXPIRES_S
