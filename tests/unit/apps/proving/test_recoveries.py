"""The way back of faulty sectors: files checked, declared, landed, proved; and each way in which it ends."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any, Final
from unittest.mock import Mock

import pytest

from apps.core import clock
from apps.messages.models import Message
from apps.messages.states import MessageState, Wait
from apps.miners.models import Miner
from apps.proving.models import Deadline, Partition, ProofAttempt, Recovery
from apps.proving.selectors.faults import miners_faulty
from apps.proving.services import recoveries
from apps.proving.services.jobs import BadProof
from apps.proving.services.recoveries import recoveries_advance
from apps.proving.services.recovery_schedule import recoveries_begin
from apps.proving.states import AttemptKind, RecoveryState
from apps.sectors.models import Job
from apps.sectors.states import JobState
from apps.users.services.grants import signer_grant
from poolsite.filecoin.actors.miner_proving import DeclareFaultsRecoveredParams
from poolsite.filecoin.codec import from_cbor
from poolsite.filecoin.policy import network_by_name
from tests import factories
from tests.people import tenant
from tests.unit.apps.core.locks import elsewhere
from tests.unit.apps.proving.chain import OneDeadline
from tests.unit.apps.proving.rescues import NETWORK, faulty, look, miner, post
from tests.unit.apps.proving.retries import asked, done, failed

pytestmark = pytest.mark.django_db

MAINNET: Final = network_by_name("mainnet")
SECOND: Final = timedelta(seconds=1)


@pytest.fixture(autouse=True)
def _every_proof_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recoveries, "proof_check", lambda _job: None)


def begun(**data: Any) -> tuple[Miner, Recovery]:
    """A miner with two faulty sectors whose files are being checked."""
    of = miner(**data)
    faulty(of)
    assert recoveries_begin(of, context=look(OneDeadline())) == 1
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
    """Move the declaration as the messager does."""
    Message.objects.filter(pk=row.message_id).update(state=state, **data)


def ended_job(of: Miner) -> Job:
    """A job of a proof that is over."""
    facts = {"miner": of, "kind": "window_post", "stage": "WINDOW_POST", "lease_s": 15}
    return Job.objects.create(state=JobState.DONE, expires_at=clock.now(), **facts)


def test_files_are_checked_declared_and_proved() -> None:
    of, row = begun(fee_debt=5)
    assert miners_faulty([of, miner()]) == [of]
    assert asked(row.job) == {1, 2}
    assert recoveries_begin(of, context=look(OneDeadline())) == 0, "one is on its way"

    done(row.job)
    row = advanced()
    message = Message.objects.get(pk=row.message_id)
    declared_sectors = from_cbor(DeclareFaultsRecoveredParams, bytes(message.params)).recoveries[0]
    assert (row.state, message.value, list(declared_sectors.sectors)) == (RecoveryState.SENT, 5, [1, 2])

    message_is(row, MessageState.LANDED, exit_code=0)
    assert advanced().state == RecoveryState.LANDED
    Partition.objects.update(faulty=[])
    assert advanced(row.open_epoch + 60).state == RecoveryState.RECOVERED


def test_a_recovery_whose_check_is_not_asked_for_yet_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kill came before its job, or the pass of a prover comes between the two."""

    class Killed(BaseException):
        """As `kill -9`: nothing catches it."""

    of = miner()
    faulty(of)
    with monkeypatch.context() as killed:
        killed.setattr(recoveries, "job_create", Mock(side_effect=Killed))
        with pytest.raises(Killed):
            recoveries_begin(of, context=look(OneDeadline()))

    row = advanced()

    assert (row.state, row.error) == (RecoveryState.CHECKING, "")
    assert asked(row.job) == {1, 2}
    assert advanced().job == row.job, "once"


