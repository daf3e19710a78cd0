"""Messages that failed lately: counted from when they failed, and read by indexes of those alone."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.checks.report.evaluate import evaluate_some
from apps.checks.report.objects import report_of_message
from apps.checks.selectors.data import CheckData
from apps.core.clock import now
from apps.messages.models import Message
from apps.messages.selectors.failed import messages_failed
from apps.messages.states import MessageState
from apps.users.rules.principals import SYSTEM
from tests import factories
from tests.bulk_rows import message_copies_insert
from tests.people import principal
from tests.query_plans import reads_of

pytestmark = pytest.mark.django_db

LONG_AGO = timedelta(days=3)

WAYS: Final[list[dict[str, Any]]] = [
    {"state": MessageState.FAILED, "error": "marked as failed"},
    {"state": MessageState.LANDED, "exit_code": 16},
]
"""How a message fails."""


def failing(name: str, *, failed: datetime, **how: Any) -> Message:
    """A message pushed long ago that failed at some moment."""
    row = factories.message(name, **how)
    landed_at = failed if row.state == MessageState.LANDED else None
    Message.objects.filter(pk=row.pk).update(
        created_at=now() - LONG_AGO, updated_at=failed, landed_at=landed_at
    )
    row.refresh_from_db()
    return row


@pytest.mark.parametrize("how", WAYS)
def test_message_that_waited_for_days_is_named_when_it_fails(how: dict[str, Any]) -> None:
    factories.head(1000)
    row = failing("late", failed=now(), **how)

    data = CheckData(SYSTEM)
    [finding] = evaluate_some(["messages_failed"], data).found
    [own] = report_of_message(data, row).found

    assert finding.finding.count == own.finding.count == 1


@pytest.mark.parametrize("how", WAYS)
def test_failure_is_named_for_a_day(how: dict[str, Any]) -> None:
    factories.head(1000)
    row = failing("old", failed=now() - timedelta(hours=25), **how)

    data = CheckData(SYSTEM)

    assert evaluate_some(["messages_failed"], data).found == []
    assert report_of_message(data, row).found == []
    assert not data.rare.messages_given_up
    assert not data.rare.messages_refused


def test_failures_are_told_newest_first_whichever_way() -> None:
    for hours, name in enumerate(("newest", "second", "third", "oldest")):
        failing(name, failed=now() - timedelta(hours=hours), **WAYS[hours % 2])

    found = messages_failed(SYSTEM, now=now(), limit=3)

    assert [row.pk for row in found] == ["newest", "second", "third"]


def test_neither_old_failures_nor_successes_are_read() -> None:
    long_ago = now() - LONG_AGO
    first = failing("first", failed=long_ago, **WAYS[1])
    with connection.cursor() as cursor:
        message_copies_insert(cursor, of=f"id = '{first.pk}'", first=1, last=6_000)
        cursor.execute(
            "update messages_message set updated_at = %s, landed_at = %s, exit_code = 16,"
            " state = case when nonce %% 3 = 0 then 'FAILED' else 'LANDED' end",
            [long_ago, long_ago],
        )
        cursor.execute(
            "update messages_message set updated_at = %s, landed_at = %s, exit_code = 0 where nonce %% 3 = 1",
            [now(), now()],
        )
    failing("given up", failed=now(), **WAYS[0])
    failing("refused", failed=now(), **WAYS[1])
    with connection.cursor() as cursor:
        cursor.execute("analyze messages_message")

    for viewer in (SYSTEM, principal()):
        with CaptureQueriesContext(connection) as asked:
            assert len(messages_failed(viewer, now=now(), limit=21)) == 2
        assert [read.rows for read in reads_of(asked.captured_queries).values()] == [1, 1]
