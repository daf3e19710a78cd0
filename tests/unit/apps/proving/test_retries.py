"""What can still be proved before a window closes is tried again, and nothing is sent twice."""

from __future__ import annotations

from typing import Any

import pytest

from apps.core import clock
from apps.messages.models import Message
from apps.messages.states import MessageState, Wait
from apps.proving.models import WindowPost
from apps.proving.services import fault_rechecks, proofs
from apps.proving.services.posts import posts_advance
from apps.proving.services.retries import (
    last_try_epoch_compute,
    partial_proof_epoch_compute,
    retry_pause_compute,
)
from apps.proving.states import AttemptKind, PostState
from apps.sectors.states import JobState
from apps.wallets.models import Wallet
from poolsite.filecoin.policy import MAINNET
from tests import factories
from tests.killed_writes import Killed, kill
from tests.unit.apps.proving.attempts import attempts, job_of
from tests.unit.apps.proving.chain import OneDeadline
from tests.unit.apps.proving.rescues import CLOSE, NETWORK, OPEN, look, miner, post
from tests.unit.apps.proving.retries import asked, done, failed, proving, sent, words

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("time_stands_still")]

QUARTER = OPEN + 2


@pytest.fixture(autouse=True)
def _every_proof_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (proofs, fault_rechecks):
        monkeypatch.setattr(module, "proof_check", lambda _job: None)


# Pauses and the last epoch


def test_pauses_double_from_none_to_a_tenth_of_the_window() -> None:
    assert [retry_pause_compute(tries, window=60) for tries in (0, 1, 2, 3, 4, 5, 6, 99)] == [
        0,
        0,
        1,
        2,
        4,
        6,
        6,
        6,
    ]
    assert [retry_pause_compute(tries, window=10) for tries in (0, 1, 2, 3, 99)] == [0, 0, 1, 1, 1]


@pytest.mark.parametrize(("network", "last", "better"), [(NETWORK, 968, 962), (MAINNET, 1017, 975)])
def test_the_last_epochs_are_shares_of_the_window(network: Any, last: int, better: int) -> None:
    row = WindowPost(open_epoch=OPEN, close_epoch=OPEN + network.proving.window)

    assert (
        last_try_epoch_compute(row, network=network),
        partial_proof_epoch_compute(row, network=network),
    ) == (last, better)


def test_failing_prover_is_retried_until_the_window_ends() -> None:
    row, chain = proving([0]), OneDeadline()
    asked_at = []
    for height in range(OPEN, CLOSE):
        posts_advance(look(chain, height))
        row.refresh_from_db()
        if job_of(row) is not None:
            asked_at.append(height)
            failed(job_of(row))

    assert asked_at == [960, 961, 963, 965, 967], "after the second failure every other epoch, up to the last"
    assert row.tries == 5
    assert words(row) == ["no proof was made: the disk is gone"] * 5


def test_after_one_failure_the_next_job_goes_out_at_once() -> None:
    row, chain = proving([0]), OneDeadline()
    posts_advance(look(chain))
    row.refresh_from_db()
    failed(job_of(row))

    posts_advance(look(chain))

    row.refresh_from_db()
    job = job_of(row)
    assert job is not None
    assert (row.tries, job.state) == (1, JobState.READY)


# Partitions


def test_unreadable_partition_is_proved_apart_from_the_others() -> None:
    row, chain = proving([0, 1]), OneDeadline(partitions=[[1, 2], [3, 4]])
    posts_advance(look(chain))
    row.refresh_from_db()
    done(job_of(row), faults=[3, 4])
    posts_advance(look(chain))
    row.refresh_from_db()
    assert asked(job_of(row)) == {1, 2}
    done(job_of(row))

    posts_advance(look(chain))

    away = WindowPost.objects.exclude(pk=row.pk).get()
    assert sent(row) == {0: []}
    assert (away.partitions, away.part, away.state) == ([1], 1, PostState.NOTHING)
    posts_advance(look(chain, 962))
    away.refresh_from_db()
    assert asked(job_of(away)) == {3, 4}
    done(job_of(away))
    posts_advance(look(chain, 963))
    assert sent(away) == {1: []}
    assert Message.objects.filter(kind="window_post").count() == 2


