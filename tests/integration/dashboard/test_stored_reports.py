"""Pages, programs and metrics read what the pool's task found last; none of them evaluates a check."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from celery import current_app
from django.test import Client
from django.urls import reverse

from apps.checks.report import cache
from apps.checks.selectors.data import CheckData
from apps.checks.tasks import alerts_run, checks_evaluate
from apps.core import clock
from apps.core.live import CHECKS, Change, change_send
from apps.core.redis_clients import redis_client
from apps.users.rules.principals import SYSTEM, Principal
from tests import factories
from tests.page_client import signed_in, text_of
from tests.people import bearer, operator_person, operator_token, person, principal, token

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("stored_reports")]
PAGES = ("/", "hosts", "stores", "sectors", "messages", "miners", "proving", "checks", "wallets")


@pytest.fixture
def sent(pool_redis: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tasks that were sent, to a pool that follows a chain."""
    found: list[str] = []
    monkeypatch.setattr(current_app, "send_task", lambda name, **_: found.append(name))
    redis_client().flushall()
    factories.network(params={"NetworkName": factories.NETWORK, "BlockDelaySecs": 30})
    factories.head(1000)
    return found


@pytest.fixture
def boss(sent: list[str]) -> Client:
    operator_person("boss")
    return signed_in("boss")


def none_evaluates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever evaluates all checks now fails."""

    def refused(_: Any) -> Any:
        raise AssertionError("a page evaluates the checks")

    monkeypatch.setattr(cache, "evaluate", refused)


def test_no_page_and_no_program_evaluates(boss: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    factories.worker("idle", is_paused=True)
    alerts_run()
    none_evaluates(monkeypatch)

    for page in PAGES:
        where = page if page == "/" else reverse(page)
        text = text_of(boss.get(where))
        assert "issue" in text, page
    reader = bearer(token("read"))
    assert boss.get("/api/v1/checks", headers=reader).status_code == 200
    assert b'poolsite_check_findings{check="hosts_paused",severity="warning"} 1.0' in metrics(boss)


def metrics(client: Client) -> bytes:
    return client.get("/metrics", headers=bearer(operator_token())).content


def test_a_page_says_that_nothing_was_evaluated_yet_and_asks_for_it(boss: Client, sent: list[str]) -> None:
    factories.worker("idle", is_paused=True)

    text = text_of(boss.get(reverse("checks")))

    assert "checks have not been evaluated yet" in text
    assert "All checks passed" not in text
    assert sent == ["checks.evaluate"]
    checks_evaluate()
    assert "idle paused" in text_of(boss.get(reverse("checks")))


def test_a_result_of_before_a_change_is_shown_and_a_newer_one_asked_for(
    boss: Client, sent: list[str]
) -> None:
    alerts_run()
    boss.get("/")
    sent.clear()
    worker = factories.worker("idle", is_paused=True)
    change_send(Change("worker", worker.pk, None))

    assert "idle paused" not in text_of(boss.get("/"))
    boss.get("/")
    boss.get("/")
    assert sent == ["checks.evaluate"] * 2, "at once, and for all pages that come before its pace is over"
    checks_evaluate()

    assert "idle paused" in text_of(boss.get("/"))


def test_a_late_result_is_shown_with_its_age(
    boss: Client, monkeypatch: pytest.MonkeyPatch, sent: list[str]
) -> None:
    factories.worker("idle", is_paused=True)
    alerts_run()
    then = clock.now()
    later(monkeypatch)

    report = cache.report_last(CheckData(SYSTEM))

    assert report.fails("hosts_paused", "checks_late")
    assert report.at <= then
    assert "checks were last evaluated 7" in text_of(boss.get(reverse("checks")))


def test_without_redis_no_page_evaluates_and_none_calls_it_well(
    boss: Client, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    alerts_run()
    none_evaluates(monkeypatch)
    settings.REDIS_URL = "redis://127.0.0.1:1/0"

    report = cache.report_last(CheckData(SYSTEM))

    assert [one.check.name for one in report.found] == ["checks_late"]


def test_each_sees_what_concerns_it(sent: list[str]) -> None:
    """A tenant's people, levels and tokens share one result; another tenant's and a miner's do not."""
    factories.worker("idle", of="bob", is_paused=True)
    alice, bob = principal("alice"), principal("bob")
    for viewer in (alice, bob, principal("bob", miners=(1500,))):
        cache.report_stored(CheckData(viewer))
    checks_evaluate()

    assert not cache.report_last(CheckData(alice)).fails("hosts_paused", "checks_late")
    assert cache.report_last(CheckData(bob)).fails("hosts_paused")
    assert cache.audience(principal("bob", perm="admin", actor="ann")) == cache.audience(bob)
    assert cache.audience(principal("bob", miners=(1500,))) != cache.audience(bob)


