"""The pool's Celery app."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from django.db import connection, connections

from apps.core.redis_clients import client_for
from poolsite.celery import StandBackStep, app, periodic_send
from poolsite.embedded.console_processes import WORKER_ENV
from tests.integration.pools import SITE


@pytest.fixture
def between_tasks() -> Callable[[], None]:
    """What a worker does before and after each task."""
    fixups = [fixup for fixup in vars(app)["_fixups"] if hasattr(fixup, "worker_fixup")]
    assert len(fixups) == 1
    close: Callable[[], None] = fixups[0].worker_fixup.close_database
    return close


@pytest.mark.django_db(transaction=True)
def test_a_worker_keeps_its_database_connection_while_it_is_young(
    between_tasks: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connections["default"].settings_dict, "CONN_MAX_AGE", 600)
    connection.close()
    connection.ensure_connection()
    before = connection.connection

    between_tasks()

    assert connection.connection is before


@pytest.mark.django_db(transaction=True)
def test_connection_closed_by_the_database_is_replaced(
    between_tasks: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connections["default"].settings_dict, "CONN_MAX_AGE", 600)
    monkeypatch.setitem(connections["default"].settings_dict, "CONN_HEALTH_CHECKS", True)
    connection.close()
    connection.ensure_connection()
    before = connection.connection
    before.close()  # as after a kill of PostgreSQL: Django still holds it

    between_tasks()

    with connection.cursor() as cursor:
        cursor.execute("select 1")
        assert cursor.fetchone() == (1,)
    assert connection.connection is not before


@pytest.mark.django_db(transaction=True)
def test_without_an_age_nothing_is_kept(between_tasks: Callable[[], None]) -> None:
    connection.ensure_connection()

    between_tasks()

    assert connection.connection is None


def test_periodic_task_is_sent_although_the_clock_was_set_back(
    pool_redis: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    monkeypatch.setattr(app, "send_task", lambda task, **_: sent.append(task))
    client_for(pool_redis).set("poolsite:periodic:alerts.run", 1, px=8 * 3600 * 1000)

    periodic_send("alerts.run", 15.0)
    periodic_send("alerts.run", 15.0)

    assert sent == ["alerts.run"]


def test_processes_of_tasks_load_no_pages_and_no_generator_of_schemas() -> None:
    words = (
        "import sys; from poolsite.celery import app; app.loader.import_default_modules(); "
        "print(*{'apps.dashboard.registry', 'drf_spectacular.plumbing', 'unittest'} & {*sys.modules})"
    )
    env = {**os.environ, **WORKER_ENV, "DJANGO_SETTINGS_MODULE": "poolsite.settings.test"}

    done = subprocess.run(
        [sys.executable, "-c", words], cwd=SITE, env=env, check=True, capture_output=True, text=True
    )

    assert done.stdout.strip() == ""


@pytest.mark.parametrize(
    ("stands_back", "is_cut_off", "has_room", "is_taken"),
    [
        (False, False, True, True),
        (False, False, False, False),
        (True, False, True, False),
        (False, True, True, False),
    ],
    ids=["at work", "full", "stands back", "cut off"],
)
def test_a_worker_leaves_tasks_that_only_others_can_carry_out(
    stands_back: bool, is_cut_off: bool, has_room: bool, is_taken: bool
) -> None:
    qos = SimpleNamespace(can_consume=lambda: has_room)
    ability = SimpleNamespace(stands_back=False, is_cut_off=False)
    consumer = SimpleNamespace(
        controller=SimpleNamespace(ability=ability),
        task_consumer=SimpleNamespace(channel=SimpleNamespace(qos=qos)),
    )
    StandBackStep(consumer).start(consumer)
    assert qos.can_consume() is has_room

    ability.stands_back, ability.is_cut_off = stands_back, is_cut_off

    assert qos.can_consume() is is_taken
