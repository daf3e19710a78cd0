"""What a kill, a clock, a reorganisation or a store that was away must not cost: a window."""

from __future__ import annotations

from datetime import timedelta
from typing import NoReturn

import pytest

from apps.messages.models import Message, Sender, Tracker
from apps.messages.states import MessageState, SenderState, Wait
from apps.miners.models import Miner
from apps.proving.models import Recovery, WindowPost
from apps.proving.services import proofs, submissions
from apps.proving.services.posts import posts_advance
from apps.proving.services.recoveries import recoveries_advance
from apps.proving.services.recovery_schedule import recoveries_begin
from apps.proving.services.windows import posts_schedule, windows_open
from apps.proving.states import PostState, RecoveryState
from apps.sectors.models import Job
from apps.sectors.states import JobState
from apps.users.services.grants import signer_grant
from tests import factories
from tests.people import tenant
from tests.unit.apps.proving.attempts import attempts
from tests.unit.apps.proving.chain import OneDeadline
from tests.unit.apps.proving.rescues import CLOSE, faulty, look, miner, post

pytestmark = pytest.mark.django_db


def test_kill_between_two_parts_of_a_window_leaves_none_unproved(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    of, chain = miner(), OneDeadline(partitions=[[number] for number in range(1, 12)])
    create = WindowPost.objects.bulk_create

    def killed(rows: list[WindowPost]) -> NoReturn:
        create(rows[:1])
        raise KeyboardInterrupt

    monkeypatch.setattr(WindowPost.objects, "bulk_create", killed)
    with pytest.raises(KeyboardInterrupt):
        posts_schedule(of, windows=windows_open(of, context=look(chain)), context=look(chain))
    monkeypatch.undo()

    posts_schedule(of, windows=windows_open(of, context=look(chain)), context=look(chain))

    parts = WindowPost.objects.filter(miner=of).order_by("part")
    assert [index for part in parts for index in part.partitions] == list(range(11))
    assert len(parts) > 1


def test_job_expired_during_a_chain_stall_is_reissued() -> None:
    row, chain = post(miner(), state=PostState.PROVING, proof=None), OneDeadline()
    posts_advance(look(chain))
    first = Job.objects.get(proof_attempt__post=row)

    posts_advance(look(chain, later_s=3600))

    second = Job.objects.get(proof_attempt__post=row, proof_attempt__state="RUNNING")
    first.refresh_from_db()
    assert attempts(row) == [("FIRST", "CANCELLED"), ("FIRST", "RUNNING")]
    assert (first.state, second.state) == (JobState.FAILED, JobState.READY)
    assert first.expires_at is not None
    assert second.expires_at is not None
    assert second.expires_at > first.expires_at + timedelta(seconds=3000)


def test_a_job_that_a_prover_works_on_is_left_alone_however_late_it_is() -> None:
    row, chain = post(miner(), state=PostState.PROVING, proof=None), OneDeadline()
    posts_advance(look(chain))
    Job.objects.filter(proof_attempt__post=row).update(state=JobState.LEASED)

    posts_advance(look(chain, later_s=3600))

    assert Job.objects.get(proof_attempt__post=row).state == JobState.LEASED


def test_proof_pushed_before_a_kill_is_followed_after_sender_change() -> None:
    of = miner()
    row, other = post(of), factories.wallet().address
    factories.message(f"post:{row.uuid}:0", from_addr=other, to=of.address, method=5, params=b"as it was")

    posts_advance(look(OneDeadline()))

    row.refresh_from_db()
    assert (row.state, row.message_id, row.messages_sent) == (PostState.SENT, f"post:{row.uuid}:0", 1)
    assert Message.objects.filter(kind__in=["", "window_post"]).count() == 1


def transferred(of: Miner) -> str:
    """Make it bob's, who may sign with its key too; gives the key."""
    signer_grant(tenant=tenant("bob"), address=of.worker)
    Miner.objects.update(tenant=tenant("bob"))
    return str(of.worker)


def test_unsigned_proof_moves_to_the_new_tenant_at_once() -> None:
    of, chain = miner(), OneDeadline()
    row = post(of)
    posts_advance(look(chain))
    transferred(of)

    posts_advance(look(chain, 962))

    row.refresh_from_db()
    sent = dict(Message.objects.filter(kind="window_post").values_list("tenant__name", "state"))
    assert sent == {"alice": MessageState.FAILED, "bob": MessageState.UNFILLED}
    assert (row.state, Message.objects.get(pk=row.message_id).tenant) == (PostState.SENT, tenant("bob"))


@pytest.mark.parametrize("state", [MessageState.FILLED, MessageState.LANDED])
def test_a_proof_on_its_way_lands_as_the_givers_and_is_not_sent_twice(state: str) -> None:
    of, chain = miner(), OneDeadline()
    row = post(of)
    posts_advance(look(chain))
    transferred(of)
    Message.objects.filter(kind="window_post").update(state=state, nonce=4, exit_code=0, height=961)

    posts_advance(look(chain, 962))

    row.refresh_from_db()
    assert Message.objects.get(kind="window_post").tenant == tenant("alice")
    assert row.state == {"FILLED": PostState.SENT, "LANDED": PostState.LANDED}[state]


def test_one_proof_that_cannot_be_read_costs_no_other_its_window(monkeypatch: pytest.MonkeyPatch) -> None:
    bad, good = post(miner()), post(miner())
    submit = submissions.submit_params_encode

    def params(row: WindowPost, *, commit: bytes) -> bytes:
        if row.pk == bad.pk:
            raise TypeError("not a number")
        return submit(row, commit=commit)

    monkeypatch.setattr(submissions, "submit_params_encode", params)

    posts_advance(look(OneDeadline()))

    good.refresh_from_db()
    bad.refresh_from_db()
    assert (bad.state, good.state) == (PostState.PROVED, PostState.SENT)


def test_message_of_another_branch_is_remade_in_the_window() -> None:
    of, chain = miner(), OneDeadline()
    row = post(of)
    posts_advance(look(chain))
    first = Message.objects.get(kind="window_post")
    Message.objects.filter(pk=first.pk).update(wait=Wait.ESTIMATE)
    posts_advance(look(chain))
    row.refresh_from_db()
    assert row.message_id == first.pk, "an estimate that fails for another reason changes nothing"

    chain.tickets = b"u" * 32
    posts_advance(look(chain, 962))

    row.refresh_from_db()
    first.refresh_from_db()
    assert (first.state, row.state, row.messages_sent) == (MessageState.FAILED, PostState.SENT, 2)
    assert chain.tickets in bytes(Message.objects.get(pk=row.message_id).params)


def senders(control: int = 5, worker: int = 50) -> tuple[Miner, str, str]:
    """A miner with a control address and a worker that hold so many FIL."""
    addresses = [factories.wallet(balance=fil * factories.FIL).address for fil in (control, worker)]
    return miner(control=addresses[:1], worker=addresses[1]), *addresses


def sent_from(row: WindowPost) -> list[str]:
    """The senders of a proof's messages, the first message first."""
    ids = [f"post:{row.uuid}:{number}" for number in range(row.messages_sent)]
    return [Message.objects.get(pk=one).from_addr for one in ids]


@pytest.mark.parametrize("wait", [Wait.FUNDS, Wait.NO_ACTOR, Wait.POLICY, Wait.DAILY_BUDGET])
def test_a_proof_that_its_sender_does_not_get_out_is_sent_by_another(wait: Wait) -> None:
    of, control, worker = senders()
    row = post(of)
    for height in (961, 962):
        posts_advance(look(OneDeadline(), height))
        row.refresh_from_db()
        Message.objects.filter(pk=row.message_id).update(wait=wait)
    assert sent_from(row) == [control, worker]

    for height in (963, 964):
        posts_advance(look(OneDeadline(), height))
    row.refresh_from_db()
    assert sent_from(row) == [control, worker], "all have been tried"
    posts_advance(look(OneDeadline(), 965))
    row.refresh_from_db()
    assert sent_from(row) == [control, worker, control]
    assert Message.objects.filter(state=MessageState.UNFILLED).count() == 1


def test_all_addresses_that_can_send_take_turns() -> None:
    able = [factories.wallet(balance=fil * factories.FIL).address for fil in (5, 6, 50)]
    row = post(miner(control=able[:2], worker=able[2]), close_epoch=990)

    for height in range(961, 976):
        posts_advance(look(OneDeadline(), height))
        row.refresh_from_db()
        Message.objects.filter(pk=row.message_id).update(wait=Wait.FUNDS)

    assert sent_from(row) == [*able, *able, able[0]]


def test_a_stopped_sender_sends_no_proof() -> None:
    of, control, worker = senders()
    row = post(of)
    posts_advance(look(OneDeadline(), 961))
    Sender.objects.filter(address=control).update(state=SenderState.FORBIDDEN)

    posts_advance(look(OneDeadline(), 962))

    row.refresh_from_db()
    assert sent_from(row) == [control, worker]
    assert row.error == "sending from another address: its sender is stopped"


def test_a_proof_without_a_nonce_stays_with_a_sender_that_can_send() -> None:
    of, control, _worker = senders()
    row = post(of)

    for height in range(961, 967):
        posts_advance(look(OneDeadline(), height))

    row.refresh_from_db()
    assert sent_from(row) == [control]


@pytest.mark.parametrize(("tracked", "state"), [(CLOSE - 1, PostState.SENT), (CLOSE, PostState.MISSED)])
def test_a_window_is_not_missed_before_its_last_blocks_were_looked_at(tracked: int, state: str) -> None:
    row = post(miner(), state=PostState.SENT, message_id="m", messages_sent=1)
    factories.message("m", state=MessageState.FILLED)
    Tracker.objects.create(pk=1, height=tracked)

    posts_advance(look(OneDeadline(), CLOSE))

    row.refresh_from_db()
    assert row.state == state


def test_unreadable_files_are_rechecked_in_the_same_window() -> None:
    row = post(miner(), state=PostState.NOTHING, proof=None, skipped={"0": [1, 2]}, try_epoch=962)
    chain = OneDeadline()

    posts_advance(look(chain))
    row.refresh_from_db()
    assert row.state == PostState.NOTHING, "after a pause, not at every look"
    posts_advance(look(chain, 962))

    row.refresh_from_db()
    assert (row.state, row.skipped) == (PostState.PROVING, {})
    assert Job.objects.filter(proof_attempt__post=row, state=JobState.READY).exists()


def test_recovery_pushed_before_a_kill_is_followed_despite_more_debt() -> None:
    of = miner(fee_debt=5)
    deadline = faulty(of)
    row = Recovery.objects.create(
        miner=of,
        deadline_index=5,
        partition_index=0,
        open_epoch=deadline.open_epoch,
        cutoff_epoch=deadline.cutoff_epoch,
        state=RecoveryState.GOOD,
        sectors=[1, 2],
        good=[1, 2],
        randomness=b"r" * 32,
    )
    factories.message(f"recover:{row.uuid}:0", from_addr=of.worker, to=of.address, method=11, value=4)

    recoveries_advance(look(OneDeadline()))

    row.refresh_from_db()
    assert (row.state, row.message_id) == (RecoveryState.SENT, f"recover:{row.uuid}:0")


def test_a_check_of_files_whose_time_ran_out_begins_again() -> None:
    of, chain = miner(), OneDeadline()
    faulty(of)
    recoveries_begin(of, context=look(chain))

    recoveries_advance(look(chain, later_s=3600))
    recoveries_begin(of, context=look(chain, later_s=3700))

    states = list(Recovery.objects.order_by("pk").values_list("state", flat=True))
    assert states == [RecoveryState.FAILED, RecoveryState.CHECKING]
    assert Job.objects.filter(state=JobState.READY).count() == 1


def test_what_an_ended_job_worked_on_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    row, chain = post(miner(), state=PostState.PROVING, proof=None), OneDeadline()
    posts_advance(look(chain))
    Job.objects.filter(proof_attempt__post=row).update(
        state=JobState.DONE, proof=b"proof", result={"worker": "p"}
    )
    monkeypatch.setattr(proofs, "proof_check", lambda _job: None)

    posts_advance(look(chain))

    row.refresh_from_db()
    job = Job.objects.get(proof_attempt__post=row)
    assert (row.state, bytes(row.proof or b"")) == (PostState.SENT, b"proof")
    assert (job.inputs, job.proof, job.result) == ({}, None, {"worker": "p"})


@pytest.mark.parametrize("ends", ["lapses", "is missed"])
def test_a_job_that_nobody_did_is_not_kept_whole_either(ends: str) -> None:
    row, chain = post(miner(), state=PostState.PROVING, proof=None), OneDeadline()
    posts_advance(look(chain))
    first = Job.objects.get(proof_attempt__post=row)
    assert first.inputs

    posts_advance(look(chain, later_s=3600) if ends == "lapses" else look(chain, CLOSE))

    first.refresh_from_db()
    assert (first.state, first.inputs) == (JobState.FAILED, {})
