"""Settings out of the environment."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
import structlog
from django.core.exceptions import ImproperlyConfigured
from django.test import RequestFactory
from django.urls import resolve

from poolsite.settings.environment import (
    CLIENT_TIMEOUTS,
    SERVER_TIMEOUTS,
    database_from_url,
    env_actors,
    env_flag,
    env_level,
    env_list,
    env_number,
    env_redis_url,
    env_text,
    origin_of,
)
from poolsite.settings.logs import logging_for, secrets_hide


def test_a_database_behind_a_socket_is_understood() -> None:
    row = database_from_url("postgresql:///poolsite?host=/tmp/x/pg&user=poolsite")

    assert (row["NAME"], row["HOST"], row["USER"], row["PORT"]) == ("poolsite", "/tmp/x/pg", "poolsite", "")


def test_a_database_over_the_network_keeps_its_options_and_odd_passwords() -> None:
    row = database_from_url("postgres://me:p%40ss@db.example:5433/pool?sslmode=require")

    assert (row["HOST"], row["PORT"], row["USER"], row["PASSWORD"]) == ("db.example", "5433", "me", "p@ss")
    assert row["OPTIONS"]["sslmode"] == "require"


def test_both_sides_of_a_session_over_tcp_look_for_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PGOPTIONS", raising=False)
    behind_socket = database_from_url("postgresql:///pool?host=/tmp/x/pg&user=poolsite")
    plain = database_from_url("postgres://db.example/pool")

    assert behind_socket["OPTIONS"] == {}
    assert plain["OPTIONS"] == CLIENT_TIMEOUTS | {"options": SERVER_TIMEOUTS}


def test_options_of_the_url_stand_and_come_after_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGOPTIONS", "-c work_mem=1MB")
    url = "postgres://db.example/pool?keepalives_idle=60"

    from_environment = database_from_url(url)["OPTIONS"]
    from_url = database_from_url(f"{url}&options=-c%20work_mem%3D2MB")["OPTIONS"]

    assert from_environment["keepalives_idle"] == "60"
    assert from_environment["options"] == f"{SERVER_TIMEOUTS} -c work_mem=1MB"
    assert from_url["options"] == f"{SERVER_TIMEOUTS} -c work_mem=2MB"


@pytest.mark.parametrize("url", ["sqlite:///x", "pool:s3cret@db/x"])
def test_another_database_is_refused(url: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="only postgresql") as refusal:
        database_from_url(url)
    assert "s3cret" not in str(refusal.value)


@pytest.mark.parametrize(
    ("places", "host", "port"),
    [
        ("a:5432,b:5433", "a,b", "5432,5433"),
        ("a,b", "a,b", ""),
        ("a,b:5433", "a,b", "5432,5433"),
        ("[::1]:5432,[fd00::2]", "::1,fd00::2", "5432,5432"),
        ("[fe80::1%25eth0]:5432", "fe80::1%eth0", "5432"),
        ("%2Ftmp%2FPg", "/tmp/Pg", ""),
    ],
)
def test_several_servers_stand_in_one_url(places: str, host: str, port: str) -> None:
    row = database_from_url(f"postgresql://me:p%40s%2Cs@{places}/pool?sslmode=require")

    assert (row["HOST"], row["PORT"], row["USER"], row["PASSWORD"]) == (host, port, "me", "p@s,s")
    assert row["NAME"] == "pool"
    assert row["OPTIONS"]["sslmode"] == "require"
    assert (row["OPTIONS"].get("target_session_attrs") == "read-write") == ("," in host)
    asked = database_from_url(f"postgresql://{places}/pool?target_session_attrs=any")["OPTIONS"]
    assert asked["target_session_attrs"] == "any"


@pytest.mark.parametrize("password", ["s3[cret", "s3\u2100cret", "s3:cret"])
def test_a_password_of_any_letters_is_read(password: str) -> None:
    """The standard library refuses the first, and the second with it in the error's text."""
    row = database_from_url(f"postgresql://me:{password}@a:5432/pool")

    assert (row["USER"], row["PASSWORD"], row["HOST"], row["NAME"]) == ("me", password, "a", "pool")


