"""Nobody waits for a Redis that hangs: it was stopped, or the network was cut without a word."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery
from django.core.cache.backends.redis import RedisCache
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from poolsite.settings import base
from poolsite.settings.broker import broker_from_redis_url
from tests.servers import RedisServer


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """A Redis of this test alone."""
    server = RedisServer()
    server.start()
    yield server
    server.kill()


def hang(server: RedisServer) -> None:
    assert server.process is not None
    server.process.send_signal(signal.SIGSTOP)


def test_a_task_is_not_sent(server: RedisServer) -> None:
    options = dict(base.CELERY_BROKER_TRANSPORT_OPTIONS)
    options["socket_timeout"] = options["socket_timeout"] / 20
    with Celery("pool", broker=broker_from_redis_url(server.url)[0], set_as_current=False) as app:
        app.conf.update(broker_transport_options=options, task_ignore_result=True)
        app.send_task("alerts.run", retry=False)
        hang(server)
        began = time.monotonic()
        with pytest.raises(OperationalError):
            app.send_task("alerts.run", retry=False)
    assert time.monotonic() - began < 5


def test_what_is_shared_is_not_read(server: RedisServer) -> None:
    options: Any = base.CACHES["default"]["OPTIONS"]
    shared = RedisCache(
        server.url, {"OPTIONS": {**options, "socket_timeout": options["socket_timeout"] / 20}}
    )
    shared.set("name", 1)
    hang(server)
    with pytest.raises(RedisError):
        shared.get("name")