def test_sectors_still_faulty_after_the_window_are_not_recovered() -> None:
    faulty(miner())
    Partition.objects.update(faulty=[])
    row = declared()
    message_is(row, MessageState.LANDED, exit_code=0)
    advanced()
    close = row.open_epoch + NETWORK.proving.window
    assert advanced(close - 1).state == RecoveryState.LANDED

    row = advanced(close)

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
        (MessageState.LANDED, {"exit_code": 16}, "a parameter is invalid"),
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

    assert (row.state, row.error) == (RecoveryState.FAILED, "the cutoff passed before the declaration landed")
    assert Job.objects.get().state == JobState.FAILED


@pytest.mark.parametrize("lands", [True, False])
def test_a_declaration_in_flight_at_the_cutoff_is_waited_for(lands: bool) -> None:
    row = declared()
    message_is(row, MessageState.FILLED, nonce=4)
    assert advanced(row.cutoff_epoch).state == RecoveryState.SENT

    if lands:
        message_is(row, MessageState.LANDED, exit_code=0, height=row.cutoff_epoch - 1)

    row = advanced(row.cutoff_epoch + NETWORK.confidences.message)
    assert row.state == (RecoveryState.LANDED if lands else RecoveryState.FAILED)


# No more than a deadline and a message may have


def five_faulty(settings: Any, **policy: int) -> Miner:
    """A miner with five faulty sectors in two partitions."""
    settings.PROVING = policy
    of = miner()
    row = faulty(of)
    Partition.objects.filter(deadline=row).update(faulty=[1, 2, 3])
    factories.partition(row, index=1, live=[4, 5], faulty=[4, 5])
    return of


def under_way() -> list[tuple[int, list[int]]]:
    """Partition and sectors of each message to come."""
    rows = Recovery.objects.filter(state__in=recoveries.OPEN)
    return sorted(rows.values_list("partition_index", "sectors"))


FIVE = OneDeadline(partitions=[[1, 2, 3], [4, 5]])


def test_a_partition_is_split_into_messages_of_the_setting(settings: Any) -> None:
    of = five_faulty(settings, declaration_max=2)

    assert recoveries_begin(of, context=look(FIVE)) == 3

    assert under_way() == [(0, [1, 2]), (0, [3]), (1, [4, 5])]
    assert [asked(row.job) for row in Recovery.objects.order_by("pk")] == [{1, 2}, {3}, {4, 5}]
    assert recoveries_begin(of, context=look(FIVE)) == 0


def test_no_more_of_a_deadline_are_on_their_way_than_the_setting(settings: Any) -> None:
    of = five_faulty(settings, recover_max=4)

    assert recoveries_begin(of, context=look(FIVE)) == 2
    assert recoveries_begin(of, context=look(FIVE)) == 0

    assert under_way() == [(0, [1, 2, 3]), (1, [4])]


def test_sectors_whose_files_are_gone_leave_their_room_to_the_others(settings: Any) -> None:
    of = five_faulty(settings, recover_max=3)
    recoveries_begin(of, context=look(FIVE))
    done(Recovery.objects.get().job, faults=[1, 2, 3])
    recoveries_advance(look(FIVE))
    assert under_way() == []

    Recovery.objects.update(updated_at=clock.now() - timedelta(minutes=5))
    recoveries_begin(of, context=look(FIVE))

    assert under_way() == [(0, [1]), (1, [4, 5])]


def test_lost_files_are_checked_ever_more_rarely() -> None:
    of, start, cutoff, epoch_s = miner(), clock.now(), 961 + 480, MAINNET.epoch_s
    row = faulty(of)
    Deadline.objects.filter(pk=row.pk).update(open_epoch=cutoff + 70, cutoff_epoch=cutoff)
    heights = []

    for height in range(961, cutoff, 2):
        at = replace(
            look(OneDeadline(), height), network=MAINNET, now=start + epoch_s * (height - 961) * SECOND
        )
        if recoveries_begin(of, context=at):
            heights.append(height)
            done(Recovery.objects.get(state=RecoveryState.CHECKING).job, faults=[1, 2])
            recoveries_advance(at)

    assert heights[:4] == [961, 963, 965, 969]
    assert len(heights) < 25
    assert max(later - before for before, later in pairwise(heights)) <= MAINNET.proving.window
    assert cutoff - heights[-1] < 5


