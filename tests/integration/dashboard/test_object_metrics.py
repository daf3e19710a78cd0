"""`/metrics` names the largest miners, senders, wallets and hosts, and sums the others."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.blocks.models import Round
from apps.blocks.states import RoundState
from apps.checks.selectors.object_figures import STEPS_READ, hosts_by_size
from apps.core.clock import now
from apps.messages.models import Message
from apps.miners.models import Miner
from apps.proving.models import WindowPost
from apps.sectors.models import JobEvent
from poolsite.wire.jobs import JobKind
from tests import factories
from tests.bulk_rows import row_copies_insert
from tests.query_plans import plan_run, rows_read

pytestmark = pytest.mark.django_db

FIL = 10**18
DISK = {"folder": "/a", "total_bytes": 1000}


def figures(client: Client) -> dict[str, float]:
    text = client.get("/metrics").content.decode()
    return {name: float(value) for name, value in re.findall(r"^poolsite_(.+) (\S+)$", text, re.M)}


def proof(miner: Miner, state: str, close: int, landed: int | None = None) -> None:
    WindowPost.objects.create(
        miner=miner,
        deadline_index=close % 48,
        open_epoch=close - 10,
        close_epoch=close,
        challenge_epoch=close - 12,
        landed_height=landed,
        randomness=b"r",
        state=state,
    )


def test_miners_have_power_money_windows_and_wins(client, settings):
    settings.METRICS_OBJECTS = 1
    factories.head(1000)
    factories.network()
    big = factories.miner(
        2001, qa_power=500, raw_power=50, available=-2 * FIL, fee_debt=FIL, faulty_sectors=4
    )
    rest = [
        factories.miner(number, qa_power=100, available=3 * FIL, active_sectors=7) for number in (2002, 2003)
    ]
    proof(big, "LANDED", 995, landed=990)
    proof(big, "LANDED", 998, landed=990)
    proof(big, "MISSED", 997)
    proof(big, "MISSED", 10)  # of an earlier proving period
    proof(rest[0], "LANDED", 999, landed=996)
    common = {"base_height": 1, "at": now(), "expected": 0.5}
    Round.objects.bulk_create(
        [
            Round(miner=big, epoch=2, state=RoundState.INCLUDED, win_count=2, **common),
            Round(miner=big, epoch=3, state=RoundState.PROOF_TIMEOUT, win_count=1, **common),
            Round(miner=rest[1], epoch=3, state=RoundState.ORPHANED, win_count=1, **common),
        ]
    )

    found = figures(client)

    assert found['miner_power_bytes{kind="quality",miner="f02001"}'] == 500
    assert found['miner_power_bytes{kind="raw",miner="f02001"}'] == 50
    assert found['miner_power_bytes{kind="quality",miner="other"}'] == 200
    assert found['miner_available_fil{miner="f02001"}'] == -2
    assert found['miner_available_fil{miner="other"}'] == 6
    assert found['miner_fee_debt_fil{miner="f02001"}'] == 1
    assert found['miner_sectors{miner="f02001",state="faulty"}'] == 4
    assert found['miner_sectors{miner="other",state="active"}'] == 14
    assert found['miner_window_proofs{miner="f02001",outcome="landed"}'] == 2
    assert found['miner_window_proofs{miner="f02001",outcome="missed"}'] == 1
    epoch_s = found['miner_window_margin_seconds{miner="other"}'] / 3
    assert epoch_s > 0
    assert found['miner_window_margin_seconds{miner="f02001"}'] == 5 * epoch_s
    assert found['miner_wins{miner="f02001",outcome="included"}'] == 2
    assert found['miner_wins{miner="f02001",outcome="lost"}'] == 1
    assert found['miner_wins{miner="other",outcome="lost"}'] == 1
    assert found['miner_wins_expected{miner="f02001"}'] == 1.0
    assert found['miner_wins_expected{miner="other"}'] == 0.5
    assert not any("f02002" in name or "f02003" in name for name in found)


def test_senders_have_messages_ages_and_gas_and_wallets_a_balance(client, settings):
    settings.METRICS_OBJECTS = 2
    busy, paying, idle = factories.bls(1), factories.bls(2), factories.bls(3)
    for address, held in ((busy, FIL), (paying, 2 * FIL), (idle, 5 * FIL)):
        factories.wallet(address, balance=held)
        factories.sender(address)
    for name in ("one", "two"):
        factories.message(name, from_addr=busy)
    Message.objects.filter(pk="one").update(created_at=now() - timedelta(hours=2))
    for days_ago, cost in ((0, FIL), (3, FIL)):
        factories.spend(paying, days_ago=days_ago, cost=cost)
    factories.spend(idle, days_ago=30, cost=100 * FIL)
    factories.wallet(factories.bls(4), balance=None)

    found = figures(client)

    assert found[f'sender_messages{{sender="{busy}",state="waiting"}}'] == 2
    assert found[f'sender_messages{{sender="{busy}",state="in_flight"}}'] == 0
    assert 7200 <= found[f'sender_oldest_seconds{{sender="{busy}",state="waiting"}}'] < 7300
    assert found[f'sender_oldest_seconds{{sender="{paying}",state="waiting"}}'] == 0
    assert found[f'sender_gas_fil_today{{sender="{paying}"}}'] == 1
    assert found['sender_gas_fil_today{sender="other"}'] == 0
    assert found[f'wallet_balance_fil{{wallet="{paying}"}}'] == 2
    assert found[f'wallet_balance_fil{{wallet="{idle}"}}'] == 5
    assert found['wallet_balance_fil{wallet="other"}'] == 1


def test_hosts_have_an_age_tasks_failures_and_the_fullest_disk(client, settings):
    settings.METRICS_OBJECTS = 2
    disks = [DISK | {"free_bytes": 900}, DISK | {"free_bytes": 50, "total_bytes": 2000}, {"free_bytes": "x"}]
    prover = factories.worker("prover", kinds=[JobKind.WINDOW_POST], hardware={"cpus": 1, "disks": disks})
    name = 'big"\n} 1\\'
    big = factories.worker(name, hardware={"cpus": 64, "disk_free_bytes": 5, "disk_total_bytes": 10})
    small = factories.worker("other", hardware={"cpus": 2}, seen_at=now() - timedelta(hours=1))
    factories.worker("least", hardware={"cpus": "many"})
    job = factories.proof_job(factories.miner(2001), worker=big)
    for worker, at in ((prover, now()), (small, now()), (small, now() - timedelta(days=2))):
        JobEvent.objects.create(job=job, event="FAIL", worker=worker, at=at, is_error=True)

    found = figures(client)

    escaped = 'big\\"\\n} 1\\\\'
    assert found['host_disk_free_bytes{host="prover",tenant="alice"}'] == 50
    assert found['host_disk_free_ratio{host="prover",tenant="alice"}'] == 0.025
    assert found['host_failures{host="prover",tenant="alice"}'] == 1
    assert found[f'host_disk_free_ratio{{host="{escaped}",tenant="alice"}}'] == 0.5
    assert found[f'host_tasks{{host="{escaped}",tenant="alice"}}'] == 1
    assert found[f'host_seen_seconds{{host="{escaped}",tenant="alice"}}'] < 60
    assert found['host_seen_seconds{host="other",tenant=""}'] >= 3600
    assert found['host_failures{host="other",tenant=""}'] == 1
    assert 'host_disk_free_bytes{host="other",tenant=""}' not in found


def test_failures_are_counted_without_reading_all_steps_of_a_host():
    host = factories.worker("busy")
    job, at = factories.proof_job(factories.miner(2001), worker=host), now()
    done = JobEvent.objects.create(job=job, event="FINALIZE", worker=host, at=at - timedelta(days=9), ms=1)
    with connection.cursor() as cursor:
        rows = f"generate_series(1, {20 * STEPS_READ}) n"
        row_copies_insert(cursor, "sectors_jobevent", of=f"id = {done.pk}", changed={}, rows=rows)
        JobEvent.objects.create(job=job, event="FAIL", worker=host, at=at, is_error=True)
        cursor.execute("ANALYZE sectors_jobevent")
        cursor.execute("SELECT tableoid::regclass::text FROM sectors_jobevent WHERE id = %s", [done.pk])
        (part,) = cursor.fetchone()

    with CaptureQueriesContext(connection) as seen:
        (row,) = hosts_by_size(most=1, since=at - timedelta(days=1))

    assert row.failed == 1
    with connection.cursor() as cursor:
        assert 0 < rows_read(plan_run(cursor, seen[0]["sql"]), part) <= STEPS_READ + 1


def test_a_scrape_asks_as_often_for_many_objects_as_for_few(client, settings):
    def statements() -> int:
        figures(client)  # luck is kept for a minute
        with CaptureQueriesContext(connection) as seen:
            figures(client)
        return len(seen)

    def grow(numbers: range) -> None:
        for number in numbers:
            address = factories.bls(100 + number)
            miner = factories.miner(3000 + number, qa_power=1)
            factories.proof_job(miner, worker=factories.worker(f"host-{number}"))
            factories.wallet(address)
            factories.sender(address)
            factories.message(from_addr=address)

    factories.head(1000)
    grow(range(1))
    few = statements()
    grow(range(1, 9))
    many = statements()
    settings.METRICS_OBJECTS = 0
    none = statements()

    assert many == few
    assert none == few - 4


def test_no_series_of_single_objects_where_none_is_wanted(client, settings):
    settings.METRICS_OBJECTS = 0
    factories.miner(2001)
    factories.worker("prover")

    assert not any(name.startswith(("miner_", "sender_", "wallet_", "host_")) for name in figures(client))