@pytest.mark.parametrize("places", ["a:b", "s3cret/x@a:5432", "a b:c:5432", "[::1"])
def test_a_server_that_cannot_be_read_is_refused_without_its_password(places: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="DATABASE_URL cannot be read") as refusal:
        database_from_url(f"postgresql://me:{places}/pool")
    assert "s3cret" not in str(refusal.value)


def test_flags_numbers_and_lists_say_what_they_cannot_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A", "perhaps")
    monkeypatch.setenv("B", " x, ,y ")

    with pytest.raises(ImproperlyConfigured, match="A is 'perhaps'"):
        env_flag("A")
    with pytest.raises(ImproperlyConfigured, match="A is 'perhaps'"):
        env_number("A", 1)
    with pytest.raises(ImproperlyConfigured, match="C is not set"):
        env_text("C")
    assert env_list("B") == ["x", "y"]
    assert env_number("C", 3) == 3
    monkeypatch.setenv("D", "11")
    assert env_number("D", 1, most=11) == 11
    with pytest.raises(ImproperlyConfigured, match="D is 11: use 0 to 10"):
        env_number("D", 1, most=10)
    assert env_flag("C", default=True)


def test_actors_are_read_from_their_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A", "f01000, t02")
    monkeypatch.setenv("B", "f01000,1001")

    assert (env_actors("A"), env_actors("C")) == ([1000, 2], [])
    with pytest.raises(ImproperlyConfigured, match="B has '1001': use addresses such as f01000"):
        env_actors("B")


def test_secrets_never_reach_a_log() -> None:
    event = {"event": "x", "password": "p", "admin_token": "t", "lease_token": 3, "Authorization": "b"}

    shown = secrets_hide(None, "info", event)

    assert shown == {
        "event": "x",
        "password": "(hidden)",
        "admin_token": "(hidden)",
        "lease_token": 3,
        "Authorization": "(hidden)",
    }


def line_of(record: logging.LogRecord) -> str:
    """What a library's record becomes."""
    out = StringIO()
    row = logging_for(level="INFO", process="tasks")
    formatter = row["formatters"]["events"]
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=formatter["foreign_pre_chain"], processors=formatter["processors"]
        )
    )
    handler.emit(record)
    return out.getvalue()


def test_a_line_is_one_json_object_with_its_process() -> None:
    line = line_of(logging.LogRecord("library", logging.WARNING, "file", 1, "low on %s", ("room",), None))

    assert '"event": "low on room"' in line
    assert '"process": "tasks"' in line
    assert '"level": "warning"' in line


@pytest.mark.parametrize("end", [("[accepted]", ()), ("%d", (401,))])
@pytest.mark.parametrize("query", ["?token=S3CRET", '?a="&token=S3CRET', "?a?token=S3CRET"])
def test_a_web_socket_is_logged_without_its_query(query: str, end: tuple[str, tuple[int, ...]]) -> None:
    text, args = f'%s - "WebSocket %s" {end[0]}', ("10.0.0.1:5", f"/rpc/v1{query}", *end[1])

    line = line_of(logging.LogRecord("uvicorn.error", logging.INFO, "file", 1, text, args, None))

    assert "S3CRET" not in line
    assert r"10.0.0.1:5 - \"WebSocket /rpc/v1\" " in line


def test_a_failed_request_is_logged_without_query_and_invitation(rf: RequestFactory) -> None:
    for path in ("/api/v1/miners?token=S3CRET", "/invitation/Mg/S3CRET/"):
        request = rf.get(path)
        request.resolver_match = resolve(request.path)
        record = logging.LogRecord("x", logging.ERROR, "f", 1, "%s: %s", ("Failed", request.path), None)
        record.request = request

        line = line_of(record)

        assert "S3CRET" not in line
        assert f"Failed: {path.partition('?')[0].replace('S3CRET', '(hidden)')}" in line