def test_what_ended_goes_with_its_jobs_once_its_window_is_over() -> None:
    of, row = begun()
    done(row.job, faults=[1])
    done(advanced().job, faults=[2])
    assert advanced().state == RecoveryState.FAILED
    other = miner()
    faulty(other)
    recoveries_begin(other, context=look(OneDeadline()))
    proof = ProofAttempt.objects.create(post=post(of), kind=AttemptKind.FIRST, job=ended_job(of))
    assert Job.objects.filter(miner=of).count() == 3, "the first one's, the rest's and the proof's"

    Deadline.objects.filter(miner=of, index=5).update(open_epoch=1070, cutoff_epoch=1055)
    assert recoveries_begin(of, context=look(OneDeadline(), 1020, later_s=3600)) == 1

    fresh = Recovery.objects.get(miner=of)
    assert (fresh.open_epoch, fresh.state) == (1070, RecoveryState.CHECKING)
    assert set(Job.objects.filter(miner=of)) == {proof.job, fresh.job}
    assert Recovery.objects.filter(miner=other).count() == 1


def test_a_collected_job_names_no_bad_file() -> None:
    _, row = begun()
    job = row.job
    done(job, faults=[1, 2])
    bad = [{"number": number, "path": "/sealed", "reason": "it is missing"} for number in (1, 2)]
    Job.objects.filter(recovery=row).update(result={"worker": "p", "faults": [1, 2], "bad": bad})

    advanced()

    assert job is not None
    job.refresh_from_db()
    assert (job.inputs, job.result) == ({}, {"worker": "p", "faults": [1, 2]})


def test_debt_goes_with_one_of_the_messages_that_are_on_their_way() -> None:
    of, _ = begun(fee_debt=5)
    first = Recovery.objects.get()
    other = Recovery.objects.create(
        miner=of,
        deadline_index=first.deadline_index,
        partition_index=0,
        open_epoch=first.open_epoch,
        cutoff_epoch=first.cutoff_epoch,
        state=RecoveryState.GOOD,
        sectors=[3],
        good=[3],
        randomness=b"r" * 32,
    )
    done(first.job)

    recoveries_advance(look(OneDeadline(), 961))

    first.refresh_from_db()
    other.refresh_from_db()
    messages = [Message.objects.get(pk=row.message_id) for row in (first, other)]
    assert [message.value for message in messages] == [5, 0]

    message_is(first, MessageState.FAILED, error="marked bad")
    recoveries_advance(look(OneDeadline(), 962))
    recoveries_advance(look(OneDeadline(), 963))
    first.refresh_from_db()
    assert Message.objects.get(pk=first.message_id).value == 5, "nothing on its way brings it any more"


def test_debt_is_not_read_for_a_declaration_that_is_in_flight(monkeypatch: pytest.MonkeyPatch) -> None:
    _, row = begun(fee_debt=5)
    done(row.job)
    message_is(advanced(), MessageState.FILLED, nonce=0)
    debt_due = Mock(return_value=5)
    monkeypatch.setattr(recoveries, "_debt_due", debt_due)

    assert advanced(962).state == RecoveryState.SENT
    debt_due.assert_not_called()


def test_debt_is_paid_by_an_address_that_has_it() -> None:
    control, worker = (factories.wallet(balance=fil * factories.FIL).address for fil in (1, 50))
    _, row = begun(fee_debt=5 * factories.FIL, control=[control], worker=worker)
    done(row.job)

    message = Message.objects.get(pk=advanced().message_id)

    assert (message.from_addr, message.value) == (worker, 5 * factories.FIL)


