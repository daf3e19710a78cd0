"""No list of REST reads more of the database because what it lists is older and longer."""

from __future__ import annotations

import base64

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.core.redis_clients import redis_client
from apps.users.selectors import audit_search
from apps.wallets.models import SignRecord
from tests import people
from tests.query_plans import blocks_of

pytestmark = pytest.mark.django_db

SLACK = 40
"""Blocks that a question may read more: an index is a level deeper."""

ENTRIES = """
INSERT INTO users_auditentry (at, actor, tenant_id, source, action, target, previous_hash, entry_hash)
SELECT timestamptz '2026-01-01' + n * interval '1 minute', 'adam', %s, '', 'token.create', 'object', '',
    n::text
FROM generate_series(%s, %s) AS n
"""

RECORDS = """
INSERT INTO wallets_signrecord (at, tenant_id, address, what, cid, asked_by, error, rule)
SELECT timestamptz '2026-01-01' + (n / 3) * interval '1 second', %s, 'f01001', 'message', '', 'pool', '', ''
FROM generate_series(%s, %s) AS n
"""


def crowd(tenant: int, first: int, last: int) -> None:
    with connection.cursor() as cursor:
        for rows in (ENTRIES, RECORDS):
            cursor.execute(rows, [tenant, first, last])
        cursor.execute("analyze users_auditentry, wallets_signrecord")


def blocks(client: Client, address: str, token: str, table: str) -> int:
    """How many blocks the queries of the table touch when the page and the one below it are asked for."""
    there, total = address, 0
    for _ in range(2):
        with CaptureQueriesContext(connection) as asked:
            answer = client.get(there, headers=people.bearer(token))
        assert answer.status_code == 200, answer.json()
        total += sum(blocks_of(asked.captured_queries, about=table).values())
        if (below := answer.json().get("next")) is None:
            break
        there = f"{address}{'&' if '?' in address else '?'}cursor={below}"
    return total


EVERYBODY = ("the operator", "its tenant", "another tenant")


@pytest.mark.parametrize(
    ("address", "table", "who"),
    [
        (address, table, who)
        for address, table in (
            ("audit?limit=10", "users_auditentry"),
            ("audit?actor=nobody", "users_auditentry"),
            ("audit?target=nothing&action=node.add", "users_auditentry"),
            ("audit?after=2026-01-02T00:00:00Z&before=2026-01-02T01:00:00Z&actor=nobody", "users_auditentry"),
            ("wallets/records?limit=10", "wallets_signrecord"),
        )
        for who in EVERYBODY
    ]
    + [("audit/state", "users_auditentry", "the operator")],
)
def test_no_list_reads_more_of_a_longer_table(client, address, table, who, monkeypatch, pool_redis):
    redis_client().delete(audit_search.CHECKED)
    monkeypatch.setattr(audit_search, "LINES_SEARCHED", 1_000)
    monkeypatch.setattr(audit_search, "STEP", 500)
    token = people.operator_token() if who == "the operator" else people.token(of=who[:4].strip())
    tenant, seen = people.tenant("its").pk, []

    for first, last in ((1, 3_000), (3_001, 20_000)):
        crowd(tenant, first, last)
        seen.append(blocks(client, f"/api/v1/{address}", token, table))

    assert seen[1] <= seen[0] + SLACK, seen


@pytest.mark.parametrize("limit", [1, 7, 40, 41])
def test_pages_of_the_sign_records_follow_one_another_without_a_gap(client, limit):
    token, seen, there = people.token(of="alice"), [], f"limit={limit}"
    crowd(people.tenant("bob").pk, 1, 40)
    crowd(people.tenant("alice").pk, 41, 80)
    known = list(SignRecord.objects.filter(tenant__name="alice").order_by("-at", "-pk"))

    while there:
        answer = client.get(f"/api/v1/wallets/records?{there}", headers=people.bearer(token)).json()
        seen += [(row["at"], row["address"]) for row in answer["results"]]
        there = f"limit={limit}&cursor={answer['next']}" if answer["next"] else ""

    assert [at for at, _address in seen] == [f"{row.at:%Y-%m-%dT%H:%M:%SZ}" for row in known]
    assert len({row.at for row in known}) < len(known)  # several of one moment


@pytest.mark.parametrize("cursor", ["x", "MjAyNi0wMS0wMSAx", "%00"])
def test_a_cursor_of_another_list_is_refused(client, cursor):
    answer = client.get(f"/api/v1/wallets/records?cursor={cursor}", headers=people.bearer(people.token()))

    assert (answer.status_code, answer.json()["field"]) == (400, "cursor")


def test_a_cursor_with_a_number_that_no_row_has_is_refused(client):
    cursor = base64.urlsafe_b64encode(b"2024-01-01T00:00:00+00:00 " + b"9" * 5000).decode()
    answer = client.get(f"/api/v1/wallets/records?cursor={cursor}", headers=people.bearer(people.token()))

    assert (answer.status_code, answer.json()["field"]) == (400, "cursor")