def test_unreadable_partition_is_retried_with_pauses() -> None:
    row, chain = proving([0]), OneDeadline()
    for height in range(961, 965):
        posts_advance(look(chain, height))
        row.refresh_from_db()
        done(job_of(row), faults=[1, 2])
        posts_advance(look(chain, height))
        row.refresh_from_db()
        assert (row.state, job_of(row), row.try_epoch) == (PostState.NOTHING, None, height + 1)

    assert row.tries == 5
    posts_advance(look(chain, 965))
    row.refresh_from_db()
    done(job_of(row))
    posts_advance(look(chain, 966))
    assert sent(row) == {0: []}


def test_partitions_whose_common_proof_failed_are_proved_one_by_one() -> None:
    row, chain = proving([0, 1, 2]), OneDeadline(partitions=[[1], [2], [3]])
    posts_advance(look(chain))
    row.refresh_from_db()
    failed(job_of(row), error="the child was killed")

    posts_advance(look(chain))
    posts_advance(look(chain))

    rows = list(WindowPost.objects.order_by("part"))
    assert [one.partitions for one in rows] == [[0], [1], [2]]
    assert [asked(job_of(one)) for one in rows] == [{1}, {2}, {3}]
    assert "the child was killed" in words(rows[2])[0]


def test_a_kill_leaves_no_failed_common_proof_undivided(monkeypatch: pytest.MonkeyPatch) -> None:
    row, chain = proving([0, 1]), OneDeadline(partitions=[[1], [2]])
    posts_advance(look(chain))
    row.refresh_from_db()
    failed(job_of(row), error="the child was killed")
    with monkeypatch.context() as patch:
        patch.setattr(proofs, "post_split", kill)
        with pytest.raises(Killed):
            posts_advance(look(chain))

    posts_advance(look(chain))

    assert list(WindowPost.objects.order_by("part").values_list("partitions", flat=True)) == [[0], [1]]


# Sectors that are left out


def test_skipped_sector_is_rechecked_before_the_proof_is_sent() -> None:
    row, chain = proving([0]), OneDeadline()
    posts_advance(look(chain))
    row.refresh_from_db()
    done(job_of(row), faults=[2])
    posts_advance(look(chain))
    row.refresh_from_db()
    done(job_of(row))
    posts_advance(look(chain))
    posts_advance(look(chain))
    row.refresh_from_db()
    assert (row.state, row.skipped, row.message_id) == (PostState.PROVED, {"0": [2]}, "")
    assert asked(job_of(row, AttemptKind.RECHECK)) == {2}

    done(job_of(row, AttemptKind.RECHECK))
    posts_advance(look(chain))
    row.refresh_from_db()
    assert (row.state, asked(job_of(row))) == (PostState.PROVING, {1, 2})
    done(job_of(row))
    posts_advance(look(chain))

    assert sent(row) == {0: []}
    assert "sector 2 can be read again: proving again with them" in words(row)
    assert attempts(row) == [
        ("FIRST", "FAILED"),
        ("FIRST", "USED"),
        ("RECHECK", "USED"),
        ("FALLBACK", "CANCELLED"),
        ("FIRST", "USED"),
    ]


def proved_without(number: int, **data: Any) -> WindowPost:
    """A proof in hand that leaves a sector out."""
    return post(miner(), skipped={"0": [number]}, proof=b"without", **data)


def test_proof_with_skips_is_sent_after_a_quarter_of_the_window() -> None:
    row, chain = proved_without(2), OneDeadline()
    posts_advance(look(chain, QUARTER - 1))
    row.refresh_from_db()
    job = job_of(row, AttemptKind.RECHECK)
    assert (row.state, job is not None) == (PostState.PROVED, True)

    posts_advance(look(chain, QUARTER))

    assert sent(row) == {0: [2]}
    assert job is not None
    job.refresh_from_db()
    assert (row.state, job.state) == (PostState.SENT, JobState.FAILED), "nobody reads for what is sent"


def test_each_look_that_finds_nothing_is_followed_by_a_longer_pause() -> None:
    row, chain = proved_without(2), OneDeadline()
    for height, again in ((958, True), (959, False), (960, False), (961, False)):
        posts_advance(look(chain, height))
        row.refresh_from_db()
        done(job_of(row, AttemptKind.RECHECK), faults=[2])
        posts_advance(look(chain, height))
        row.refresh_from_db()
        assert (job_of(row, AttemptKind.RECHECK) is not None, row.message_id) == (again, "")

    assert words(row) == ["checked sector 2 again: it still cannot be read"] * 4
    assert (row.tries, row.try_epoch) == (4, 962)


