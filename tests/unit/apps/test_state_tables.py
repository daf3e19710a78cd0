"""The state tables: every state of a model stands in one, is reached, and only a final one has no way out."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from typing import Final

import pytest
from django.db.models import TextChoices

from apps.blocks.states import RoundState
from apps.market.states import DealState
from apps.messages.states import ApprovalState, MessageState, SenderState
from apps.miners.states import MinerState, RoleState
from apps.pieces.states import DeliveryState, PieceState
from apps.proving.states import (
    OPEN_ATTEMPTS,
    AttemptState,
    CheckState,
    DeclarationState,
    PostState,
    RecoveryState,
)
from apps.sectors.states import (
    ENDED_SECTORS,
    AdoptionState,
    BatchState,
    FindingState,
    JobState,
    MoveState,
    ReservationState,
    ScanState,
    StoreCheckState,
)
from poolsite.wire.pipeline import FINAL_STATES, SectorState
from poolsite.wire.pipeline.changes import QUEUED, ChangeState
from tests.state_diagrams import tables

PIPELINE: Final = {"Sectors", "Snap-ups and rebuilds"}
"""Of the sealing pipeline: `tests/unit/wire/test_pipeline.py` walks them."""
ROWS: Final[dict[str, tuple[type[TextChoices | StrEnum], Collection[str], Collection[str]]]] = {
    "Terminations and extensions": (
        ChangeState,
        QUEUED,
        {ChangeState.TERMINATE_CANCELLED, ChangeState.EXTEND_CANCELLED},
    ),
    "Jobs": (JobState, {JobState.READY}, ()),
    "Batches": (BatchState, {BatchState.CLOSED}, ()),
    "Moves between stores": (
        MoveState,
        {MoveState.QUEUED},
        {MoveState.MOVED, MoveState.FAILED, MoveState.CANCELLED},
    ),
    "Checks of a store's files": (
        StoreCheckState,
        {StoreCheckState.RUNNING},
        set(StoreCheckState) - {StoreCheckState.RUNNING},
    ),
    "Scans of a store": (ScanState, {ScanState.RUNNING}, set(ScanState) - {ScanState.RUNNING}),
    "What a scan found": (
        FindingState,
        {FindingState.FOUND},
        {FindingState.ADOPTED, FindingState.DROPPED, FindingState.REMOVED},
    ),
    "Adoptions of sectors": (
        AdoptionState,
        {AdoptionState.ROWS},
        {AdoptionState.DONE, AdoptionState.CANCELLED},
    ),
    "Reserved sector numbers": (
        ReservationState,
        {ReservationState.RESERVED},
        {ReservationState.USED, ReservationState.BURNED},
    ),
    "Messages": (MessageState, {MessageState.UNFILLED}, ()),
    "Approvals of messages": (ApprovalState, {ApprovalState.PENDING}, ()),
    "Senders": (SenderState, {SenderState.ALIVE}, ()),
    "Miners": (MinerState, {MinerState.CREATING}, ()),
    "Roles of hosts": (RoleState, {RoleState.STANDBY}, ()),
    "Deals": (DealState, {DealState.ACCEPTED, DealState.REFUSED}, {DealState.FAILED}),
    "Pieces": (PieceState, {PieceState.UPLOADING, PieceState.FETCHING}, {PieceState.FAILED}),
    "Deliveries of pieces": (DeliveryState, {DeliveryState.WAITING}, ()),
    "Proofs of windows": (PostState, {PostState.PROVING}, ()),
    "Attempts at a proof": (
        AttemptState,
        {AttemptState.RUNNING, AttemptState.AVAILABLE},
        set(AttemptState) - set(OPEN_ATTEMPTS),
    ),
    "Recoveries": (
        RecoveryState,
        {RecoveryState.CHECKING},
        {RecoveryState.FAILED, RecoveryState.RECOVERED},
    ),
    "Declarations of faults": (
        DeclarationState,
        {DeclarationState.DECIDED},
        {DeclarationState.DONE, DeclarationState.FAILED},
    ),
    "Checks of sectors": (CheckState, {CheckState.RUNNING}, {CheckState.DONE, CheckState.FAILED}),
    "Rounds of block production": (
        RoundState,
        {RoundState.WON, RoundState.NOT_ELIGIBLE, RoundState.NO_WIN},
        {RoundState.NOT_ELIGIBLE, RoundState.NO_WIN},
    ),
}
"""By its name in docs/states.md: the states of a table, those in which a row begins, and the final ones."""


def test_every_table_is_walked() -> None:
    assert set(tables()) == set(ROWS) | PIPELINE


@pytest.mark.parametrize("name", ROWS)
def test_the_table_is_whole(name: str) -> None:
    _, table = tables()[name]
    states, starts, final = ROWS[name]
    seen, todo = set(starts), list(starts)
    while todo:
        for target in table[todo.pop()].values():
            if target not in seen:
                seen.add(target)
                todo.append(target)

    assert set(table) == set(states)
    assert seen == set(states), "every state is reached from the first"
    assert {state for state in states if not table[state]} == set(final)


def test_a_sector_has_ended_in_every_final_state_but_that_of_proving() -> None:
    assert set(ENDED_SECTORS) == FINAL_STATES - {SectorState.PROVING}