def test_one_result_is_shown_in_each_language(sent: list[str]) -> None:
    li = person("li")
    li.language = "zh-hans"
    li.save()
    factories.worker("idle", is_paused=True)
    cache.report_evaluate(CheckData(principal()))

    assert "idle 已暂停" in text_of(signed_in("li").get(reverse("hosts")))
    assert sent == []


def test_results_of_those_who_left_are_made_no_more(sent: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    cache.report_stored(CheckData(principal()))
    assert redis_client().zcard(cache.ASKED_KEY) == 1
    monkeypatch.setattr(cache, "ASKED_S", -1)

    cache.all_asked_evaluate()

    assert redis_client().zcard(cache.ASKED_KEY) == 0


def test_without_a_result_metrics_give_no_age_that_is_well(boss: Client) -> None:
    assert b"poolsite_checks_age_seconds +Inf" in metrics(boss)

    alerts_run()

    assert b"poolsite_checks_age_seconds +Inf" not in metrics(boss)


@pytest.mark.parametrize("page", ["hosts", "wallets", "stores", "sectors"])
def test_without_a_result_no_page_says_that_all_is_well(boss: Client, page: str) -> None:
    factories.worker("there")
    factories.wallet()

    text = text_of(boss.get(reverse(page)))

    assert "the checks have not been evaluated yet" in text[text.index('id="f-verdict"') :]
    assert "None is slow" not in text
    assert "Every address in use" not in text


def test_today_says_first_that_the_result_is_missing_or_old(
    boss: Client, monkeypatch: pytest.MonkeyPatch, sent: list[str]
) -> None:
    def sentence() -> str:
        return text_of(boss.get("/")).partition('id="f-verdict"')[2].partition("</p>")[0]

    assert "the checks have not been evaluated yet." in sentence()
    alerts_run()
    later(monkeypatch)
    assert "the checks were last evaluated 7" in sentence()


def stored_change(viewer: Principal, change: Callable[[dict[str, Any]], None]) -> None:
    """Store the viewer's result as another version would have written it."""
    key = cache.key_of(cache.audience(viewer))
    stored = json.loads(redis_client().get(key) or "")
    at, found, *figures = json.loads(stored["report"])
    change(found)
    redis_client().set(key, json.dumps(stored | {"report": json.dumps([at, found, *figures])}))


def test_checks_of_another_version_are_left_out(boss: Client) -> None:
    factories.worker("idle", is_paused=True)
    alerts_run()

    stored_change(SYSTEM, lambda found: found.update(not_known_here=["critical", []]))

    assert cache.report_last(CheckData(SYSTEM)).fails("hosts_paused")
    assert boss.get("/").status_code == 200
    alerts_run()


def test_consoles_of_two_versions_read_each_others_results(boss: Client) -> None:
    factories.worker("idle", is_paused=True)
    alerts_run()
    key = cache.key_of(SYSTEM)
    stored = json.loads(redis_client().get(key) or "")

    # One from before there were codes shows what is there as it is.
    (finding,) = json.loads(stored["report"])[1]["hosts_paused"][1]
    assert finding["say"] == "idle paused"
    assert finding["reason"] == "no new work is claimed until resumed"
    assert [act["of"] for act in finding["acts"]] == ["idle"]

    redis_client().set(key, json.dumps({name: stored[name] for name in ("number", "took_s", "report")}))
    assert "idle paused" in text_of(boss.get(reverse("hosts")))


def test_a_result_with_fields_of_another_version_counts_for_none(boss: Client) -> None:
    factories.worker("idle", is_paused=True)
    alerts_run()

    stored_change(SYSTEM, lambda found: found["hosts_paused"][1][0].update(not_known_here=1))

    assert "checks have not been evaluated yet" in text_of(boss.get(reverse("checks")))
    alerts_run()
    assert "idle paused" in text_of(boss.get(reverse("checks")))


def test_an_audience_that_cannot_be_evaluated_stops_no_other(
    sent: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.checks.tasks.ping_enqueue", lambda: sent.append("ping"))
    cache.report_stored(CheckData(principal("bob")))
    redis_client().zadd(cache.ASKED_KEY, {'[{"a field of another version": 1}, "en"]': time.time()})

    alerts_run()

    assert not cache.report_last(CheckData(principal("bob"))).fails("checks_late")
    assert "ping" in sent


def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let seven minutes go by."""
    now = clock.now
    monkeypatch.setattr(clock, "now", lambda: now() + timedelta(minutes=7))
    monkeypatch.setattr("apps.checks.selectors.data.now", clock.now)


def test_pages_hear_of_the_same_findings_after_a_late_result(
    sent: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Change] = []
    monkeypatch.setattr(cache, "publish", told.append)
    monkeypatch.setattr(cache, "SHARED_S", -1)
    for _ in range(2):
        cache.report_evaluate(CheckData(SYSTEM))
    assert len(told) == 1
    monkeypatch.setattr(cache, "CHECKS_LATE", timedelta(seconds=-1))

    cache.report_evaluate(CheckData(SYSTEM))

    assert told == [Change(CHECKS, "pool", "pool")] * 2
