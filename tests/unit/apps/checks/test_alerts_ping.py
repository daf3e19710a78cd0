"""The dead-man's switch: called while alerts work, silent while they do not, and missed when it is away."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from celery import current_app
from django.core.exceptions import ImproperlyConfigured
from structlog.testing import capture_logs

from apps.checks import tasks
from apps.checks.report import evaluate as evaluation
from apps.checks.selectors import data
from apps.checks.selectors.alerts import PING_FAILED_KEY
from apps.checks.selectors.data import CheckData
from apps.checks.services import ping
from apps.checks.services.ping import OUTAGE_S, PING_EVERY_S, ping_send
from apps.checks.tasks import alerts_ping, alerts_run
from apps.core.redis_clients import client_for
from apps.users.rules.principals import SYSTEM
from poolsite.settings.environment import env_url
from tests import factories
from tests.alerts import T0, Hook

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


@pytest.fixture
def switch(hook: Hook, settings: Any, pool_redis: str, monkeypatch: pytest.MonkeyPatch) -> Hook:
    """A dead-man's switch, whose task runs as soon as it is sent."""
    settings.ALERTS_PING_URL = hook.url
    monkeypatch.setattr(current_app, "send_task", lambda name, **_options: alerts_ping())
    factories.network(params={"NetworkName": factories.NETWORK, "BlockDelaySecs": 30})
    factories.head(1000)
    return hook


def minute_passes(redis_url: str) -> None:
    """The turn of the last call is over."""
    left = client_for(redis_url).ttl(ping.TURN_KEY)
    assert PING_EVERY_S - 15 < left < PING_EVERY_S
    client_for(redis_url).delete(ping.TURN_KEY)


def fails(*_args: Any, **_values: Any) -> Any:
    raise ValueError("it breaks")


def found() -> list[str]:
    [result] = evaluation.evaluate_some(["notifications_undelivered"], CheckData(SYSTEM)).results
    return [finding.say for finding in result.findings]


def test_it_is_called_once_a_minute(switch: Hook, pool_redis: str) -> None:
    for _ in range(4):
        alerts_run()
    assert switch.requests == ["GET /hook"]

    minute_passes(pool_redis)
    alerts_run()
    assert switch.requests == ["GET /hook"] * 2


def test_without_a_url_nothing_is_sent(switch: Hook, settings: Any) -> None:
    settings.ALERTS_PING_URL = ""

    alerts_run()

    assert switch.requests == []


@pytest.mark.parametrize("step", ["report_evaluate", "alerts_update", "notifications_deliver"])
def test_it_is_not_called_when_alerts_fail(switch: Hook, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    monkeypatch.setattr(tasks, step, fails)

    with pytest.raises(ValueError, match="it breaks"):
        alerts_run()

    assert switch.requests == []


def test_it_is_a_task_that_ends_with_its_turn(hook: Hook, settings: Any, pool_redis: str) -> None:
    settings.ALERTS_PING_URL = hook.url
    sent: list[tuple[str, dict[str, Any]]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(current_app, "send_task", lambda name, **options: sent.append((name, options)))
        alerts_run()

    assert hook.requests == [], "the evaluation does not wait for it"
    assert sent == [("alerts.ping", {"queue": "io", "retry": False, "expires": PING_EVERY_S})]
    assert alerts_ping.name == "alerts.ping"


def test_an_outage_is_logged_once_and_found_after_5_minutes(
    switch: Hook, monkeypatch: pytest.MonkeyPatch, pool_redis: str
) -> None:
    switch.status = 404
    with capture_logs() as lines:
        for minute in range(3):
            ping_send(now=T0 + minute * MINUTE)
    assert [(line["event"], line["reason"]) for line in lines] == [("ping_failed", "HTTP status 404")]
    assert OUTAGE_S - 15 < client_for(pool_redis).ttl(PING_FAILED_KEY) <= OUTAGE_S

    monkeypatch.setattr(data, "now", lambda: T0 + 4 * MINUTE)
    assert found() == []
    monkeypatch.setattr(data, "now", lambda: T0 + 6 * MINUTE)
    assert found() == ["the dead-man's switch has not been reached for 6 min 00 s"]

    switch.status = 200
    with capture_logs() as lines:
        for minute in range(6, 8):
            ping_send(now=T0 + minute * MINUTE)
    assert [line["event"] for line in lines] == ["ping_works_again"]
    assert found() == []


def test_a_switch_that_does_not_answer_is_given_up(
    switch: Hook, monkeypatch: pytest.MonkeyPatch, pool_redis: str
) -> None:
    monkeypatch.setattr(ping, "PING_ANSWER_S", 0.2)

    def waits(_body: bytes) -> bytes:
        time.sleep(1)
        return b""

    switch.answer = waits

    ping_send(now=T0)

    assert client_for(pool_redis).get(PING_FAILED_KEY) == f"{T0.isoformat()} no response: timed out"


def test_the_url_is_one_of_a_web_server(monkeypatch: pytest.MonkeyPatch) -> None:
    for good in ("", "https://hc-ping.com/5d3a", "http://kuma:3001/api/push/x?status=up"):
        monkeypatch.setenv("ALERTS_PING_URL", good)
        assert env_url("ALERTS_PING_URL") == good
    for wrong in (
        "hc-ping.com/s3cret",
        "ftp://h/s3cret",
        "https:///s3cret",
        "http://h:99999/s3cret",
        "http://h/s3 cret",
    ):
        monkeypatch.setenv("ALERTS_PING_URL", wrong)
        with pytest.raises(ImproperlyConfigured, match="ALERTS_PING_URL cannot be read") as refused:
            env_url("ALERTS_PING_URL")
        assert "s3" not in str(refused.value)
