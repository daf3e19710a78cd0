"""Messages of proving that a reorganisation landed anew, with another exit code or at another height."""

from __future__ import annotations

from typing import Any, Final

import pytest

from apps.messages.models import Message, Tracker
from apps.messages.states import MessageState
from apps.miners.models import Miner
from apps.proving.models import FaultDeclaration, Recovery
from apps.proving.services.fault_declarations import declarations_advance
from apps.proving.services.posts import posts_advance
from apps.proving.services.recoveries import recoveries_advance
from apps.proving.states import DeclarationState, PostState, RecoveryState
from tests import factories
from tests.unit.apps.proving.chain import OneDeadline
from tests.unit.apps.proving.rescues import CLOSE, faulty, look, miner, post

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


@pytest.mark.parametrize(("state", "data"), [*OTHERWISE, (MessageState.FILLED, {"nonce": 4})])
@pytest.mark.parametrize("proven", [(), (0,)])
def test_landed_proof_that_a_branch_takes_back_after_the_close_was_missed(
    state: str, data: dict[str, Any], proven: tuple[int, ...]
) -> None:
    factories.message("m", state=state, height=CLOSE, **data)
    sent = {"message_id": "m", "messages_sent": 1, "landed_height": CLOSE - 1, "exit_code": 0}
    row = post(miner(), state=PostState.LANDED, **sent)
    Tracker.objects.create(pk=1, height=CLOSE)

    for height in (CLOSE + 1, CLOSE + 2):
        posts_advance(look(OneDeadline(proven=proven), height))

    row.refresh_from_db()
    assert row.state == (PostState.LANDED if proven else PostState.MISSED)


@pytest.mark.parametrize("state", [PostState.PROVING, PostState.PROVED, PostState.SENT, PostState.NOTHING])
@pytest.mark.parametrize(("of_chain", "ends"), [((0, 1), PostState.LANDED), ((0,), PostState.MISSED)])
def test_window_that_another_program_has_proved_is_not_missed(
    state: str, of_chain: tuple[int, ...], ends: str
) -> None:
    factories.message("m", state=MessageState.FILLED, nonce=4)
    row = post(miner(), state=state, partitions=[0, 1], message_id="m" if state == PostState.SENT else "")
    Tracker.objects.create(pk=1, height=CLOSE)
    chain = OneDeadline(partitions=[[1], [2]], proven=of_chain)

    for height in (CLOSE, CLOSE + 1):
        posts_advance(look(chain, height))

    row.refresh_from_db()
    assert row.state == ends
    assert row.landed_height == (CLOSE - 1 if ends == PostState.LANDED else None)


@pytest.mark.parametrize("state", [PostState.SENT, PostState.LANDED])
def test_window_with_null_rounds_at_its_end_waits_for_the_next_head(state: str) -> None:
    factories.message("m", state=MessageState.FAILED, error="no signer has the key")
    sent = {"message_id": "m", "messages_sent": 1}
    row = post(miner(), state=state, **sent, **({"landed_height": CLOSE - 1} if state == "LANDED" else {}))
    Tracker.objects.create(pk=1, height=CLOSE)
    chain = OneDeadline(null_below=2)

    posts_advance(look(chain, CLOSE + 1))
    row.refresh_from_db()
    assert row.state == state

    chain.null_below = 0
    for height in (CLOSE + 2, CLOSE + 3):
        posts_advance(look(chain, height))
    row.refresh_from_db()
    assert (row.state, row.error) == (PostState.MISSED, "no signer has the key")
