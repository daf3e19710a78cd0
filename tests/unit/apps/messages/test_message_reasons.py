"""Why messages and senders wait is stored as codes with values, and shown in the language of the page."""

# ruff: noqa: RUF001  # Chinese has its own colons

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from importlib import import_module
from typing import Any, Final

import pytest
from django.apps import apps
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils.translation import override

from apps.core.clock import now
from apps.core.reasons import COLON, Reason, as_reason, code_of, quoted, shown_text
from apps.messages.models import Message, MessageApproval, Recovery, Sender
from apps.messages.reasons import (
    BUDGET_SPENT,
    DATABASE_CHANGED,
    ESTIMATE,
    EXIT_CODE,
    NEEDS,
    NEVER_FUNDED,
    UNAPPROVED,
)
from apps.messages.selectors.failed import messages_failed
from apps.messages.services.archive import messages_archive
from apps.messages.services.bulk_transitions import waits_record
from apps.messages.states import MessageState, Wait
from tests import factories
from tests.archived import archive_undone, places
from tests.messaging import Pool
from tests.people import principal
from tests.unit.apps.messages.push import REFUSED

pytestmark = pytest.mark.django_db

TEXTS: Final = {
    "needs 2 FIL, has 1 FIL": "messages.needs",
    "120 > 100": "messages.gate",
    "none of it is left": "messages.budget_spent",
    "The pool's max fee 0.07 FIL buys a fee cap of 9 aFIL for 7 gas < base fee 100 aFIL. Raise its fee.": (
        "messages.max_fee_low"
    ),
    "gas estimate: ErrIllegalArgument (16), a parameter is invalid: no such sector": "messages.estimate",
    "failed after 8 attempts: gas estimate: no such actor": "messages.given_up",
    "sign message failed: policy: not this one": "messages.sign_failed",
    "epoch 7 has passed; before that: needs 2 FIL, has 1 FIL": "messages.before_that",
    "nonce 7 was used by another program's message bafy2": "messages.nonce_used_by",
    "not approved by bob: no: never": "messages.refused_as",
    "cancelled": "messages.cancelled",
    "the chain already has the proof": "proving.on_chain",
    "vm error (RetCode=16)": "core.old",
}
"""Texts as services wrote them, with the codes that they get."""


@pytest.fixture
def archive(transactional_db: None) -> Iterator[None]:
    with archive_undone():
        yield


def older_rows_code() -> None:
    """Do what a migrated or restored database gets."""
    import_module("apps.messages.migrations.0019_reasons_of_older_rows").reasons_code(apps, None)


def as_before(model: Any, pk: Any, column: str, text: str) -> None:
    """Write a text as a version without codes does."""
    table = model._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(f"update {table} set {column} = %s where id = %s", [text, pk])


def test_messages_of_before_have_codes(archive: None) -> None:
    rows = [factories.message(state=MessageState.LANDED) for _ in TEXTS]
    long_ago = now() - timedelta(days=400)
    for row, text in zip(rows, TEXTS, strict=True):
        as_before(Message, row.pk, "error", text)
    Message.objects.filter(pk__in=[row.pk for row in rows[::2]]).update(
        created_at=long_ago, landed_at=long_ago
    )
    silent = factories.message()
    messages_archive(until=now() - timedelta(days=365))
    assert places()["messages_archive"] == len(rows[::2])

    older_rows_code()

    found = [Message.objects.get(pk=row.pk) for row in rows]
    assert {str(row.error): code_of(row.error) for row in found} == TEXTS
    assert Message.objects.get(pk=silent.pk).error_coded is None


def test_senders_recoveries_and_approvals_of_before_have_codes() -> None:
    sender = factories.sender(factories.secp(3))
    Recovery.objects.get_or_create(pk=1)
    late, typed = (
        MessageApproval.objects.create(message=factories.message(), rule="any", asked_at=now())
        for _ in range(2)
    )
    as_before(Sender, sender.pk, "error", "the address was never funded")
    as_before(Recovery, 1, "reason", "the database was restored or moved: its cluster and table changed")
    as_before(MessageApproval, late.pk, "reason", "nobody approved it within 24 hours")
    as_before(MessageApproval, typed.pk, "reason", "not this month")

    older_rows_code()

    assert NEVER_FUNDED.made(Sender.objects.get(pk=sender.pk).error)
    reason = Recovery.objects.get().reason
    assert isinstance(reason, Reason)
    assert DATABASE_CHANGED.made(reason)
    assert reason.values["names"] == "cluster and table"
    assert UNAPPROVED.made(MessageApproval.objects.get(pk=late.pk).reason)
    assert code_of(MessageApproval.objects.get(pk=typed.pk).reason) == "", "a person's words"


def test_a_wait_is_written_once_with_its_code() -> None:
    row = factories.message()
    as_before(Message, row.pk, "error", str(BUDGET_SPENT()))
    Message.objects.filter(pk=row.pk).update(wait=Wait.DAILY_BUDGET)

    waits_record([(row.pk, Wait.DAILY_BUDGET, BUDGET_SPENT())], now=now())
    row.refresh_from_db()
    assert BUDGET_SPENT.made(row.error)
    assert code_of(row.error) == BUDGET_SPENT.code
    at = row.updated_at
    waits_record([(row.pk, Wait.DAILY_BUDGET, BUDGET_SPENT())], now=now())
    row.refresh_from_db()
    assert row.updated_at == at, "it says so already"

    waits_record([(row.pk, Wait.IN_POOL, "")], now=now())
    row.refresh_from_db()
    assert (row.error, row.error_coded) == ("", None)


def test_a_push_and_a_selection_store_codes_and_what_the_actor_said(pool: Pool) -> None:
    pool.node.fails["7"] = REFUSED
    pool.push("one", pool.address(), method=7)
    poor = factories.sender(pool.address(), balance=1)
    poor_message = pool.push("two", poor.address, value=10**18)
    assert NEEDS.made(Message.objects.get(pk=poor_message.pk).error)

    pool.choose()

    row = pool.row("one")
    assert ESTIMATE.made(row.error)
    said = "unable to resolve worker address f3abc"
    code = EXIT_CODE(name="ErrIllegalArgument", code=16, meaning=as_reason("a parameter is invalid"))
    assert row.error == ESTIMATE(error=COLON(one=code, other=quoted(said, by="actor")))
    assert row.error_coded["values"]["error"]["values"]["other"]["code"] == "said.actor"
    with override("zh-hans"):
        assert shown_text(row.error).endswith(f"ErrIllegalArgument (16), 参数无效：{said}")


def test_reading_reasons_asks_nothing_more() -> None:
    for _ in range(3):
        row = factories.message(state=MessageState.FAILED)
        Message.objects.filter(pk=row.pk).update(error=BUDGET_SPENT())
    viewer = principal("alice")

    with CaptureQueriesContext(connection) as asked:
        rows = messages_failed(viewer, now=now(), limit=9)
        assert {code_of(row.error) for row in rows} == {BUDGET_SPENT.code}
    assert len(asked) <= 2
