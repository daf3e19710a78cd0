"""The way back of faulty sectors: files checked, declared, landed, proved; and each way in which it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from apps.messages.models import Message
from apps.messages.states import MessageState
from apps.proving.models import Partition, Recovery
from apps.proving.services import recoveries
from apps.proving.services.jobs import BadProof
from apps.proving.services.recoveries import miners_faulty, recoveries_advance, recoveries_begin
from apps.proving.states import RecoveryState
from apps.sectors.models import Job
from apps.sectors.states import JobState
from poolsite.filecoin.actors.miner_proving import DeclareFaultsRecoveredParams
from poolsite.filecoin.codec import from_cbor
from tests.unit.apps.proving.chain import OneDeadline
from tests.unit.apps.proving.test_rescues import faulty, look, miner
from tests.unit.apps.proving.test_retries import asked, done, failed

if TYPE_CHECKING:
    from apps.miners.models import Miner

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _every_proof_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recoveries, "proof_check", lambda _job: None)


def begun(**data: Any) -> tuple[Miner, Recovery]:
    """A miner with two faulty sectors whose files are being checked."""
    of = miner(**data)
    faulty(of)
    assert recoveries_begin(of, look(OneDeadline())) == 1
    return of, Recovery.objects.get()


def advanced(height: int = 961) -> Recovery:
    """The only recovery after a pass."""
    recoveries_advance(look(OneDeadline(), height))
    return Recovery.objects.get()


def declared() -> Recovery:
    """One whose declaration was pushed."""
    _, row = begun()
    done(row.job)
    return advanced()


def message_is(row: Recovery, state: str, **data: Any) -> None:
    """Let the messager do something with the declaration."""
    Message.objects.filter(pk=row.message_id).update(state=state, **data)


def test_files_are_checked_declared_and_proved() -> None:
    of, row = begun(fee_debt=5)
    assert miners_faulty([of, miner()]) == [of]
    assert asked(row.job) == {1, 2}
    assert recoveries_begin(of, look(OneDeadline())) == 0, "one is on its way"

    done(row.job)
    row = advanced()
    message = Message.objects.get(pk=row.message_id)
    declared_sectors = from_cbor(DeclareFaultsRecoveredParams, bytes(message.params)).recoveries[0]
    assert (row.state, message.value, list(declared_sectors.sectors)) == (RecoveryState.SENT, 5, [1, 2])

    message_is(row, MessageState.LANDED, exit_code=0)
    assert advanced().state == RecoveryState.LANDED
    Partition.objects.update(faulty=[])
    assert advanced(row.open_epoch + 60).state == RecoveryState.RECOVERED


def test_sectors_still_faulty_after_the_window_are_not_recovered() -> None:
    row = declared()
    message_is(row, MessageState.LANDED, exit_code=0)
    advanced()

    row = advanced(row.open_epoch + 60)

    assert (row.state, row.error) == (RecoveryState.FAILED, "not proved in the window")


def test_declaration_thrown_out_by_a_reorg_is_followed_again() -> None:
    row = declared()
    message_is(row, MessageState.LANDED, exit_code=0)
    advanced()

    message_is(row, MessageState.FILLED, nonce=4)

    assert advanced().state == RecoveryState.SENT


@pytest.mark.parametrize(
    ("state", "data", "words"),
    [
        (MessageState.LANDED, {"exit_code": 16}, "a parameter is wrong"),
        (MessageState.FAILED, {"error": "marked bad"}, "marked bad"),
        (MessageState.REPLACED, {}, "replaced"),
    ],
)
def test_failed_declaration_is_sent_again(state: str, data: dict[str, Any], words: str) -> None:
    row = declared()
    first = row.message_id
    message_is(row, state, **data)

    row = advanced()
    assert (row.state, words in row.error) == (RecoveryState.GOOD, True)

    row = advanced()
    assert (row.state, row.messages_sent, row.message_id != first) == (RecoveryState.SENT, 2, True)


def test_files_that_cannot_be_read_are_left_out() -> None:
    _, row = begun()
    done(row.job, faults=[2])

    row = advanced()

    assert (row.state, row.good, asked(row.job)) == (RecoveryState.CHECKING, [1], {1})
    done(row.job, faults=[1])
    row = advanced()
    assert (row.state, row.error) == (RecoveryState.FAILED, "the files cannot be read")


def test_wrong_proof_of_the_files_is_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(_job: Job) -> None:
        raise BadProof("no root")

    monkeypatch.setattr(recoveries, "proof_check", wrong)
    _, row = begun()
    done(row.job)

    row = advanced()

    assert (row.state, row.error) == (RecoveryState.FAILED, "the files are damaged: no root")


def test_prover_that_fails_ends_the_check() -> None:
    _, row = begun()
    failed(row.job, error="the disk is gone")

    row = advanced()

    assert (row.state, row.error) == (RecoveryState.FAILED, "the disk is gone")


def test_cutoff_ends_what_is_not_declared() -> None:
    _, row = begun()

    row = advanced(row.cutoff_epoch)

    assert (row.state, row.error) == (RecoveryState.FAILED, "the cut-off came first")
    assert Job.objects.get().state == JobState.FAILED
