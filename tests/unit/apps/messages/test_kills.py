"""Killed at a named point, started again: no nonce is burnt or given twice, every message lands once.

A kill leaves by an exception that no handler of ours takes, out of the line where it struck; what the next
process finds is what was committed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from apps.messages.models import Message, Sender, SignedVersion
from apps.messages.services.replace import NewFees, message_replace
from apps.messages.states import MessageState

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.messaging import Pool

NAMES = ("a", "b", "c")


class Kill(BaseException):
    """The end of a process."""


def killed(_real: Callable[..., Any]) -> Callable[..., Any]:
    """Die before the call."""

    def instead(*_args: Any, **_kwargs: Any) -> Any:
        raise Kill

    return instead


def killed_after(real: Callable[..., Any]) -> Callable[..., Any]:
    """Die when the call has done its work."""

    def instead(*args: Any, **kwargs: Any) -> Any:
        real(*args, **kwargs)
        raise Kill

    return instead


POINTS: list[tuple[str, str, str, Any]] = [
    ("before the estimate", "apps.messages.services.estimate", "messages_estimate", killed),
    ("after the estimate", "apps.messages.services.estimate", "messages_estimate", killed_after),
    ("before signing", "apps.messages.services.sign", "messages_sign", killed),
    ("after signing, before the commit", "apps.messages.services.sign", "messages_sign", killed_after),
    ("inside the transaction", "apps.messages.services.select", "messages_advance", killed_after),
    ("after nonce and signature, before publishing", "apps.messages.services.select", "_store", killed_after),
    ("before the node hears of it", "apps.messages.services.publish", "_send", killed),
    ("after publishing, before the commit", "apps.messages.services.publish", "_result_store", killed),
    ("after publishing and its commit", "apps.messages.services.publish", "_result_store", killed_after),
    ("before the receipts are read", "apps.messages.services.track", "_executed", killed),
    ("after the receipts were read", "apps.messages.services.track", "_executed", killed_after),
    ("inside the landing's transaction", "apps.messages.services.track", "messages_advance", killed_after),
    ("between landing and the tracker's place", "apps.messages.services.track", "_place", killed),
]


def heads(pool: Pool, count: int) -> None:
    """Choose on the head that is there, then let heads come."""
    pool.choose()
    for _ in range(count):
        pool.step()


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
