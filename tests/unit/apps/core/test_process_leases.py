"""A console process that falls silent while another machine has its like."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlencode

import psycopg2
import pytest
from django.db import connection

from apps.core.leader import Leadership, database_params
from apps.core.process_leases import EXIT_GIVEN_UP, LEADER_PACE, GivenUp, Pace, ProcessLease

SHORT: Final = Pace(every_s=0.5, lasts_s=0.05)
"""A lease that has run out before the next look."""
LEADS: Final = """
import time
import django
django.setup()
from apps.core.leader import Leadership
from apps.core.process_leases import LEADER_PACE, lease_keep
lease_keep(LEADER_PACE)
leadership = Leadership(key=4711)
assert leadership.try_lead()
print("leads", flush=True)
while True:
    time.sleep(0.1)
"""
"""A console process that leads."""
SETTINGS: Final = {
    "DJANGO_SETTINGS_MODULE": "poolsite.settings.base",
    "SECRET_KEY": "only-for-tests",
    "POOLSITE_PROCESS": "follower",
    "POOLSITE_MACHINE": "a",
}


@pytest.fixture
def leases(db: None) -> Iterator[None]:
    """Rows of leases are written beside the test's transaction."""
    yield
    with psycopg2.connect(**database_params()) as link, link.cursor() as cursor:
        cursor.execute("delete from core_processlease")
    link.close()


def lease_of(machine: str, process: str = "follower", *, pace: Pace = LEADER_PACE) -> ProcessLease:
    return ProcessLease(pace, session=f"{process}@{machine}", machine=machine, process=process)


def session_of(lease: ProcessLease) -> psycopg2.extensions.connection:
    """Open a session as the process itself would."""
    link: psycopg2.extensions.connection = psycopg2.connect(
        **database_params() | {"application_name": lease.facts["session"]}
    )
    return link


def is_open(link: psycopg2.extensions.connection) -> bool:
    """Return whether the server has left a session open."""
    try:
        with link.cursor() as cursor:
            cursor.execute("select 1")
    except psycopg2.OperationalError:
        return False
    return True


@pytest.mark.usefixtures("leases")
def test_the_sessions_of_a_silent_process_end_and_it_is_told_when_it_wakes() -> None:
    silent, other = lease_of("a", pace=SHORT), lease_of("b")
    assert silent.renew() == other.renew() == []
    link, bystander = session_of(silent), session_of(other)
    time.sleep(2 * SHORT.lasts_s)

    assert other.renew() == [("a", "follower")]

    assert not is_open(link)
    assert is_open(bystander)
    bystander.close()
    with pytest.raises(GivenUp):
        silent.renew()
    assert other.renew() == []  # told of once


@pytest.mark.usefixtures("leases")
@pytest.mark.parametrize(("machine", "process"), [("b", "tasks"), ("a", "blocks")])
def test_nobody_is_given_up_whose_work_nobody_else_would_do(machine: str, process: str) -> None:
    silent, other = lease_of("a", pace=SHORT), lease_of(machine, process)
    silent.renew()
    other.renew()
    time.sleep(2 * SHORT.lasts_s)

    assert other.renew() == []


@pytest.mark.usefixtures("leases")
def test_who_was_late_itself_judges_nobody() -> None:
    silent, other = lease_of("a", pace=SHORT), lease_of("b")
    silent.renew()
    other.renew()
    other.renewed_at -= 3 * LEADER_PACE.every_s  # the database, or this machine, stood still
    time.sleep(2 * SHORT.lasts_s)

    assert other.renew() == []
    assert other.renew() == [("a", "follower")]


@pytest.mark.usefixtures("leases")
def test_a_process_that_ends_by_itself_leaves_no_lease() -> None:
    ended, other = lease_of("a", pace=SHORT), lease_of("b")
    ended.renew()
    other.renew()

    ended.end()

    time.sleep(2 * SHORT.lasts_s)
    assert other.renew() == []


@pytest.mark.usefixtures("leases")
def test_a_stopped_leader_is_replaced_and_ends_when_it_goes_on() -> None:
    row = connection.settings_dict
    options = {"host": row["HOST"], "user": row["USER"], "port": row["PORT"]} | row["OPTIONS"]
    url = f"postgresql:///{row['NAME']}?{urlencode({name: word for name, word in options.items() if word})}"
    env = os.environ | SETTINGS | {"DATABASE_URL": url}
    with subprocess.Popen(
        [sys.executable, "-c", LEADS], env=env, stdout=subprocess.PIPE, text=True
    ) as leader:
        try:
            assert leader.stdout is not None
            assert leader.stdout.readline() == "leads\n"
            other = lease_of("b")
            other.renew()
            with Leadership(key=4711) as standby:
                assert not standby.try_lead()
                leader.send_signal(signal.SIGSTOP)
                until = time.monotonic() + 60
                while not standby.try_lead() and time.monotonic() < until:
                    time.sleep(LEADER_PACE.every_s / 2)
                    other.renew()
                assert standby.still_leads()

                leader.send_signal(signal.SIGCONT)

                assert leader.wait(60) == EXIT_GIVEN_UP
                assert standby.still_leads()
        finally:
            leader.kill()
