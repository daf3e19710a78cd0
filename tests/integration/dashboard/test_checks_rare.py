"""What the pool has no row of no check looks for: one question tells for all of them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.chain.models import Network
from apps.checks.report.evaluate import evaluate
from apps.checks.selectors.data import CheckData
from apps.checks.selectors.rare import SECTORS_OVER, Rare, rare_read
from apps.core.clock import now
from apps.sectors.selectors.sectors import DEPOSIT_OVER
from apps.users.rules.principals import SYSTEM
from poolsite.wire.pipeline.sealing import FINAL_STATES
from tests.integration.dashboard.check_scenes import SCENES

pytestmark = pytest.mark.django_db

STATEMENTS_MAX = 18
"""Of an evaluation in a quiet pool."""
COMPILED_MAX = 13
"""Of these, those that Django compiles anew: it takes longer than they do."""

FIELDS = {
    "deposits_expiring": "sectors_open",
    "tickets_expiring": "sectors_open",
    "seed_ready": "sectors_open",
    "sector_files": "sectors_bad",
    "disputes_lost": "disputes",
    "roles_unheld": "roles",
    "runs_stopped": "runs_stopped",
    "changes_failed": "changes_failed",
    "moves_failed": "moves_failed",
    "unseals_failed": "unseals_failed",
    "pieces_failed": "pieces_failed",
    "pieces_stopped": "pieces_due",
    "copies_bad": "copies_bad",
    "allocations_ending": "allocations",
    "claims_ending": "claims_ending",
    "targets_paused": "targets_paused",
    "messages_stuck": "messages_open",
    "messages_unapproved": "messages_unapproved",
    "grants_unchosen": "grants_unchosen",
    "messages_replaced": "messages_replaced",
    "rules_hindered": "rules_hindered",
    "policies_advised": "signers_advised",
    "miners_created": "miners_created",
    "base_fee_above_cap": "messages_open",
    "nonce_gaps": "senders_odd",
    "messages_failed": "messages_given_up",
    "wins_lost": "wins_lost",
    "blocks_foreign": "blocks_foreign",
    "notifications_undelivered": "channels",
    "consoles_unshared": "consoles",
    "deals_late": "deals_waiting",
    "doors_down": "doors",
    "indexes_wrong": "indexes_wrong",
    "factors_guessed": "codes_wrong",
}
"""The checks that ask for nothing more where this field says that there is none."""


def test_quiet_pool_has_none_of_it_and_is_asked_little(quiet: None, compiled: list[str]) -> None:
    evaluate(CheckData(SYSTEM))  # prepares what is prepared
    compiled.clear()
    with CaptureQueriesContext(
        connection,
    ) as made:
        data = CheckData(SYSTEM)
        evaluate(data)

    assert not any(data.rare)
    assert len(made) <= STATEMENTS_MAX, [one["sql"][:80] for one in made]
    assert len(compiled) <= COMPILED_MAX, compiled


@pytest.mark.parametrize("name", FIELDS)
def test_what_a_check_finds_was_told_of(quiet: None, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    assert not getattr(rare_read(now()), FIELDS[name])

    SCENES[name](monkeypatch)

    assert getattr(rare_read(now()), FIELDS[name])


def test_failure_of_six_days_ago_counts_for_changes_alone(
    quiet: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("changes_failed", "moves_failed", "unseals_failed"):
        SCENES[name](monkeypatch)

    later = rare_read(now() + timedelta(days=6))

    assert (later.changes_failed, later.moves_failed, later.unseals_failed) == (True, False, False)


def test_before_the_pool_has_a_network_everything_is_looked_for(quiet: None) -> None:
    Network.objects.all().delete()

    assert rare_read(now()) == Rare()
    assert all(Rare())


def test_sectors_that_are_over_have_no_deposit_to_lose() -> None:
    assert set(SECTORS_OVER) == FINAL_STATES
    assert set(SECTORS_OVER) <= set(DEPOSIT_OVER)
