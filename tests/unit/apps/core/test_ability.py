"""Who cannot do the work stands back for the same process of another machine, which can."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Final

import psycopg2
import pytest
from psycopg2.extensions import connection

from apps.core import ability as ability_module
from apps.core.ability import ABLE_S, FAILS_S, STANDS_BACK_S, Ability
from apps.core.leader import Leadership, database_params, lead_forever
from apps.core.process_leases import Pace, ProcessLease

CUT: Final = "the node does not respond"
PATIENT: Final = Pace(every_s=1.0, lasts_s=600.0)
"""No lease of a test runs out because the machine is slow."""


class Clock:
    """The monotonic clock of both machines."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Machine:
    """The process of one machine, with its lease; the test says what it reaches and when it looks."""

    def __init__(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Ability, "_run", lambda _: None)
        self.fault = ""
        self.ability = Ability(lambda: self.fault)
        self.lease = ProcessLease(
            PATIENT, session=f"follower@{name}", machine=name, process="follower", ability=self.ability
        )

    def stands_back(self) -> bool:
        return self.ability.stands_back

    def look(self, fault: str = "") -> None:
        """Look what is reached, and tell the others."""
        self.fault = fault
        self.ability.look_now()
        self.lease.renew()


@pytest.fixture
def clock(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    made = Clock()
    monkeypatch.setattr(ability_module, "time", made)
    yield made
    with psycopg2.connect(**database_params()) as link, link.cursor() as cursor:
        cursor.execute("delete from core_processlease")
    link.close()


@pytest.fixture
def pair(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> tuple[Machine, Machine]:
    """A leader and a stand-by that have both been able for long."""
    leader, standby = Machine("a", monkeypatch), Machine("b", monkeypatch)
    for one in (leader, standby):
        one.look()
    clock.sleep(60)
    for one in (leader, standby, leader):
        one.look()
    return leader, standby


def test_a_leader_that_reaches_no_node_stands_back_for_one_that_does(
    pair: tuple[Machine, Machine], clock: Clock
) -> None:
    leader, standby = pair
    resigned: list[str] = []
    leader.ability.stand_back = lambda: resigned.append("now")
    assert leader.ability.has_others

    leader.look(CUT)
    assert not leader.stands_back(), "one look says little"
    clock.sleep(FAILS_S)
    standby.look()
    leader.look(CUT)

    assert leader.stands_back()
    assert resigned == ["now"]
    assert not standby.stands_back()


def test_a_leader_whose_clock_is_wrong_stands_back(
    pair: tuple[Machine, Machine], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    leader, standby = pair
    right = time.time
    with monkeypatch.context() as wrong:
        wrong.setattr("apps.core.process_leases.time.time", lambda: right() - 180)
        for _ in range(3):
            leader.look()
            clock.sleep(FAILS_S)
        leader.look()
    standby.look()

    assert leader.ability.reason == "the clock is 180 s from the database's"
    assert leader.stands_back()
    assert standby.ability.reason == ""


def test_nothing_changes_hands_where_no_machine_reaches_a_node(
    pair: tuple[Machine, Machine], clock: Clock
) -> None:
    """From the first failing look to the last, whoever notices first."""
    leader, standby = pair
    for _ in range(100):
        leader.look(CUT)
        clock.sleep(FAILS_S / 2)
        standby.look(CUT)
        clock.sleep(FAILS_S / 2)
        assert not leader.stands_back()
        assert not standby.stands_back()

    standby.look()  # it is the first that notices the return
    clock.sleep(ABLE_S * 0.9)
    leader.look(CUT)
    assert not leader.stands_back()
    leader.look()
    clock.sleep(ABLE_S)
    standby.look()
    leader.look()
    assert not leader.stands_back()


def test_nobody_stands_back_for_a_machine_that_is_gone(pair: tuple[Machine, Machine], clock: Clock) -> None:
    leader, standby = pair
    standby.lease.end()
    for _ in range(3):
        leader.look(CUT)
        clock.sleep(FAILS_S)

    assert not leader.ability.has_others
    assert not leader.stands_back()


def test_who_stood_back_is_nobodys_relief_for_a_while(pair: tuple[Machine, Machine], clock: Clock) -> None:
    first, second = pair
    first.look(CUT)
    clock.sleep(FAILS_S)
    first.look(CUT)
    assert first.stands_back()

    first.look()
    second.look(CUT)
    clock.sleep(STANDS_BACK_S * 0.9)
    first.look()
    second.look(CUT)
    assert not second.stands_back(), "a line that comes and goes moves nothing back and forth"

    clock.sleep(STANDS_BACK_S * 0.2)
    first.look()
    second.look(CUT)
    assert second.stands_back(), "but one that stays does"


def test_the_lease_of_an_older_console_is_no_relief(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    leader = Machine("a", monkeypatch)
    older = ProcessLease(PATIENT, session="follower@b", machine="b", process="follower")
    older.renew()
    for _ in range(3):
        leader.look(CUT)
        clock.sleep(FAILS_S)

    assert leader.ability.has_others
    assert not leader.stands_back()


def test_who_has_others_and_lost_the_database_is_cut_off(pair: tuple[Machine, Machine], clock: Clock) -> None:
    leader, _ = pair
    assert not leader.ability.is_cut_off

    clock.sleep(3 * PATIENT.every_s)

    assert leader.ability.is_cut_off


def test_a_process_alone_looks_at_nothing(clock: Clock) -> None:
    looks: list[int] = []

    def look() -> str:
        looks.append(1)
        return CUT

    alone = Ability(look)
    lease = ProcessLease(PATIENT, session="follower@a", machine="a", process="follower", ability=alone)
    for _ in range(3):
        lease.renew()
        clock.sleep(STANDS_BACK_S)

    assert not looks
    assert not alone.stands_back
    assert not alone.is_cut_off


def test_who_stands_back_frees_the_lock_rests_and_does_not_take_it(db: None) -> None:
    done: list[str] = []
    with Leadership(key=4711) as leadership, Leadership(key=4711) as other:

        def step() -> None:
            done.append("step")

        def rest() -> None:
            done.append("rest")
            assert other.try_lead()

        lead_forever(
            leadership,
            step,
            asked_to_stop=lambda: done[-1:] == ["rest"],
            stands_back=lambda: len(done) >= 2,
            rest=rest,
        )

    assert done == ["step", "step", "rest"]


def test_nobody_resigns_while_the_session_is_looked_at(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    with Leadership(key=4711) as leadership:

        def look(link: connection) -> bool:
            resigning = threading.Thread(target=leadership.resign)
            resigning.start()
            resigning.join(0.2)
            return not link.closed

        monkeypatch.setattr("apps.core.leader.is_surely_open", look)
        assert leadership.try_lead()
        assert leadership.still_leads()


def test_one_whose_server_restarts_does_not_rest(db: None) -> None:
    """Nobody else leads: what runs beside its steps goes on."""
    done: list[str] = []
    with Leadership(key=4711) as leadership:

        def step() -> None:
            done.append("step")
            assert leadership.link is not None
            leadership.link.close()

        lead_forever(leadership, step, asked_to_stop=lambda: len(done) >= 3, rest=lambda: done.append("rest"))

    assert done == ["step"] * 3