@pytest.mark.parametrize(
    ("message", "miners", "words"),
    [
        ({"wait": Wait.ESTIMATE}, {"fee_debt": 9}, "the miner's debt has changed"),
        ({"wait": Wait.FUNDS}, {"fee_debt": 9}, "the miner's debt has changed"),
        ({}, {"tenant": "bob"}, "the miner was transferred"),
    ],
)
def test_a_declaration_that_cannot_land_is_sent_anew(
    message: dict[str, Any], miners: dict[str, Any], words: str
) -> None:
    of, row = begun(fee_debt=5)
    done(row.job)
    row = advanced()
    message_is(row, MessageState.UNFILLED, **message)
    if "tenant" in miners:
        signer_grant(tenant=tenant("bob"), address=of.worker)
        miners = {"tenant": tenant("bob")}
    Miner.objects.update(**miners)

    row = advanced(962)

    first = Message.objects.get(push_id=f"recover:{row.uuid}:0")
    second = Message.objects.get(pk=row.message_id)
    of.refresh_from_db()
    assert (first.state, first.error, row.state) == (MessageState.FAILED, words, RecoveryState.SENT)
    assert (second.value, second.tenant) == (of.fee_debt, of.tenant)


@pytest.mark.parametrize("wait", [Wait.NEXT_HEAD, Wait.ESTIMATE, Wait.FUNDS])
def test_a_declaration_that_may_land_is_left(wait: Wait) -> None:
    _, row = begun(fee_debt=5)
    done(row.job)
    message_is(advanced(), MessageState.UNFILLED, wait=wait)

    assert advanced(962).messages_sent == 1


@pytest.mark.parametrize("wait", [Wait.POLICY, Wait.FUNDS])
def test_a_declaration_that_its_sender_does_not_get_out_is_sent_by_another(wait: Wait) -> None:
    control, worker = (factories.wallet(balance=5 * factories.FIL).address for _ in range(2))
    _, row = begun(control=[control], worker=worker)
    done(row.job)
    row = advanced()
    message_is(row, MessageState.UNFILLED, wait=wait)

    assert Message.objects.get(pk=advanced(962).message_id).from_addr == worker


def test_a_pass_moves_nothing_of_a_miner_that_another_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    _, row = begun()
    done(row.job)
    monkeypatch.setattr(recoveries, "LOCK_WAIT_S", 0.1)

    with elsewhere(recoveries.RECOVERY_LOCK, str(row.miner_id)):
        assert advanced().state == RecoveryState.CHECKING

    assert advanced().state == RecoveryState.SENT


def test_a_pass_moves_what_another_had_once_it_has_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    _, row = begun()
    done(row.job)
    monkeypatch.setattr(recoveries, "try_lock", lambda *_: nullcontext(False))

    assert advanced().state == RecoveryState.SENT


def test_the_rest_is_declared_by_the_proof_that_came_with_the_faults() -> None:
    _, row = begun()
    done(row.job, faults=[2])
    Job.objects.update(proof=b"of sector 1")

    row = advanced()

    declared_sectors = from_cbor(
        DeclareFaultsRecoveredParams, bytes(Message.objects.get(pk=row.message_id).params)
    )
    assert (row.state, row.good) == (RecoveryState.SENT, [1])
    assert list(declared_sectors.recoveries[0].sectors) == [1]


def test_what_was_bad_is_checked_again_while_the_rest_is_declared() -> None:
    of, row = begun()
    done(row.job, faults=[2])  # sector 2's disk is away
    advanced()
    done(Recovery.objects.get().job)
    row = advanced()
    assert (row.state, row.good) == (RecoveryState.SENT, [1])
    assert recoveries_begin(of, context=look(OneDeadline())) == 0, "after a pause"
    message_is(row, MessageState.LANDED, exit_code=0)
    row = advanced()
    Partition.objects.update(recovering=[1])

    # Two minutes later the disk is back, and the cut-off is still ahead.
    assert recoveries_begin(of, context=look(OneDeadline(), 963, later_s=120)) == 1

    again = Recovery.objects.order_by("-pk")[0]
    assert (asked(again.job), row.state) == ({2}, RecoveryState.LANDED)
    done(again.job, faults=[2])
    recoveries_advance(look(OneDeadline(), 963, later_s=120))
    again.refresh_from_db()
    assert again.state == RecoveryState.FAILED
    count = recoveries_begin(of, context=look(OneDeadline(), 963, later_s=140))
    assert count == 0, "after a pause"
