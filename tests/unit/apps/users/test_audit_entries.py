"""Audit entries of a batch are written together: one more costs no further query."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from apps.users.selectors.audit_search import chain_check
from apps.users.services.audit import AuditEvent, audit_entries_record
from tests.people import principal

if TYPE_CHECKING:
    from pytest_django import DjangoAssertNumQueries

pytestmark = pytest.mark.django_db


def test_to_name_an_act_asks_the_database_nothing(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    who = principal()

    with django_assert_num_queries(0):
        AuditEvent(principal=who, action="message.push", target="m1")


def test_fifty_acts_cost_as_many_questions_as_one() -> None:
    acts = [AuditEvent(principal=principal(), action="message.push", target=f"m{at}") for at in range(51)]
    counts = []
    for batch in (acts[:1], acts[1:]):
        with transaction.atomic(), CaptureQueriesContext(connection) as seen:
            audit_entries_record(batch)
        counts.append(len(seen))

    assert counts == [3, 3], "the lock, the line before, the new lines"
    assert chain_check().is_complete