@pytest.mark.parametrize(("level", "least"), [("DEBUG", "INFO"), ("ERROR", "ERROR")])
def test_headers_of_web_sockets_are_not_logged(level: str, least: str) -> None:
    loggers = logging_for(level=level, process="web-1")["loggers"]

    assert (loggers["uvicorn.error"]["level"], loggers["websockets"]["level"]) == (least, least)


@pytest.mark.parametrize(("text", "level"), [("debug", "DEBUG"), ("Warning", "WARNING"), ("", "INFO")])
def test_log_level_is_read_in_any_case(monkeypatch: pytest.MonkeyPatch, text: str, level: str) -> None:
    monkeypatch.setenv("LOG_LEVEL", text)

    assert env_level("LOG_LEVEL") == level


def test_log_level_that_is_none_is_refused_with_those_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOG_LEVEL", "verbose")

    with pytest.raises(ImproperlyConfigured, match="LOG_LEVEL is 'verbose': use one of DEBUG, INFO"):
        env_level("LOG_LEVEL")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://git.example/poolsite.git", "https://git.example/poolsite.git"),
        ("https://ann:secret@git.example/poolsite", "https://git.example/poolsite"),
        ("git@git.example:pool/site.git", "git@git.example:pool/site.git"),
        ("/srv/poolsite", ""),
        ("https://git.example/x; rm -rf ~", ""),
    ],
)
def test_where_a_clone_came_from_is_told_without_its_password(tmp_path: Path, url: str, shown: str) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "config").write_text(
        f'[core]\n\tbare = false\n[remote "origin"]\n\tfetch = +refs/*\n\turl = {url}\n[branch "main"]\n'
    )

    assert origin_of(tmp_path) == shown
    assert origin_of(tmp_path / "elsewhere") == ""


@pytest.mark.parametrize("url", ["redis+sentinel://a:26379/pool/0", "redis-cluster://a", "a:6379", "://"])
def test_a_redis_that_is_not_one_server_is_refused(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("REDIS_URL", url)

    with pytest.raises(ImproperlyConfigured, match="Sentinel and Redis Cluster are not supported"):
        env_redis_url("REDIS_URL")


@pytest.mark.parametrize("url", ["redis://a/1", "rediss://:pw@a:6380/0", "unix:///a/redis.sock"])
def test_one_redis_may_be_behind_tls_or_a_socket(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("REDIS_URL", url)

    assert env_redis_url("REDIS_URL") == url


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ("ssl_cert_reqs=CERT_NONE", "ssl_cert_reqs=CERT_NONE: use one of required, optional, none"),
        ("ssl_ca_certs=/nowhere/ca.pem", "ssl_ca_certs=/nowhere/ca.pem: it cannot be read"),
    ],
)
def test_options_of_tls_that_no_server_can_mend_are_refused(
    monkeypatch: pytest.MonkeyPatch, options: str, reason: str
) -> None:
    monkeypatch.setenv("REDIS_URL", f"rediss://me:s3cret@a/0?{options}")

    with pytest.raises(ImproperlyConfigured, match=reason) as refusal:
        env_redis_url("REDIS_URL")
    assert "s3cret" not in str(refusal.value)


def test_sessions_of_a_process_can_be_told_from_others_in_production() -> None:
    env = {
        **{name: value for name, value in os.environ.items() if not name.startswith("POOLSITE_")},
        "SECRET_KEY": "only-for-tests",
        "DATABASE_URL": "postgresql://db.example/pool",
        "REDIS_URL": "redis://cache.example",
        "POOLSITE_PROCESS": "follower",
        "POOLSITE_MACHINE": "a",
    }
    asked = (
        "from poolsite.settings import production as s;"
        "print(s.DATABASES['default']['OPTIONS']['application_name'] == s.SESSION_NAME, s.SESSION_NAME)"
    )

    said = subprocess.run([sys.executable, "-c", asked], env=env, capture_output=True, text=True, check=True)

    assert said.stdout.startswith("True follower@a ")
