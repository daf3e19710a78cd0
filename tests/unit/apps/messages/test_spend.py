"""What gas cost, by day: added when a message lands, taken off when it leaves the chain."""

from __future__ import annotations

from apps.messages.models import GasSpend
from apps.messages.rules.push_items import Gas
from apps.messages.selectors.replacement_fees import NewFees
from apps.messages.services.replace import message_replace
from apps.messages.services.search import messages_search
from apps.messages.states import MessageState
from tests.fake_node import GAS
from tests.messaging import Pool
from tests.people import tenant

CHEAP = Gas(limit=2 * GAS, fee_cap=1_000, premium=100)
COST = 100 * GAS + 100 * 2 * GAS
"""Base fee 100 of the gas used, the premium of the whole limit; the unused part is burnt beside it."""


def spent() -> dict[tuple[str, int], tuple[int, int, int]]:
    return {
        (row.from_addr, row.method): (row.messages, row.gas_used, row.cost) for row in GasSpend.objects.all()
    }


def land(pool: Pool, *ids: str) -> str:
    address = pool.address()
    for one in ids:
        pool.push(one, address, gas=CHEAP)
    pool.choose()
    pool.step()
    pool.step()
    return address


def test_a_landing_is_added_to_its_day(pool: Pool) -> None:
    address = land(pool, "one", "two")

    rows = GasSpend.objects.all()
    row = pool.row("one")
    assert row.gas_cost >= COST
    assert spent() == {(address, 0): (2, 2 * GAS, 2 * row.gas_cost)}
    assert [(found.day, found.tenant, found.to) for found in rows] == [(pool.now.date(), tenant("alice"), "")]


def test_what_a_reorganisation_takes_back_is_taken_off(pool: Pool) -> None:
    address = land(pool, "one")

    pool.node.rewind(2)
    for salt in ("a", "b", "c"):
        pool.node.mine(salt=salt, only=lambda _signed: False)
    pool.settle()

    assert pool.row("one").state == MessageState.FILLED
    assert pool.row("one").gas_cost == 0
    assert spent() == {(address, 0): (0, 0, 0)}


def test_what_an_older_version_cost_counts_when_it_landed(pool: Pool) -> None:
    address = pool.address()
    pool.push("one", address, gas=CHEAP)
    pool.choose()
    row = pool.row("one")
    message_replace(
        message=row,
        fees=NewFees(is_auto=False, premium=900, fee_cap=5_000, gas_limit=2 * GAS),
        client=pool.client,
        head=pool.head,
        now=pool.now,
    )
    pool.node.mine()  # the new version was not published yet
    pool.step()
    pool.step()

    assert pool.row("one").landed_cid == row.cid
    assert spent()[(address, 0)][2] < 900 * 2 * GAS


def test_what_is_found_after_days_offline_counts_too(pool: Pool) -> None:
    address = pool.address()
    pool.push("one", address, gas=CHEAP)
    pool.choose()
    pool.node.mine()
    pool.node.mine()
    pool.follow()

    messages_search(client=pool.client, key=pool.head.key, now=pool.now)

    assert spent()[(address, 0)] == (1, GAS, pool.row("one").gas_cost)
    assert pool.row("one").gas_cost >= COST