@pytest.mark.parametrize("ends", ["too late", "unreadable after all"])
def test_the_proof_in_hand_is_sent_where_no_better_one_came(ends: str) -> None:
    row, chain = proved_without(2), OneDeadline()
    posts_advance(look(chain))
    row.refresh_from_db()
    done(job_of(row, AttemptKind.RECHECK))
    posts_advance(look(chain))
    row.refresh_from_db()
    better = job_of(row)
    assert (row.state, row.proof) == (PostState.PROVING, None)

    if ends == "unreadable after all":
        done(better, faults=[2])
        posts_advance(look(chain))
        row.refresh_from_db()
        assert (row.state, row.attempt(AttemptKind.FALLBACK)) == (PostState.PROVED, None)
    posts_advance(look(chain, QUARTER))

    row.refresh_from_db()
    assert (sent(row), bytes(row.proof or b"")) == ({0: [2]}, b"without")
    assert better is not None
    better.refresh_from_db()
    assert better.state != JobState.READY


def test_a_challenge_that_changed_takes_the_spare_with_it() -> None:
    row, chain = proved_without(2), OneDeadline()
    posts_advance(look(chain))
    row.refresh_from_db()
    done(job_of(row, AttemptKind.RECHECK))
    posts_advance(look(chain))

    chain.beacon = b"c" * 32
    posts_advance(look(chain))

    row.refresh_from_db()
    assert (row.state, row.attempt(AttemptKind.FALLBACK), row.skipped) == (PostState.PROVING, None, {})
    assert bytes(row.randomness) == chain.beacon


# Nothing twice


def test_what_the_chain_has_is_not_sent() -> None:
    row, chain = post(miner()), OneDeadline(proven=(0,))

    posts_advance(look(chain))

    row.refresh_from_db()
    assert (row.state, row.message_id, row.landed_height) == (PostState.LANDED, "", 961)
    assert not Message.objects.filter(kind="window_post").exists()


def test_of_partitions_the_chain_has_in_part_the_others_are_proved_alone() -> None:
    row = post(miner(), partitions=[0, 1])
    chain = OneDeadline(partitions=[[1], [2]], proven=(0,))
    posts_advance(look(chain))
    posts_advance(look(chain))
    row.refresh_from_db()
    assert (row.state, row.partitions, asked(job_of(row))) == (PostState.PROVING, [1], {2})

    done(job_of(row))
    posts_advance(look(chain))

    assert sent(row) == {1: []}


def test_files_that_are_away_do_not_matter_once_somebody_has_proved_them() -> None:
    row = post(miner(), state=PostState.NOTHING, proof=None, skipped={"0": [1, 2]})

    posts_advance(look(OneDeadline(proven=(0,))))

    row.refresh_from_db()
    assert row.state == PostState.LANDED


def test_a_proof_is_not_sent_while_one_that_was_given_up_may_still_land() -> None:
    row, chain = post(miner()), OneDeadline()
    posts_advance(look(chain))
    row.refresh_from_db()
    first = row.message_id
    Message.objects.filter(pk=first).update(
        state=MessageState.FAILED, nonce=7, updated_at=clock.now(), error="marked bad"
    )

    posts_advance(look(chain))
    row.refresh_from_db()
    assert (row.state, row.message_id) == (PostState.SENT, first)
    posts_advance(look(chain, later_s=5))

    row.refresh_from_db()
    assert (row.messages_sent, row.state, row.message_id != first) == (2, PostState.SENT, True)


# Messages that come to nothing


def sent_out(chain: OneDeadline, **data: Any) -> tuple[WindowPost, Message]:
    """A proof whose message was pushed."""
    row = post(miner(), **data)
    posts_advance(look(chain, QUARTER))
    row.refresh_from_db()
    return row, Message.objects.get(pk=row.message_id)


def test_a_proofs_message_is_for_the_window_alone() -> None:
    row, message = sent_out(OneDeadline())

    assert (message.expire_epoch, message.urgent_epoch) == (row.close_epoch - 1, row.close_epoch)


