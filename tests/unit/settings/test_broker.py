"""Celery reaches the server that redis-py reaches, in the same way, and trusts no other."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from django.core.exceptions import ImproperlyConfigured
from kombu.exceptions import OperationalError
from redis.connection import parse_url

from poolsite.settings.broker import broker_from_redis_url
from tests.certificate import Certificate
from tests.servers import RedisServer


def app_for(url: str) -> Celery:
    """Return an app whose broker is a Redis."""
    broker, tls = broker_from_redis_url(url)
    app = Celery("pool", broker=broker, set_as_current=False)
    app.conf.update(broker_use_ssl=tls, task_ignore_result=True, broker_connection_timeout=5)
    return app


@pytest.mark.parametrize(
    "url",
    [
        "redis://h",
        "redis://h:6390/5",
        "redis://h:6390/1?db=5&protocol=2&socket_timeout=3",
        "redis://:p%40ss%2Fw%3A%23@h:6379/0",
        "rediss://me:p%25@[::1]:6390/3?ssl_ca_certs=/ca&ssl_check_hostname=no",
        "rediss://h/0?ssl_cert_reqs=none",
    ],
)
def test_kombu_reads_what_redis_py_reads(url: str) -> None:
    wanted: dict[str, Any] = parse_url(url)
    with app_for(url) as app, app.connection_for_write() as link:
        assert link.hostname == wanted["host"]
        assert (link.port or 6379) == wanted.get("port", 6379)
        assert (link.userid or None) == wanted.get("username")
        assert link.password == wanted.get("password")
        assert int((link.virtual_host or "0").strip("/")) == wanted.get("db", 0)
        tls = {name: value for name, value in wanted.items() if name.startswith("ssl_")}
        assert link.ssl == ({"ssl_cert_reqs": "required", **tls} if url.startswith("rediss") else False)


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """A Redis of this test alone."""
    made = RedisServer()
    made.start()
    yield made
    made.stop()


def test_a_database_behind_a_socket_is_the_same_for_all(server: RedisServer) -> None:
    with app_for(f"{server.url}?db=3") as app:
        app.send_task("alerts.run", queue="io", retry=False)
        with app.connection_for_read() as link:
            client: Any = link.default_channel.client  # type: ignore[attr-defined]  # of kombu's own class
            assert client.connection_pool.connection_kwargs["db"] == 3
            assert client.llen("io") == 1


def test_a_password_with_commas_is_one_servers() -> None:
    """Django and kombu take several servers in one text."""
    url = "redis://me:a,b;c@h:6379/0"
    asked = "from poolsite.settings import base as s; print(s.CACHES['default']['LOCATION'] == [s.REDIS_URL])"
    env = {**os.environ, "REDIS_URL": url, "POOLSITE_PROCESS": "manage"}

    said = subprocess.run([sys.executable, "-c", asked], env=env, capture_output=True, text=True, check=True)

    assert said.stdout == "True\n"
    with app_for(url) as app, app.connection_for_write() as link:
        assert (link.hostname, link.password, link.alt) == ("h", "a,b;c", [])


@pytest.mark.parametrize("url", ["redis://h/?db=x", "redis://:a/b@h/0", "redis://h:port"])
def test_what_cannot_be_read_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="REDIS_URL cannot be read: use rediss:") as refusal:
        broker_from_redis_url(url)
    assert url not in str(refusal.value)


def test_no_password_is_told_to_a_server_that_is_not_trusted(tmp_path: Path) -> None:
    """By itself kombu takes any certificate of a `rediss://` without options."""
    certificate, heard = Certificate(tmp_path, name="localhost"), []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.public, certificate.key)

    def serve(listener: socket.socket) -> None:
        while True:
            try:
                link, _ = listener.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(link, server_side=True) as inside:
                    inside.settimeout(5)
                    heard.append(inside.recv(1000))
            except OSError:
                continue

    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = threading.Thread(target=serve, args=(listener,), daemon=True)
        serving.start()
        place = f"127.0.0.1:{listener.getsockname()[1]}/0"
        trusting = f"rediss://two:secret@{place}?ssl_ca_certs={certificate.public}"
        # kombu keeps connections by user and place
        for url, hears in ((f"rediss://one:secret@{place}", False), (trusting, True)):
            with app_for(url) as app, pytest.raises(OperationalError):
                app.send_task("alerts.run", retry=False)
            assert any(b"secret" in text for text in heard) == hears
        listener.shutdown(socket.SHUT_RDWR)
    serving.join(10)
