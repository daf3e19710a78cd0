"""The table of a sector's way: every state is reached, left and has somebody who goes on from it."""

from __future__ import annotations

import pytest

from poolsite.wire.pipeline import (
    BACK_TO,
    FINAL_STATES,
    NEXT_STAGE,
    PIPELINES,
    REBUILD_TRANSITIONS,
    RECOVER_TO,
    RUN_FINAL,
    SECTOR_STATES,
    SNAP_TRANSITIONS,
    STATE_OF_STAGE,
    TRANSITIONS,
    WORKER_STAGES,
    ChainClock,
    Owner,
    SectorEvent,
    SectorState,
    Stage,
    StageSpec,
    state_after,
    states_on_clock,
    states_with,
)


def reachable(start: str) -> set[str]:
    seen, todo = {start}, [start]
    while todo:
        for event, target in TRANSITIONS[todo.pop()].items():
            if target not in seen and not event.startswith(RECOVER_TO):
                seen.add(target)
                todo.append(target)
    return seen


def test_every_state_has_a_row_and_a_step() -> None:
    assert set(TRANSITIONS) == set(NEXT_STAGE) == set(SECTOR_STATES)
    assert set(SectorState) <= set(SECTOR_STATES)
    assert set(Stage) <= set(STATE_OF_STAGE)


def test_every_state_can_be_reached_from_a_new_sector() -> None:
    assert reachable(SectorState.ALLOCATED) == set(SECTOR_STATES)


@pytest.mark.parametrize("state", sorted(set(SECTOR_STATES) - FINAL_STATES))
def test_every_other_state_leads_to_proving(state: str) -> None:
    assert SectorState.PROVING in reachable(state)


def test_every_event_is_used_and_every_target_known() -> None:
    events = {event for row in TRANSITIONS.values() for event in row}
    used = {event for event in events if not event.startswith((BACK_TO, RECOVER_TO))}

    assert used >= set(SectorEvent)
    assert {target for row in TRANSITIONS.values() for target in row.values()} <= set(SECTOR_STATES)


@pytest.mark.parametrize("state", [s for s, step in NEXT_STAGE.items() if step.owner is Owner.WORKER])
def test_a_worker_stage_ends_with_an_event_that_the_state_takes(state: str) -> None:
    event = NEXT_STAGE[state].report

    assert event
    assert event in TRANSITIONS[state]


@pytest.mark.parametrize("state", [s for s, step in NEXT_STAGE.items() if step.owner is not Owner.WORKER])
def test_what_is_not_the_workers_is_not_ended_by_a_worker(state: str) -> None:
    assert NEXT_STAGE[state].report == ""


@pytest.mark.parametrize("state", sorted(SECTOR_STATES))
def test_a_sector_is_set_back_to_earlier_states_only(state: str) -> None:
    order = SECTOR_STATES.index

    assert all(order(back) < order(state) for back in NEXT_STAGE[state].resume_at)


def test_a_sector_that_the_chain_knows_is_never_aborted_from_the_table() -> None:
    assert state_after(SectorState.COMMIT_LANDED, SectorEvent.ABORT) is None
    assert state_after(SectorState.PROVING, SectorEvent.ABORT) is None


def test_an_event_out_of_place_leads_nowhere() -> None:
    assert state_after(SectorState.ALLOCATED, SectorEvent.PC2) is None


def test_no_two_pipelines_share_a_state() -> None:
    rows = [spec for table in PIPELINES.values() for spec in table]

    assert len({spec.state for spec in rows}) == len(rows)


def test_a_stage_in_several_pipelines_is_the_same_work() -> None:
    rows = [spec for table in PIPELINES.values() for spec in table if spec.owner is Owner.WORKER]

    for spec in rows:
        first = WORKER_STAGES[spec.stage]
        assert work(spec) == work(first)


def work(spec: StageSpec) -> tuple[object, ...]:
    """Return what a host does in a stage."""
    does = (spec.event, spec.task, spec.kernels, spec.outputs, spec.store, spec.grows)
    return *does, spec.slots, spec.plans, spec.memory, spec.sectors_per_core, spec.retries


def test_ticket_then_deposit_are_at_stake() -> None:
    ticket, deposit = states_on_clock(ChainClock.TICKET), states_on_clock(ChainClock.DEPOSIT)

    assert ticket == {*states_with(SectorEvent.RETICKET), SectorState.PRECOMMIT_SENT}
    assert deposit == {
        SectorState.PRECOMMIT_LANDED,
        *states_with(SectorEvent.RESEED),
        SectorState.COMMIT_SENT,
    }


@pytest.mark.parametrize(
    ("stage", "small", "large"),
    [("PC1", 2 << 29, 64 << 30), ("PC2", 0, 0), ("C2", 3 << 30, 38 * 10**9)],
)
def test_memory_of_a_slot_follows_the_sectors_size(stage: str, small: int, large: int) -> None:
    memory = WORKER_STAGES[stage].memory

    assert (memory.of(1 << 29), memory.of(32 << 30)) == (small, large)


@pytest.mark.parametrize("moves", [SNAP_TRANSITIONS, REBUILD_TRANSITIONS])
def test_every_open_state_of_a_run_leads_to_its_end(moves: dict[str, dict[str, str]]) -> None:
    for start in moves:
        seen, todo = {start}, [start]
        while todo:
            found = set(moves[todo.pop()].values()) - seen
            seen |= found
            todo += found
        assert seen & RUN_FINAL
