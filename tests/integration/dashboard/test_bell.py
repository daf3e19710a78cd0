"""The bell in the frame: the same findings on every page, from one evaluation, live."""

from __future__ import annotations

import re
import threading
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.blocks.models import Round
from apps.blocks.states import RoundState
from apps.checks.findings.results import Topic
from apps.checks.report.cache import codes_write, report_evaluate, report_read, report_write
from apps.checks.selectors.data import CheckData
from apps.core import live
from apps.core.clock import now
from apps.core.live import CHECKS, Change, changes_number, publish
from apps.core.redis_clients import redis_client
from apps.dashboard.live_fragments import fragments_render
from apps.dashboard.registry import live_pages, navigation
from apps.users.rules.principals import SYSTEM
from poolsite.wire.pipeline import SectorState
from tests import factories
from tests.page_client import signed_in, text_of
from tests.people import operator_person, person, principal

pytestmark = pytest.mark.django_db


@pytest.fixture
def quiet(monkeypatch):
    """A pool in which nothing is wrong."""
    monkeypatch.setattr("apps.core.processes.supervised", dict)
    monkeypatch.setattr("apps.core.processes.heartbeats", dict)
    operator_person()
    factories.network(params={"NetworkName": factories.NETWORK, "BlockDelaySecs": 30})
    factories.head(1000)


def bell_on(text: str) -> str:
    """The list behind the bell of a page."""
    return text[text.index('id="f-bell-list"') :].partition("All checks")[0]


def test_bell_lists_the_same_findings_on_every_page(quiet):
    factories.miner(3001, fee_debt=5 * 10**18)
    factories.worker("idle", is_paused=True)
    client = signed_in("olga")

    for page in [item.key for group in navigation() for item in group] + ["checks", "account", "search"]:
        text = text_of(client.get(reverse(page)))
        assert 'aria-label="2 issues"' in text, page
        found = bell_on(text)
        assert found.index("owes 5") < found.index("idle paused"), page
        assert f'href="{reverse("miner", args=["f03001"])}"' in found, page


def test_navigation_counts_the_issues_of_each_page(quiet):
    factories.miner(3001, fee_debt=5 * 10**18)
    factories.worker("idle", is_paused=True)

    text = signed_in("olga").get(reverse("people")).content.decode()
    counts = dict(
        re.findall(r'id="f-badge-([\w-]+)"[^>]*>(?:<span class="vh">[^<]*</span>)<span[^>]*>(\d+)<', text)
    )

    assert {key: count for key, count in counts.items() if count != "0"} == {"miners": "1", "hosts": "1"}
    assert re.search(r'id="f-badge-people"[^>]* hidden', text)


def test_bell_says_that_nothing_was_found(quiet):
    text = text_of(signed_in("olga").get(reverse("people")))

    assert 'aria-label="No issues"' in text
    assert "All checks pass." in text


def test_tenants_bell_holds_its_own_findings_alone(quiet):
    person()
    factories.worker("idle", of="bob", is_paused=True)

    assert 'aria-label="No issues"' in text_of(signed_in("ann").get("/"))
    assert 'aria-label="1 issue"' in text_of(signed_in("olga").get("/"))


def test_bell_counts_live_on_pages_without_a_verdict(quiet):
    factories.worker("idle", is_paused=True)

    frame = fragments_render({(CHECKS, "pool")}, viewer=SYSTEM, page="tokens")

    assert re.search(r'id="f-bell"\s+aria-label="1 issue"', frame)
    assert "idle paused" in bell_on(frame)


def test_report_survives_as_text(quiet):
    miner = factories.miner(faulty_sectors=2)
    factories.deadline(miner, 1, live=2, faulty=2, open_epoch=1020)
    report = report_evaluate(CheckData(SYSTEM))

    assert report.found
    assert report_read(report_write(report), codes_write(report)) == report


