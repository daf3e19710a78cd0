"""Messages of proving that a reorganisation landed anew, with another exit code or at another height."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from apps.messages.models import Message
from apps.messages.states import MessageState
from apps.proving.models import FaultDeclaration, Recovery
from apps.proving.services.fault_declarations import declarations_advance
from apps.proving.services.posts import posts_advance
from apps.proving.services.recoveries import recoveries_advance
from apps.proving.states import DeclarationState, PostState, RecoveryState
from tests import factories
from tests.unit.apps.proving.chain import OneDeadline
from tests.unit.apps.proving.rescues import CLOSE, faulty, look, miner, post

if TYPE_CHECKING:
    from apps.miners.models import Miner

pytestmark = pytest.mark.django_db

OTHERWISE: Final = [
    (MessageState.LANDED, {"exit_code": 16}),
    (MessageState.REPLACED, {}),
]
"""What another branch may make of a message that had landed."""


def declared(row: Any, of: Miner) -> dict[str, Any]:
    """Columns of a declaration of sector 1 whose message has landed."""
    factories.message("m", state=MessageState.LANDED, from_addr=of.worker, to=of.address)
    facts = {"deadline_index": 5, "partition_index": 0, "sectors": [1], "messages_sent": 1}
    epochs = {"open_epoch": row.open_epoch, "cutoff_epoch": row.cutoff_epoch}
    return {"miner": of, "message_id": "m", **facts, **epochs}


@pytest.mark.parametrize(("state", "data"), OTHERWISE)
def test_recovery_that_failed_on_another_branch_is_declared_again(state: str, data: dict[str, Any]) -> None:
    of = miner()
    facts = declared(faulty(of), of)
    row = Recovery.objects.create(state=RecoveryState.LANDED, good=[1], randomness=b"r" * 32, **facts)
    Message.objects.filter(pk="m").update(state=state, **data)

    for height in (961, 962, 963):
        recoveries_advance(look(OneDeadline(), height))

    row.refresh_from_db()
    assert (row.state, row.messages_sent) == (RecoveryState.SENT, 2)


@pytest.mark.parametrize(("state", "data"), OTHERWISE)
def test_faults_refused_on_another_branch_are_declared_again(state: str, data: dict[str, Any]) -> None:
    of = miner()
    facts = declared(faulty(of), of)
    row = FaultDeclaration.objects.create(state=DeclarationState.LANDED, **facts)
    Message.objects.filter(pk="m").update(state=state, **data)

    for height in (961, 962, 963):
        declarations_advance(look(OneDeadline(), height))

    row.refresh_from_db()
    assert (row.state, row.messages_sent) == (DeclarationState.SENT, 2)


@pytest.mark.parametrize(
    ("exit_code", "height", "state"),
    [
        (0, CLOSE + 1, PostState.LANDED),
        (0, CLOSE + 2000, PostState.MISSED),
        (16, CLOSE + 1, PostState.MISSED),
    ],
)
def test_proof_that_another_branch_has_in_time_was_not_missed(
    exit_code: int, height: int, state: str
) -> None:
    landed: dict[str, Any] = {"state": MessageState.LANDED, "exit_code": exit_code, "height": CLOSE - 1}
    factories.message("m", **landed)
    row = post(miner(), state=PostState.MISSED, message_id="m", error="the window closed without a proof")

    posts_advance(look(OneDeadline(), height))

    row.refresh_from_db()
    assert row.state == state
    assert (row.landed_height, row.error) == (
        (CLOSE - 1, "") if state == PostState.LANDED else (None, "the window closed without a proof")
    )
