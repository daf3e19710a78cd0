"""Senders whose nonces another program gives: the pool sends only what is pressing until a person lets it."""

from __future__ import annotations

import pytest

from apps.messages.errors import SenderShared
from apps.messages.models import Message, Sender
from apps.messages.selectors.diagnosis import message_diagnose
from apps.messages.selectors.foreign import senders_left
from apps.messages.services.gaps import gaps_fill
from apps.messages.services.senders import sender_other_note, sender_set
from apps.messages.states import MessageState, NoncesBy, Priority, Wait
from apps.users.models import AuditEntry
from apps.users.services.grants import signer_grant
from tests.messaging import Pool
from tests.people import principal, tenant


def left(pool: Pool) -> str:
    """Return an address whose nonces another program gives."""
    address = pool.address()
    sender_other_note(address)
    return address


def test_what_the_pool_would_send_waits_for_a_person(pool: Pool) -> None:
    address = left(pool)
    pool.push("pay", address)
    pool.step()

    row, sender = pool.row("pay"), Sender.objects.get(address=address)
    assert (row.state, row.nonce, sender.wait) == (MessageState.UNFILLED, None, Wait.OTHER_PROGRAM)
    diagnosis = message_diagnose(row, head=pool.head)
    assert (diagnosis.reason, diagnosis.actions[0]) == (Wait.OTHER_PROGRAM, "send-too")
    assert senders_left([sender]) == [sender]

    sender_set(principal=principal("alice"), address=address, nonces_by=NoncesBy.BOTH)
    pool.step()

    assert pool.row("pay").nonce == 0
    assert senders_left([Sender.objects.get(address=address)]) == []
    line = AuditEntry.objects.get(action="sender.set")
    assert (line.before, line.after) == ({"nonces_by": "OTHER"}, {"nonces_by": "BOTH"})


def test_a_proof_goes_all_the_same(pool: Pool) -> None:
    address = left(pool)
    pool.push("pay", address)
    pool.push("proof", address)
    Message.objects.filter(push_id="proof").update(priority=Priority.PROOF)
    pool.step()

    assert (pool.row("pay").nonce, pool.row("proof").nonce) == (None, 0)
    assert message_diagnose(pool.row("proof"), head=pool.head).reason != Wait.OTHER_PROGRAM


def test_a_person_s_word_outlasts_the_program_s_next_message(pool: Pool) -> None:
    address = left(pool)
    sender_set(principal=principal("alice"), address=address, nonces_by=NoncesBy.BOTH)
    sender_other_note(address)

    assert Sender.objects.get(address=address).nonces_by == NoncesBy.BOTH


def test_no_filler_takes_a_nonce_that_the_program_has_not_pushed_yet(pool: Pool) -> None:
    address = left(pool)
    pool.push("proof", address)
    Message.objects.filter(push_id="proof").update(priority=Priority.PROOF)
    pool.choose()
    pool.node.pool[(address, 2)] = pool.foreign(address, nonce=2)  # 1 is signed and on its way
    Sender.objects.update(next_nonce=3)
    for _ in range(3):
        assert gaps_fill(client=pool.client, head=pool.head) == []
        pool.step()

    assert not Message.objects.filter(kind="gap").exists()


def test_who_shares_a_sender_with_others_leaves_the_word_to_the_operator(pool: Pool) -> None:
    address = left(pool)
    signer_grant(tenant=tenant("bob"), address=address)

    with pytest.raises(SenderShared):
        sender_set(principal=principal("alice"), address=address, nonces_by=NoncesBy.BOTH)
    assert Sender.objects.get(address=address).nonces_by == NoncesBy.OTHER
