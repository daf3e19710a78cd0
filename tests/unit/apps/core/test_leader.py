"""One leader among several sessions."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg2
import pytest

from apps.core.leader import BLOCKS_LOCK, FOLLOWER_LOCK, Leadership, database_params, lead_forever
from poolsite.settings.environment import database_from_url


@pytest.fixture
def pair(db: None) -> Iterator[tuple[Leadership, Leadership]]:
    """Two sessions that want the same lock."""
    with Leadership(key=4711) as one, Leadership(key=4711) as two:
        yield one, two


def session_end(leadership: Leadership) -> None:
    """End a session as kill -9 of the server would."""
    assert leadership.link is not None
    with psycopg2.connect(**database_params()) as link, link.cursor() as cursor:
        cursor.execute("select pg_terminate_backend(%s, 5000)", [leadership.link.info.backend_pid])
    link.close()


def test_of_two_one_leads(pair: tuple[Leadership, Leadership]) -> None:
    one, two = pair

    assert one.try_lead()
    assert not two.try_lead()
    assert one.still_leads()
    assert not two.still_leads()


def test_a_lost_session_is_noticed_and_the_other_takes_over(pair: tuple[Leadership, Leadership]) -> None:
    one, two = pair
    assert one.try_lead()

    session_end(one)

    assert not one.still_leads()
    assert two.try_lead()
    assert not one.try_lead()


def test_who_resigns_frees_the_lock(pair: tuple[Leadership, Leadership]) -> None:
    one, two = pair
    assert one.try_lead()

    one.resign()

    assert two.try_lead()


def test_other_roles_have_other_locks(pair: tuple[Leadership, Leadership]) -> None:
    one, _ = pair
    assert one.try_lead()

    with Leadership(key=4712) as other:
        assert other.try_lead()


@pytest.mark.parametrize(("key", "number"), [(FOLLOWER_LOCK, 0x506F_6F6C), (BLOCKS_LOCK, 0x506F_6F6D)])
def test_versions_at_work_together_never_both_lead(db: None, key: int, number: int) -> None:
    """All versions have asked for the same session lock, so these two numbers never change."""
    with psycopg2.connect(**database_params()) as old, old.cursor() as cursor, Leadership(key) as new:
        assert new.try_lead()
        cursor.execute("select pg_try_advisory_lock(%s)", [number])
        assert cursor.fetchone() == (False,)

        new.resign()
        cursor.execute("select pg_try_advisory_lock(%s)", [number])
        assert cursor.fetchone() == (True,)
        assert not new.try_lead()
    old.close()


def test_options_of_the_database_url_keep_nobody_from_leading(db: None) -> None:
    url = "postgresql://h/x?connect_timeout=10&application_name=pool&keepalives_idle=30&tcp_user_timeout=9000"
    options = database_from_url(url)["OPTIONS"]

    with Leadership(key=4711, params=options | database_params()) as one:
        assert one.try_lead()


def test_the_server_takes_the_timeouts_of_a_session_over_tcp(db: None) -> None:
    options = database_from_url("postgresql://h/x")["OPTIONS"]

    with psycopg2.connect(**options | database_params()) as link, link.cursor() as cursor:
        cursor.execute("select count(*) from pg_settings where name like 'tcp_%' and source = 'client'")
        assert cursor.fetchone() == (4,)
    link.close()


def test_without_a_database_nobody_leads() -> None:
    with Leadership(params={"host": "/nowhere", "dbname": "x", "user": "x"}) as lost:
        assert not lost.try_lead()
        assert not lost.still_leads()


def test_steps_run_only_while_leading(pair: tuple[Leadership, Leadership]) -> None:
    one, two = pair
    steps: list[int] = []

    def step() -> None:
        steps.append(len(steps))
        if len(steps) == 2:
            session_end(one)  # the next round elects again

    lead_forever(one, step, asked_to_stop=lambda: len(steps) == 4)

    assert steps == [0, 1, 2, 3]
    assert not two.try_lead()