@pytest.fixture
def own_redis(pool_redis, monkeypatch, settings):
    """Keys in Redis that no process of an earlier test counts in; what this process publishes, by thread."""
    settings.REDIS_URL = f"{pool_redis}?db=7"
    redis_client().flushdb()
    told: list[Any] = []
    send = live.events_publish

    def noted(layer: Any, events: Any) -> None:
        told.append((threading.current_thread().name, events))
        send(layer, events)

    monkeypatch.setattr(live, "events_publish", noted)
    return told


@pytest.mark.django_db(transaction=True)
def test_evaluation_is_shared_until_something_changes(own_redis):
    factories.network(params={"NetworkName": factories.NETWORK, "BlockDelaySecs": 30})
    factories.head(1000)
    first = report_evaluate(CheckData(SYSTEM))
    with CaptureQueriesContext(connection) as queries:
        again = report_evaluate(CheckData(SYSTEM))
    assert (again, len(queries)) == (first, 0), own_redis

    worker = factories.worker("idle", of="bob", is_paused=True)
    assert not report_evaluate(CheckData(SYSTEM)).fails("hosts_paused"), (
        "the shared one, nothing was published"
    )
    before = changes_number()
    publish(Change("worker", worker.pk, None))

    assert changes_number() != before
    assert report_evaluate(CheckData(SYSTEM)).fails("hosts_paused")
    assert not report_evaluate(CheckData(principal())).fails("hosts_paused"), "of bob, not of alice"


@pytest.mark.django_db(transaction=True)
def test_bells_hear_once_of_findings_that_differ(pool_redis, monkeypatch):
    told: list[Any] = []
    monkeypatch.setattr("apps.checks.report.cache.publish", told.append)
    factories.network(params={"NetworkName": factories.NETWORK, "BlockDelaySecs": 30})
    factories.head(1000)
    report_evaluate(CheckData(SYSTEM))
    worker = factories.worker("idle", is_paused=True)

    for _ in range(2):
        publish(Change("worker", worker.pk, None))
        report_evaluate(CheckData(SYSTEM))

    assert told == [Change(CHECKS, "pool", "pool")] * 2, "the first evaluation, and the one that differs"


def test_pages_evaluate_for_themselves_without_redis(quiet, monkeypatch):
    monkeypatch.setattr("apps.checks.report.cache.changes_number", lambda: None)
    factories.worker("idle", is_paused=True)

    assert report_evaluate(CheckData(SYSTEM)).fails("hosts_paused")


@pytest.mark.parametrize(
    "page", [key for key, page in live_pages().items() if page.findings or key in set(Topic)]
)
def test_findings_that_differ_renew_the_verdict_of_the_open_page(quiet, page):
    factories.worker("idle", is_paused=True)

    frame = fragments_render({(CHECKS, "pool")}, viewer=SYSTEM, page=page)

    assert 'id="f-verdict"' in frame


def test_closed_deadline_of_a_sector_is_not_said_to_close(quiet):
    miner = factories.miner(active_sectors=1, live_sectors=1)
    factories.deadline(miner, 1, live=1, open_epoch=970)
    factories.sector(miner, state=SectorState.PROVING, active=True, deadline=1, partition=0)

    text = text_of(signed_in("olga").get(reverse("sectors")))

    assert "deadline 1 is closed until the next proving period" in text


def test_bell_and_checks_show_what_one_cause_does_as_one(quiet):
    miner = factories.miner(2001)
    factories.signer_connection(str(miner.worker), failed_at=now(), last_failure="no answer within 5 s")
    Round.objects.create(
        miner=miner, epoch=990, base_height=989, at=now(), expected=0.2, state=RoundState.SIGNER_AWAY
    )

    page = signed_in("olga")
    today, checks = (text_of(page.get(reverse(name))) for name in ("today", "checks"))

    assert 'aria-label="1 issue"' in today
    bell = today.partition('id="f-bell-list"')[2].partition('href="/status/checks/"')[0]
    assert "requests to 1 signer failed" in bell
    assert f"Causes: 1 round of {miner.name} could not be run" in bell
    row = checks.partition('id="check-rounds_undrawn"')[2].partition("</tr>")[0]
    assert "Because of: requests to 1 signer failed" in row
    assert checks.index('id="check-requests_failed"') < checks.index('id="check-rounds_undrawn"')
