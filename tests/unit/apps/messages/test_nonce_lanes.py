"""The nonce lane: landed, in flight, stuck, missing, next, and what lies behind the picture's edge."""

from __future__ import annotations

import pytest

from apps.messages.models import Sender
from apps.messages.rules.push_items import Gas
from apps.messages.selectors import nonce_lanes
from apps.messages.selectors.nonce_lanes import Lane, lanes_of, open_by_sender
from apps.messages.services.cancel import message_mark_bad
from tests.messaging import FIL, Pool
from tests.people import principal

CHEAP = Gas(limit=2_000_000, fee_cap=200, premium=100)


def lane(pool: Pool, address: str) -> Lane:
    senders = list(Sender.objects.order_by("pk"))
    found = lanes_of(
        senders, viewer=principal(), open_counts=open_by_sender(principal()), base_fee=int(pool.head.base_fee)
    )
    assert set(found) == {sender.address for sender in senders}
    return found[address]


def test_those_that_wait_for_more_than_their_turn_are_counted(pool: Pool) -> None:
    held, queued = pool.address(fil=1), pool.address()
    pool.push("dear", held, value=5 * FIL)
    pool.push("queued", queued)
    found = {address: lane(pool, address) for address in (held, queued)}
    assert {address: (one.waiting, one.held) for address, one in found.items()} == {
        held: (1, 0),
        queued: (1, 0),
    }, "nobody has looked yet"

    pool.choose()

    one = lane(pool, held)
    assert (one.waiting, one.held, one.in_flight) == (1, 1, 0)


def test_each_nonce_says_where_it_is(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nonce_lanes, "SENDERS_AT_ONCE", 1)
    address, other = pool.address(), pool.address()
    pool.push("beside", other)
    for number in range(3):
        pool.push(f"landed-{number}", address)
    for _ in range(3):
        pool.step()
    pool.push("cheap", address, gas=CHEAP)
    pool.push("given up", address)
    pool.push("flying", address)
    pool.choose()
    message_mark_bad(message=pool.row("given up"), now=pool.now)
    pool.push("waiting", address)
    pool.node.base_fee = 300
    pool.node.mine(only=lambda _signed: False)
    pool.follow()

    found = lane(pool, address)

    assert [(one.nonce, one.place) for one in found.nonces] == [
        (1, "landed"),
        (2, "landed"),
        (3, "stuck"),
        (4, "gap"),
        (5, "flight"),
        (6, "next"),
    ]
    assert (found.waiting, found.in_flight, found.gaps, found.stuck, found.more) == (1, 2, 1, 1, 0)
    assert found.nonces[2].push_id == "cheap"


def test_what_lies_behind_the_edge_is_counted(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nonce_lanes, "NONCES_MAX", 4)
    address = pool.address()
    for number in range(7):
        pool.push(f"m{number}", address)
    pool.choose()

    found = lane(pool, address)

    assert [one.place for one in found.nonces] == ["flight"] * 4
    assert (found.more, found.in_flight, found.next_nonce) == (3, 7, 7)


def test_a_sender_that_never_sent_has_only_a_next_nonce(pool: Pool) -> None:
    address = pool.address()
    Sender.objects.create(address=address)

    assert [(one.nonce, one.place) for one in lane(pool, address).nonces] == [(0, "next")]
