"""The tasks of a head, as the queue runs them: late, twice, and without a node."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apps.messages import tasks
from apps.messages.models import Message
from apps.messages.rules.push_items import Gas
from apps.messages.states import MessageState, Wait
from tests.messaging import Pool
from tests.unit.apps.messages.tasks import run_head, sent

if TYPE_CHECKING:
    from pytest_django import DjangoAssertNumQueries

__all__ = ["sent"]


def test_a_message_goes_all_the_way_by_tasks(pool: Pool, sent: list[str]) -> None:
    pool.push("one", pool.address())

    for _ in range(4):
        run_head(pool, sent)
        pool.node.mine()
        pool.follow()

    assert pool.row("one").state == MessageState.LANDED


def test_a_task_that_is_several_heads_late_chooses_all_the_same(pool: Pool, sent: list[str]) -> None:
    for _ in range(5):
        pool.node.mine()
    pool.follow()
    pool.push("one", pool.address())

    run_head(pool, sent, height=1)

    assert pool.row("one").state == MessageState.FILLED


def test_only_senders_with_something_to_send_get_a_task(pool: Pool, sent: list[str]) -> None:
    busy, idle = pool.address(), pool.address()
    pool.push("landed", idle)
    run_head(pool, sent)
    pool.push("one", busy)

    tasks.select(height=0, key="")

    assert sent == [busy]


def test_tasks_run_twice_are_harmless(pool: Pool, sent: list[str]) -> None:
    address = pool.address()
    for name in "ab":
        pool.push(name, address)

    for _ in range(3):
        run_head(pool, sent)
        run_head(pool, sent)
        pool.node.mine()
        pool.follow()

    assert pool.nonces_on_chain(address) == [0, 1]


def test_without_a_node_the_tasks_end_and_the_rows_wait(pool: Pool, sent: list[str]) -> None:
    address = pool.address()
    pool.push("one", address)
    pool.node.refuses = lambda _method, _params: "the node is starting"

    run_head(pool, sent)
    tasks.select_sender(address=address)

    assert pool.row("one").state == MessageState.UNFILLED
    pool.node.refuses = lambda _method, _params: None
    run_head(pool, sent)
    assert pool.row("one").state == MessageState.FILLED


def test_senders_whose_signer_is_away_are_chosen_last_and_proofs_first(pool: Pool, sent: list[str]) -> None:
    away, plain, proof = sorted(pool.address() for _ in range(3))
    for address in (away, plain):
        pool.push(f"from {address}", address)
    pool.push("proof", proof, kind="window_post")
    Message.objects.filter(from_addr=away).update(wait=Wait.SIGNER_AWAY)

    tasks.select(height=0, key="")

    assert sent == [proof, plain, away]


def test_a_cap_that_the_base_fee_overtook_is_noted_until_it_has_fallen(pool: Pool, sent: list[str]) -> None:
    pool.push("one", pool.address(), gas=Gas(limit=1_000_000, fee_cap=200, premium=100))
    pool.choose()
    waits = []

    for fee in (300, 150):
        pool.node.base_fee = fee
        pool.node.mine(only=lambda _signed: False)
        pool.follow()
        run_head(pool, sent)
        waits.append(pool.row("one").wait)

    assert waits == [Wait.FEE_CAP, Wait.IN_POOL]


def test_a_head_without_messages_that_wait_or_fly_asks_for_nothing_more(
    pool: Pool, sent: list[str], django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    pool.push("one", pool.address())
    for _ in range(4):
        run_head(pool, sent)
        pool.node.mine()
        pool.follow()
    assert pool.row("one").state == MessageState.LANDED

    with django_assert_num_queries(4):  # the head, the nodes, whether there are any, and recovery
        tasks.select(height=0, key="")
