"""What a deleted sender's messages still need: their landing, a nonce, a raised fee."""

from __future__ import annotations

from apps.messages.models import Sender
from apps.messages.rules.push_items import Gas
from apps.messages.services.cancel import message_mark_bad
from apps.messages.services.fee_bump import proofs_bump
from apps.messages.services.senders import sender_delete, sender_set
from apps.messages.states import MessageState
from apps.users.rules.principals import SYSTEM
from tests.messaging import Pool
from tests.unit.apps.messages.tasks import run_head, sent

__all__ = ["sent"]


def in_flight(pool: Pool) -> str:
    """Push and choose one message; returns its sender."""
    address = pool.address()
    pool.push("one", address)
    pool.choose()
    return address


def test_a_deleted_sender_keeps_what_its_messages_need_to_land(pool: Pool) -> None:
    address = in_flight(pool)
    sender_set(principal=SYSTEM, address=address, fees={"max_fee": 10**17}, quota=7)

    sender_delete(principal=SYSTEM, address=address)

    row = Sender.objects.get()
    assert (row.max_fee, row.quota, row.next_nonce) == (0, 0, 1)
    pool.step()
    pool.step()
    assert pool.row("one").state == MessageState.LANDED
    sender_delete(principal=SYSTEM, address=address)
    assert not Sender.objects.exists()


def test_a_deleted_sender_stays_while_one_given_up_may_land(pool: Pool) -> None:
    address = in_flight(pool)
    message_mark_bad(message=pool.row("one"), now=pool.now)

    sender_delete(principal=SYSTEM, address=address)
    pool.step()
    pool.step()

    assert pool.row("one").state == MessageState.LANDED


def test_a_message_without_its_sender_is_chosen_and_raised(pool: Pool, sent: list[str]) -> None:
    address = pool.address()
    pool.push("one", address, gas=Gas(limit=1_000_000, fee_cap=200, premium=100), kind="window_post")
    Sender.objects.all().delete()

    run_head(pool, sent)

    assert pool.row("one").state == MessageState.FILLED
    Sender.objects.all().delete()
    pool.node.base_fee = 300
    pool.node.mine(only=lambda _signed: False)
    pool.follow()
    assert proofs_bump(client=pool.client, head=pool.head, now=pool.now) == [pool.row("one").pk]


def test_a_reverted_landing_of_a_deleted_sender_lands_again(pool: Pool) -> None:
    address = in_flight(pool)
    pool.step()
    pool.step()
    assert pool.row("one").state == MessageState.LANDED
    sender_delete(principal=SYSTEM, address=address)

    pool.node.rewind(2)
    pool.node.mine(salt="other")
    for _ in range(3):
        pool.step()

    assert pool.row("one").state == MessageState.LANDED
    assert pool.row("one").tipset_key in {tipset.cid for tipset in pool.node.chain(pool.node.head.cid)}
