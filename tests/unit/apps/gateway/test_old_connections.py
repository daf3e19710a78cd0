"""Each reconnect leaves a row: old ones are deleted, and the others are found by an index."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection

from apps.core import clock
from apps.gateway import tasks
from apps.gateway.models import ProverConnection, SignerConnection, SignerKey
from apps.gateway.selectors.connections import connections_failed, connections_open, is_expected
from apps.gateway.services.connections import RETENTION, connections_confirm
from apps.gateway.states import Purpose
from apps.users.rules.principals import SYSTEM
from tests import factories
from tests.people import tenant
from tests.query_plans import plans_watched

pytestmark = pytest.mark.django_db

COPIES = """
    INSERT INTO gateway_proverconnection (uuid, tenant_id, source, process, created_at, seen_at, closed_at,
        requests, failures, in_flight, last_failure, actor_id, purpose)
    SELECT gen_random_uuid(), tenant_id, '', process, created_at, seen_at - n * interval '1 minute', now(),
        0, 0, 0, '', actor_id, purpose
    FROM gateway_proverconnection, generate_series(1, 20000) n
"""


def signer(**seen_ago: float) -> SignerConnection:
    """A wallet's channel that was seen last so long ago."""
    at = clock.now() - timedelta(**seen_ago)
    return SignerConnection.objects.create(tenant=tenant("alice"), process="web-1", created_at=at, seen_at=at)


def prover(**seen_ago: float) -> ProverConnection:
    """A prover's channel that was seen last so long ago."""
    at = clock.now() - timedelta(**seen_ago)
    return ProverConnection.objects.create(
        tenant=tenant("alice"), process="web-1", created_at=at, seen_at=at, actor_id=1000
    )


def test_connections_not_seen_for_a_month_are_deleted() -> None:
    kept = {signer(days=RETENTION.days - 1).pk, prover(days=RETENTION.days - 1).pk}
    signer(days=RETENTION.days + 1)
    prover(days=RETENTION.days + 1)

    tasks.gateway_expire()

    assert {SignerConnection.objects.get().pk, ProverConnection.objects.get().pk} == kept


def test_connection_that_proved_a_key_last_is_kept() -> None:
    last = signer(days=RETENTION.days + 1)
    SignerKey.objects.create(
        address=factories.secp(3), tenant=last.tenant, connection=last, verified_at=last.seen_at
    )

    tasks.gateway_expire()

    assert SignerKey.objects.get().connection == last


def test_old_connections_are_deleted_in_parts_oldest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "ROWS_MAX", 2)
    prover(days=RETENTION.days + 1)
    for days in (3, 2, 4):
        prover(days=RETENTION.days + days)

    tasks.gateway_expire()
    ages = {(clock.now() - row.seen_at).days for row in ProverConnection.objects.all()}
    assert ages == {RETENTION.days + 1, RETENTION.days + 2}
    tasks.gateway_expire()

    assert not ProverConnection.objects.exists()


def test_no_query_reads_all_connections_that_ever_were() -> None:
    prover()
    table = ProverConnection._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(f"{COPIES}; SET CONSTRAINTS ALL IMMEDIATE; ANALYZE {table}")
    now = clock.now()

    with plans_watched(table) as watched:
        connections_open(SYSTEM)
        connections_failed(SYSTEM, since=now - timedelta(days=1))
        connections_confirm(process="web-1", done={}, held={}, now=now)
        assert not is_expected(f"{Purpose.PROOF}:{7}", now=now)
        tasks.gateway_expire()

    watched.check()
    assert watched.statements