def test_a_message_that_the_node_refuses_in_advance_leads_to_a_fresh_proof() -> None:
    chain = OneDeadline()
    row, first = sent_out(chain)
    Message.objects.filter(pk=first.pk).update(wait=Wait.ESTIMATE, attempts=2, error="invalid post")
    posts_advance(look(chain))
    row.refresh_from_db()
    assert (row.state, row.message_id) == (PostState.SENT, first.pk)

    Message.objects.filter(pk=first.pk).update(attempts=3)
    posts_advance(look(chain))

    row.refresh_from_db()
    first.refresh_from_db()
    assert (first.state, row.state, row.proof) == (MessageState.FAILED, PostState.PROVING, None)
    assert asked(job_of(row)) == {1, 2}
    assert "the node expects the message to fail: invalid post" in words(row)


def test_refused_message_is_no_miss_if_the_chain_has_the_proof() -> None:
    chain = OneDeadline()
    row, first = sent_out(chain)
    Message.objects.filter(pk=first.pk).update(wait=Wait.ESTIMATE, error="partition already proven: 0")
    chain.proven = (0,)

    posts_advance(look(chain))

    row.refresh_from_db()
    first.refresh_from_db()
    assert (row.state, row.exit_code, first.state) == (PostState.LANDED, 0, MessageState.FAILED)


def test_a_sender_that_ran_dry_is_followed_by_another() -> None:
    chain = OneDeadline()
    row, first = sent_out(chain)
    other = factories.wallet()
    row.miner.control = [other.address]
    row.miner.save()
    Wallet.objects.filter(address=first.from_addr).update(balance=0)
    Message.objects.filter(pk=first.pk).update(wait=Wait.FUNDS, error="balance 0")

    posts_advance(look(chain))

    row.refresh_from_db()
    assert Message.objects.get(pk=row.message_id).from_addr == other.address
    assert Message.objects.get(pk=first.pk).state == MessageState.FAILED


def landed_with(message: Message, code: int, height: int = QUARTER + 1) -> None:
    """The chain executes a message."""
    Message.objects.filter(pk=message.pk).update(state=MessageState.LANDED, exit_code=code, height=height)


def test_a_message_that_failed_leads_to_a_look_at_every_sector() -> None:
    chain = OneDeadline()
    row, message = sent_out(chain, skipped={"0": [2]})
    landed_with(message, 16)

    posts_advance(look(chain, QUARTER + 1))

    row.refresh_from_db()
    assert (row.state, row.skipped, row.proof, row.exit_code) == (PostState.PROVING, {}, None, 16)
    assert asked(job_of(row)) == {1, 2}


def test_message_failed_on_another_branch_discards_its_proof() -> None:
    chain = OneDeadline()
    row, message = sent_out(chain)
    landed_with(message, 16)
    chain.tickets = b"u" * 32

    posts_advance(look(chain, QUARTER + 1))
    posts_advance(look(chain, QUARTER + 1))

    row.refresh_from_db()
    assert (row.state, row.messages_sent, bytes(row.proof or b"")) == (PostState.SENT, 2, b"proof")


def test_a_proof_that_landed_and_fails_on_the_new_branch_is_made_again() -> None:
    chain = OneDeadline()
    row, message = sent_out(chain)
    landed_with(message, 0)
    posts_advance(look(chain, QUARTER + 1))
    row.refresh_from_db()
    assert row.state == PostState.LANDED

    landed_with(message, 16)
    posts_advance(look(chain, QUARTER + 2))
    row.refresh_from_db()
    assert row.state == PostState.PROVING
    posts_advance(look(chain, QUARTER + 2))

    row.refresh_from_db()
    assert asked(job_of(row)) == {1, 2}


def test_a_proof_that_lands_anew_elsewhere_stays_landed() -> None:
    chain = OneDeadline()
    row, message = sent_out(chain)
    for height in (QUARTER + 1, QUARTER + 2):
        landed_with(message, 0, height)
        posts_advance(look(chain, height))

    row.refresh_from_db()
    assert (row.state, row.landed_height) == (PostState.LANDED, QUARTER + 2)


def test_reverted_foreign_proof_is_proved_by_us() -> None:
    row, chain = post(miner()), OneDeadline(proven=(0,))
    posts_advance(look(chain))
    chain.proven = ()

    posts_advance(look(chain))
    posts_advance(look(chain))

    row.refresh_from_db()
    assert (row.state, asked(job_of(row))) == (PostState.PROVING, {1, 2})


def test_nothing_is_tried_after_the_close() -> None:
    row, chain = proving([0]), OneDeadline()

    posts_advance(look(chain, CLOSE))

    row.refresh_from_db()
    assert (row.state, job_of(row)) == (PostState.MISSED, None)
    assert words(row) == ["the window closed without a proof"]
