"""The state tables of jobs, batches, proofs and recoveries: every state reached, none without a way out."""

from __future__ import annotations

import pytest

from apps.miners.states import ROLE_TRANSITIONS, MinerState, RoleState
from apps.miners.states import TRANSITIONS as MINERS
from apps.proving.states import (
    ATTEMPT_TRANSITIONS,
    OPEN_ATTEMPTS,
    POST_TRANSITIONS,
    RECOVERY_TRANSITIONS,
    AttemptState,
    PostState,
    RecoveryState,
)
from apps.sectors.states import (
    BATCH_TRANSITIONS,
    ENDED_SECTORS,
    FINDING_TRANSITIONS,
    JOB_TRANSITIONS,
    MOVE_TRANSITIONS,
    RESERVATION_TRANSITIONS,
    SCAN_TRANSITIONS,
    STORE_CHECK_TRANSITIONS,
    BatchState,
    FindingState,
    JobState,
    MoveState,
    ReservationState,
    ScanState,
    StoreCheckState,
)
from poolsite.wire.pipeline import FINAL_STATES, SectorState
from poolsite.wire.pipeline.changes import CHANGE_TRANSITIONS, QUEUED, ChangeState

Table = dict[str, dict[str, str]]
TABLES = [
    pytest.param(JOB_TRANSITIONS, {JobState.READY}, set(), set(JobState), id="jobs"),
    pytest.param(BATCH_TRANSITIONS, {BatchState.CLOSED}, set(), set(BatchState), id="batches"),
    pytest.param(
        MOVE_TRANSITIONS,
        {MoveState.QUEUED},
        {MoveState.MOVED, MoveState.FAILED, MoveState.CANCELLED},
        set(MoveState),
        id="moves",
    ),
    pytest.param(
        STORE_CHECK_TRANSITIONS,
        {StoreCheckState.RUNNING},
        set(StoreCheckState) - {StoreCheckState.RUNNING},
        set(StoreCheckState),
        id="store checks",
    ),
    pytest.param(
        SCAN_TRANSITIONS,
        {ScanState.RUNNING},
        set(ScanState) - {ScanState.RUNNING},
        set(ScanState),
        id="scans",
    ),
    pytest.param(
        FINDING_TRANSITIONS,
        {FindingState.FOUND},
        {FindingState.ADOPTED, FindingState.DROPPED, FindingState.REMOVED},
        set(FindingState),
        id="findings of scans",
    ),
    pytest.param(
        RESERVATION_TRANSITIONS,
        {ReservationState.RESERVED},
        {ReservationState.USED, ReservationState.BURNED},
        set(ReservationState),
        id="reservations",
    ),
    pytest.param(
        CHANGE_TRANSITIONS,
        set(QUEUED),
        {ChangeState.TERMINATE_CANCELLED, ChangeState.EXTEND_CANCELLED},
        set(ChangeState),
        id="changes",
    ),
    pytest.param(POST_TRANSITIONS, {PostState.PROVING}, set(), set(PostState), id="proofs"),
    pytest.param(
        ATTEMPT_TRANSITIONS,
        {AttemptState.RUNNING, AttemptState.KEPT},
        set(AttemptState) - set(OPEN_ATTEMPTS),
        set(AttemptState),
        id="attempts",
    ),
    pytest.param(
        RECOVERY_TRANSITIONS,
        {RecoveryState.CHECKING},
        {RecoveryState.FAILED, RecoveryState.RECOVERED},
        set(RecoveryState),
        id="recoveries",
    ),
    pytest.param(ROLE_TRANSITIONS, {RoleState.STANDBY}, set(), set(RoleState), id="roles"),
    pytest.param(MINERS, {MinerState.CREATING}, set(), set(MinerState), id="miners"),
]


@pytest.mark.parametrize(("table", "starts", "final", "states"), TABLES)
def test_the_table_is_whole(table: Table, starts: set[str], final: set[str], states: set[str]) -> None:
    seen, todo = set(starts), list(starts)
    while todo:
        for target in table[todo.pop()].values():
            if target not in seen:
                seen.add(target)
                todo.append(target)

    assert set(table) == states
    assert seen == states, "every state is reached from the first"
    assert {state for state in states if not table[state]} == final


def test_a_sector_has_ended_in_every_final_state_but_that_of_proving() -> None:
    assert set(ENDED_SECTORS) == FINAL_STATES - {SectorState.PROVING}
