"""What hosts make in a day, against cases computed by hand."""

from __future__ import annotations

from typing import Any

import pytest

from apps.sectors.rules.planner import COMMIT, DISK, SEED, STAGES, Plan, gains, simulate

DAY = 86_400
QUICK = dict.fromkeys(STAGES, 0.001)


def plan(*, hosts: int = 1, rooms: int = 1, slots: Any = None, **seconds: float) -> Plan:
    """Return hosts on which only these stages take time, with one slot of each stage."""
    have = dict.fromkeys(STAGES, 1) | (slots or {})
    return Plan(hosts=hosts, rooms=rooms, slots=have, seconds=QUICK | seconds)


def per_hour(of: Plan) -> float:
    return simulate(of).per_day / 24


def test_one_room_makes_one_sector_after_the_other():
    # 10 minutes of PC1, 5 of PC2, 20 of waits: 35 minutes each.
    alone = plan(PC1=600, PC2=300, **{SEED: 900, COMMIT: 300})

    found = simulate(alone)

    assert found.per_day == pytest.approx(DAY / 2100, rel=1e-4)
    assert found.sector_s == pytest.approx(2100, rel=1e-4)
    assert found.limit == DISK


def test_with_room_the_slowest_stage_sets_the_pace():
    # PC1 ends one in 10 minutes, PC2 one in 5: six an hour.
    found = simulate(plan(rooms=4, PC1=600, PC2=300))

    assert found.per_day / 24 == pytest.approx(6, rel=1e-3)
    assert found.limit == "PC1"
    assert found.use["PC1"] == pytest.approx(1, rel=1e-3)
    assert found.use["PC2"] == pytest.approx(0.5, rel=1e-3)


def test_two_slots_make_twice_as_many_until_the_next_stage_limits():
    two = plan(rooms=8, slots={"PC1": 2}, PC1=600, PC2=300)
    three = plan(rooms=8, slots={"PC1": 3}, PC1=600, PC2=300)

    assert per_hour(two) == pytest.approx(12, rel=1e-2)
    assert per_hour(three) == pytest.approx(12, rel=1e-2)
    assert simulate(three).limit == "PC2"


def test_waits_for_the_chain_take_room_but_no_slot():
    # 75 minutes of seed and 15 of PC1: one room makes one in 90 minutes, six rooms one in 15.
    assert per_hour(plan(PC1=900, **{SEED: 4500})) == pytest.approx(60 / 90, rel=1e-3)
    assert per_hour(plan(rooms=6, PC1=900, **{SEED: 4500})) == pytest.approx(4, rel=1e-2)


def test_hosts_add_up_and_a_missing_slot_makes_nothing():
    assert per_hour(plan(hosts=3, rooms=4, PC1=600)) == pytest.approx(18, rel=1e-3)
    nothing = simulate(plan(rooms=4, slots={"C2": 0}, PC1=600))
    assert (nothing.per_day, nothing.limit) == (0.0, "C2")
    assert simulate(plan(rooms=0)).per_day == 0


def test_gains_name_what_helps_most():
    # PC1 limits: 6 an hour. A second slot makes 12, which PC2 can do; a room and other slots give nothing.
    found = {gain.what: gain.per_day / 24 for gain in gains(plan(rooms=8, PC1=600, PC2=300))}

    assert found["PC1"] == pytest.approx(12, rel=1e-2)
    assert found["host"] == pytest.approx(12, rel=1e-2)
    assert found["PC2"] == pytest.approx(6, rel=1e-2)
    assert found[DISK] == pytest.approx(6, rel=1e-2)
    assert gains(plan(PC1=600, **{SEED: 6000}))[0].what in ("host", DISK)


def test_a_sector_further_on_goes_first():
    # One slot does PC1 and another C2 with the same time: both are always busy, none starves.
    found = simulate(plan(rooms=5, PC1=60, C2=60))

    assert found.per_day == pytest.approx(DAY / 60, rel=1e-2)


def test_the_damocles_plan_of_32_gib_sectors_is_limited_by_c2():
    # 28 PC1 of 177 minutes: 228 a day; PC2 of 12 minutes: 120 a slot; C2 of 15 minutes: 96 a slot.
    times = {"ADD_PIECE": 180, "TREE_D": 60, "PC1": 10_620, "PC2": 720, "C1": 1, "C2": 900, SEED: 4_500}
    slots = {"ADD_PIECE": 4, "TREE_D": 4, "PC1": 28, "PC2": 2, "C2": 1}
    found = simulate(plan(rooms=60, slots=slots, **times))

    assert found.per_day == pytest.approx(96, rel=0.02)
    assert found.limit == "C2"
