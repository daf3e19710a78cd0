"""Killed at a named point, started again: no nonce is burnt or given twice, every message lands once.

A kill leaves by an exception that no handler of ours takes, out of the line where it struck; what the next
process finds is what was committed.
"""

from __future__ import annotations

from typing import Any

import pytest

from apps.messages.models import Message, Sender, SignedVersion
from apps.messages.selectors.replacement_fees import NewFees
from apps.messages.services.replace import message_replace
from apps.messages.states import MessageState
from tests.messaging import Pool
from tests.unit.apps.messages.kills import POINTS, Kill, heads, killed

NAMES = ("a", "b", "c")


@pytest.mark.parametrize(
    ("module", "name", "how"), [row[1:] for row in POINTS], ids=[row[0] for row in POINTS]
)
def test_a_kill_burns_no_nonce_and_gives_none_twice(pool: Pool, module: str, name: str, how: Any) -> None:
    address = pool.address()
    for text in NAMES:
        pool.push(text, address)

    with pytest.MonkeyPatch.context() as patch:
        where = __import__(module, fromlist=[name])
        patch.setattr(where, name, how(getattr(where, name)))
        with pytest.raises(Kill):
            heads(pool, 3)
    heads(pool, 5)

    assert pool.nonces_on_chain(address) == [0, 1, 2]
    assert {pool.row(text).state for text in NAMES} == {MessageState.LANDED}
    assert sorted(row.nonce or 0 for row in Message.objects.all()) == [0, 1, 2]
    assert Sender.objects.get(address=address).next_nonce == 3


def test_a_kill_after_signing_a_replacement_leaves_the_old_version(pool: Pool) -> None:
    address = pool.address()
    pool.push("one", address)
    pool.choose()
    before = pool.row("one").cid

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("apps.messages.services.replace._store_version", killed(message_replace))
        with pytest.raises(Kill):
            message_replace(
                message=pool.row("one"),
                fees=NewFees(),
                client=pool.client,
                head=pool.head,
                now=pool.now,
            )

    assert pool.row("one").cid == before
    assert not SignedVersion.objects.exists()


def test_a_kill_after_storing_a_replacement_publishes_it_later(pool: Pool) -> None:
    address = pool.address()
    pool.push("one", address)
    pool.choose()
    row = message_replace(
        message=pool.row("one"), fees=NewFees(), client=pool.client, head=pool.head, now=pool.now
    )
    assert str(pool.node.pool[(address, 0)].cid) != row.cid

    pool.choose()

    assert str(pool.node.pool[(address, 0)].cid) == row.cid
