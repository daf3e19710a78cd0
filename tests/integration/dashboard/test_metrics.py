"""`/metrics` tells of the pool, not of HTTP alone."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.test import Client

from apps.blocks.models import Block, Round
from apps.blocks.states import RoundState
from apps.checks.models import Alert
from apps.core.clock import now
from apps.messages.states import Wait
from apps.proving.models import WindowPost
from tests import factories
from tests.demo_data import busy_pool
from tests.integration.pools import SITE
from tests.people import tenant

pytestmark = pytest.mark.django_db


def figures(client: Client) -> dict[str, float]:
    text = client.get("/metrics").content.decode()
    return {name: float(value) for name, value in re.findall(r"^(poolsite_\S+) (\S+)$", text, re.M)}


def test_metrics_tell_of_messages_deadlines_hosts_and_checks(client):
    pool = busy_pool()
    WindowPost.objects.create(
        miner=pool.miner,
        deadline_index=0,
        open_epoch=990,
        close_epoch=1000,
        challenge_epoch=988,
        landed_height=993,
        randomness=b"r",
        state="LANDED",
    )
    factories.message("late", wait=Wait.POLICY, attempts=3, created_at=None)
    type(pool.stuck).objects.filter(pk="late").update(created_at=now() - timedelta(hours=2))

    found = figures(client)

    assert found['poolsite_messages{state="waiting"}'] == 2
    assert found['poolsite_messages{state="in_flight"}'] == 1
    assert found['poolsite_messages_oldest_seconds{state="waiting"}'] >= 7200
    assert found["poolsite_messages_stuck"] == 1
    assert found["poolsite_nonce_gaps"] == 1
    assert found['poolsite_deadlines{forecast="missed"}'] == 1
    assert found["poolsite_deadline_margin_seconds"] == 7
    assert found["poolsite_sectors_faulty"] == 1
    assert found["poolsite_head_height"] == 1000
    assert found['poolsite_hosts{state="offline"}'] == 1
    assert found['poolsite_hub_connections{kind="signer"}'] == 1
    assert found['poolsite_check_findings{check="sectors_faulty",severity="critical"}'] == 1
    assert found['poolsite_check_findings{check="fee_debt",severity="critical"}'] == 0


def test_metrics_tell_which_checks_somebody_has_acknowledged(client):
    at, facts = now(), {"severity": "critical", "count": 1, "began_at": now(), "since": now()}
    held = {"acknowledged_at": at, "acknowledged_by": "li"}
    Alert.objects.create(check_name="fee_debt", **facts, **held)
    Alert.objects.create(check_name="hosts_away", **facts)
    Alert.objects.create(check_name="sectors_faulty", **facts, **held, tenant=tenant("alice"))

    found = figures(client)

    names = ("fee_debt", "hosts_away", "sectors_faulty", "backups_old")
    assert [found[f'poolsite_check_acknowledged{{check="{name}"}}'] for name in names] == [1, 0, 0, 0]


def test_metrics_tell_of_wins_and_how_much_time_their_blocks_had(client):
    common = {"miner": factories.miner(2001, qa_power=1), "base_height": 1, "at": now(), "budget_ms": 42_000}
    steps = [["election", 12_000, 100], ["sign", 30_000, 500], ["wait", 30_500, 0]]
    late = [["sign", 30_000, 12_000]]  # the signer never answered
    Round.objects.bulk_create(
        [
            Round(epoch=2, state=RoundState.INCLUDED, win_count=1, expected=0.5, steps=steps, **common),
            Round(epoch=3, state=RoundState.INCLUDED, win_count=2, expected=0.5, **common),
            Round(epoch=4, state=RoundState.PROOF_TIMEOUT, win_count=1, expected=0.5, steps=late, **common),
            Round(epoch=5, state=RoundState.NO_WIN, expected=0.5, **common),
            Round(epoch=6, state=RoundState.SIGNER_AWAY, **common),
            Round(epoch=1, state=RoundState.LATE, win_count=1, **common | {"at": now() - timedelta(days=2)}),
        ]
    )
    won = Round.objects.get(epoch=2)
    Block.objects.create(round=won, actor_id=2001, height=2, signed=b"signed")

    found = figures(client)

    wins = {name: count for name, count in found.items() if name.startswith("poolsite_wins{") and count}
    assert wins == {'poolsite_wins{outcome="included"}': 3, 'poolsite_wins{outcome="proof_timeout"}': 1}
    assert found['poolsite_wins{outcome="orphaned"}'] == 0
    assert found["poolsite_wins_expected"] == 2.0
    assert found["poolsite_rounds_undrawn"] == 1
    assert found["poolsite_block_margin_seconds"] == 11.5


def test_documented_series_are_those_of_metrics(client):
    client.get("/healthz")  # of these there is none before the first answer
    factories.head(1000)
    text = client.get("/metrics").content.decode()
    pages = [*(SITE / "docs" / "operations").glob("*.md"), SITE / "docs" / "monitoring.md"]
    written = "".join(page.read_text() for page in pages)

    named = set(re.findall(r"\bpoolsite_[a-z_]+", written)) - {"poolsite_before_restore"}

    assert "poolsite_checks_age_seconds" in named
    assert named - set(re.findall(r"^poolsite_[a-z_]+", text, re.M)) == set()


def test_metrics_of_an_empty_pool_can_be_read(client):
    assert figures(client)["poolsite_messages_stuck"] == 0


def test_metrics_have_each_series_whether_there_is_anything_to_count(client):
    """`poolsite_nodes{state="healthy"} < 1` is no rule if the series ends with the last healthy node."""
    found = figures(client)

    for series in (
        'nodes{state="healthy"}',
        'nodes{state="away"}',
        'deadlines{forecast="at_risk"}',
        'processes{state="down"}',
        'sectors_sealing{stage="pc1"}',
    ):
        assert found[f"poolsite_{series}"] == 0, series
