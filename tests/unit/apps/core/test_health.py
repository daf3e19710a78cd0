"""Health, readiness and figures over HTTP."""

from __future__ import annotations

import re
from typing import Any
from unittest.mock import patch

import pytest
from django.db import OperationalError, connection
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.urls import resolve

from apps.api import metrics
from apps.core import health
from apps.core.disk import DiskSpace
from apps.core.liveness import heartbeat_send
from apps.core.middleware import CONTENT_POLICY, DatabaseUnavailableMiddleware, path_redacted


def test_a_process_that_answers_is_healthy_without_asking_anyone(client: Client) -> None:
    answer = client.get("/healthz")

    assert (answer.status_code, answer.content) == (200, b"ok\n")


@pytest.mark.django_db
def test_the_pool_is_ready_when_the_named_processes_gave_a_sign(
    client: Client, pool_redis: str, settings: Any
) -> None:
    settings.READY_PROCESSES = ["tasks"]

    before = client.get("/readyz")
    heartbeat_send("tasks", pid=7)
    after = client.get("/readyz")

    assert (before.status_code, before.json()["waiting_for"]) == (503, ["tasks"])
    assert after.status_code == 200
    assert after.json()["processes"]["tasks"]["pid"] == 7


@pytest.mark.django_db
def test_the_pool_is_not_ready_without_redis(client: Client, settings: Any) -> None:
    settings.REDIS_URL = "unix:///nowhere/redis.sock"

    answer = client.get("/readyz")

    assert (answer.status_code, answer.json()["redis"]) == (503, "away")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("free", "disk", "status"), [(2**40, "ok", 200), (2**27, "full", 200), (2**26 - 1, "full", 503)]
)
def test_the_pool_is_not_ready_where_its_disk_takes_nothing(
    client: Client, pool_redis: str, settings: Any, free: int, disk: str, status: int
) -> None:
    settings.READY_PROCESSES, settings.DISK_RESERVE_BYTES = [], 2**31

    with patch.object(health, "disk_space", return_value=DiskSpace(free, 2**41)):
        answer = client.get("/readyz")

    assert (answer.status_code, answer.json()["disk"]) == (status, disk)


@pytest.mark.django_db
def test_figures_are_for_this_machine_or_the_bearer_of_the_token(client: Client, settings: Any) -> None:
    settings.METRICS_TOKEN = "figures"

    assert client.get("/metrics").status_code == 200
    assert client.get("/metrics", REMOTE_ADDR="10.0.0.9").status_code == 404
    assert client.get("/metrics", HTTP_X_FORWARDED_FOR="10.0.0.9").status_code == 404
    assert (
        client.get("/metrics", REMOTE_ADDR="10.0.0.9", HTTP_AUTHORIZATION="Bearer figures").status_code == 200
    )
    assert client.get("/metrics", HTTP_AUTHORIZATION="Bearer wrong").status_code == 404


def test_every_answer_has_a_number_and_the_content_policy(client: Client) -> None:
    own = client.get("/healthz")
    given = client.get("/healthz", HTTP_X_REQUEST_ID="proxy-1")
    forged = client.get("/healthz", HTTP_X_REQUEST_ID="a\nb")

    assert len(own.headers["X-Request-ID"]) == 32
    assert given.headers["X-Request-ID"] == "proxy-1"
    assert forged.headers["X-Request-ID"] != "a\nb"
    assert own.headers["Content-Security-Policy"] == CONTENT_POLICY


@pytest.mark.django_db
def test_the_servers_time_and_queries_are_told_where_wanted(settings: Any, pool_redis: str) -> None:
    assert "Server-Timing" not in Client().get("/readyz").headers

    settings.SERVER_TIMING = True
    told = Client().get("/readyz").headers["Server-Timing"]

    assert re.fullmatch(r'app;dur=[0-9.]+, sql;desc="6"', told)


def test_a_database_that_restarts_asks_callers_to_come_back() -> None:
    request = RequestFactory().get("/api/v1/miners")

    middleware = DatabaseUnavailableMiddleware(lambda _: HttpResponse())

    answer = middleware.process_exception(request, OperationalError("gone"))

    assert answer is not None
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "2"
    assert middleware.process_exception(request, ValueError()) is None


def test_a_database_lost_inside_a_middleware_is_503_too(settings: Any) -> None:
    client = Client(raise_request_exception=False)

    with patch.object(metrics, "exposition", side_effect=OperationalError("gone")):
        settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if "DatabaseAway" not in name]
        answer = client.get("/metrics")

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")


@pytest.mark.django_db
def test_the_database_of_the_tests_is_a_copy_of_the_migrated_template() -> None:
    assert "users_user" in connection.introspection.table_names()


def test_a_name_that_is_not_ours_is_told_which_setting_helps(client: Client) -> None:
    page = client.get("/login/", headers={"Host": "pool.example"})
    program = client.get("/api/v1/miners", headers={"Host": "pool.example"})

    assert page.status_code == program.status_code == 400
    assert "ALLOWED_HOSTS" in page.content.decode()
    assert program.json()["code"] == "bad_request"


def test_a_log_line_does_not_hold_the_secret_of_an_invitation(rf: RequestFactory) -> None:
    paths = {
        "/invitation/Mg/d1-2a262d/": "/invitation/Mg/(hidden)/",
        "/messages/d1-2a262d/": "/messages/d1-2a262d/",
    }

    for path, told in paths.items():
        request = rf.get(path)
        request.resolver_match = resolve(path)
        assert path_redacted(request) == told


def test_an_unknown_page_is_a_page(client: Client) -> None:
    answer = client.get("/nowhere/")

    assert answer.status_code == 404
    assert "Page not found" in answer.content.decode()
