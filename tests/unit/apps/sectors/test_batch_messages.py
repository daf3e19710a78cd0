"""Batches that have landed are looked at only where their message is not on the chain any more."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils.translation import override

from apps.core.reasons import shown_text
from apps.messages.models import Message
from apps.sectors.models import Batch, Sector
from apps.sectors.reasons import BALANCE_SHORT
from apps.sectors.rules.policy import SealingPolicy
from apps.sectors.selectors.sealing_context import SealingContext
from apps.sectors.services.batches import messages
from apps.sectors.services.batches.messages import batch_fail, batches_watch
from apps.sectors.services.sealing.steps import job_lock, sector_retry, sector_step
from apps.sectors.states import BatchState
from poolsite.filecoin.policy import network_by_name
from tests import factories
from tests.killed_writes import Killed, kill
from tests.query_plans import reads_of

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def landed(count: int) -> None:
    of = factories.miner()
    for _ in range(count):
        batch = factories.batch(of, state=BatchState.LANDED, landed_height=990)
        factories.message(batch.message_id, state="LANDED")
        factories.sector(of, state="PROVING", deadline=0, partition=0, precommit_batch=batch)


def work() -> SealingContext:
    return SealingContext(
        client=None,  # type: ignore[arg-type]  # nobody is asked
        network=network_by_name("localnet-poolsite-test"),
        head=factories.head(1000),
        now=NOON,
        policy=SealingPolicy(),
    )


def test_landed_batches_cost_no_question_each() -> None:
    counts, at_head = [], work()
    for more in (1, 4):
        landed(more)
        with CaptureQueriesContext(connection) as seen:
            batches_watch(at_head)
        counts.append(len(seen))

    assert counts[0] == counts[1]


def test_what_landed_long_ago_has_none_of_its_sectors_read() -> None:
    of = factories.miner()
    old: dict[str, Any] = {"state": BatchState.LANDED, "landed_height": 10}
    first, second = factories.batch(of, **old), factories.batch(of, "commit", **old)
    both: dict[str, Any] = {"precommit_batch": first, "commit_batch": second}
    for _ in range(40):
        factories.sector(of, state="PROVING", deadline=0, partition=0, **both)
    with CaptureQueriesContext(connection) as seen:
        batches_watch(work())

    read = reads_of(seen.captured_queries, about="sectors_batch")
    assert read
    assert sum(one.rows for one in read.values()) < 20, read


def test_one_whose_message_left_the_chain_waits_for_it_again() -> None:
    landed(2)
    gone = Message.objects.order_by("pk")[0]
    Message.objects.filter(pk=gone.pk).update(state="FILLED")

    batches_watch(work())

    batches = dict(Batch.objects.values_list("message_id", "state"))
    assert batches.pop(gone.pk) == BatchState.SENT
    assert set(batches.values()) == {BatchState.LANDED}


def sent_and_failed(sector: Sector, *, is_withdrawn: bool = False) -> float | None:
    """Fail a sector's pre-commit; return the seconds until the next one, None for a person to decide."""
    batch = factories.batch(sector.miner)
    with transaction.atomic():
        job, current = job_lock(sector.pk)
        sector_step(current, event="SEND_PRECOMMIT", job=job, now=NOON, precommit_batch=batch)
    error = BALANCE_SHORT() if is_withdrawn else "the message ended with 16"
    batch_fail(batch, error=error, exit_code=16, work=work(), is_withdrawn=is_withdrawn)
    sector.refresh_from_db()
    assert sector.state == "PERSISTED"
    return None if sector.not_before is None else (sector.not_before - NOON).total_seconds()


def test_messages_that_fail_are_sent_again_only_so_often() -> None:
    sector = factories.sector(factories.miner(), state="PERSISTED", comm_r=bytes(32), ticket_epoch=90)

    assert [sent_and_failed(sector) for _ in range(4)] == [10, 20, 40, 80]
    assert (sector.attempts, sector.paused_at) == (4, None)
    assert sent_and_failed(sector) is None
    assert (sector.paused_at, sector.error) == (NOON, "the message ended with 16")

    sector_retry(sector, actor="ann", now=NOON)
    assert sent_and_failed(sector) == 10, "a person has looked at it"


def test_a_kill_leaves_no_failed_sector_without_its_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    sector = factories.sector(factories.miner(), state="PERSISTED", comm_r=bytes(32), ticket_epoch=90)
    with monkeypatch.context() as patch:
        patch.setattr(messages, "_failures_count", kill)
        with pytest.raises(Killed):
            sent_and_failed(sector)
    sector.refresh_from_db()
    assert (sector.state, sector.precommit_batch) == ("PRECOMMIT_SENT", Batch.objects.get())

    batch_fail(Batch.objects.get(), error="the message ended with 16", exit_code=16, work=work())

    sector.refresh_from_db()
    assert sector.not_before == NOON + timedelta(seconds=10)


def test_withdrawn_messages_do_not_count_and_are_followed_at_once() -> None:
    sector = factories.sector(factories.miner(), state="PERSISTED", comm_r=bytes(32), ticket_epoch=90)

    assert [sent_and_failed(sector, is_withdrawn=True) for _ in range(6)] == [None] * 6
    assert sector.paused_at is None
    assert [sent_and_failed(sector) for _ in range(2)] == [10, 20]


def test_how_a_message_ended_is_said_in_the_language_of_the_page() -> None:
    of = factories.miner()
    factories.message(factories.batch(of).message_id, state="FAILED")
    factories.message(factories.batch(of, "commit").message_id, state="LANDED", exit_code=16, height=10)

    batches_watch(work())

    ended = Batch.objects.order_by("pk")
    assert [row.error for row in ended] == [
        "the message was failed",
        "the message ended with a parameter is invalid",
    ]
    with override("zh-hans"):
        assert [shown_text(row.error) for row in ended] == ["消息状态为 失败", "消息以 参数无效 结束"]
