"""Partitions of one proof while a better one is made and the one in hand is kept."""

from __future__ import annotations

import pytest

from apps.messages.models import Message
from apps.messages.states import MessageState
from apps.proving.models import WindowPost
from apps.proving.services.posts import posts_advance
from apps.proving.states import AttemptKind, PostState
from tests.unit.apps.proving.attempts import job_of
from tests.unit.apps.proving.chain import OneDeadline
from tests.unit.apps.proving.rescues import look, miner, post
from tests.unit.apps.proving.retries import asked, done, sent

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("every_proof_is_right")]


def bettered(chain: OneDeadline) -> WindowPost:
    """A proof of two partitions that is made anew with a sector, while the other one's files go away."""
    row = post(miner(), partitions=[0, 1], skipped={"0": [2, 3]}, proof=b"without")
    posts_advance(look(chain, 959))
    row.refresh_from_db()
    done(job_of(row, AttemptKind.RECHECK))
    posts_advance(look(chain, 959))
    row.refresh_from_db()
    assert asked(job_of(row)) == {1, 2, 3, 4}
    done(job_of(row), faults=[4])
    posts_advance(look(chain, 959))
    row.refresh_from_db()
    assert asked(job_of(row)) == {1, 2, 3}
    return row


def test_partition_lost_while_a_better_proof_is_made_is_proved_apart() -> None:
    chain = OneDeadline(partitions=[[1, 2, 3], [4]])
    row = bettered(chain)
    done(job_of(row))
    posts_advance(look(chain, 960))

    assert sent(row) == {0: []}
    away = WindowPost.objects.exclude(pk=row.pk).get()
    assert (away.partitions, away.state) == ([1], PostState.PROVING)
    done(job_of(away))
    posts_advance(look(chain, 961))
    assert sent(away) == {1: []}


def test_fallback_that_proves_a_partition_set_apart_spares_its_proof() -> None:
    chain = OneDeadline(partitions=[[1, 2, 3], [4]])
    row = bettered(chain)
    for height in (960, 962):
        posts_advance(look(chain, height))
    assert sent(row) == {0: [2, 3], 1: []}

    Message.objects.filter(pk=row.message_id).update(state=MessageState.LANDED, exit_code=0, height=962)
    chain.proven = (0, 1)
    away = WindowPost.objects.exclude(pk=row.pk).get()
    done(job_of(away))
    posts_advance(look(chain, 963))

    assert set(WindowPost.objects.values_list("state", flat=True)) == {PostState.LANDED}
    assert Message.objects.filter(kind="window_post").count() == 1


def test_failed_message_leads_to_a_proof_of_what_the_chain_lacks() -> None:
    row, chain = post(miner(), partitions=[0, 1]), OneDeadline(partitions=[[1], [2]])
    posts_advance(look(chain))
    row.refresh_from_db()
    Message.objects.filter(pk=row.message_id).update(state=MessageState.LANDED, exit_code=16, height=961)
    chain.proven = (1,)

    for height in (962, 963):
        posts_advance(look(chain, height))

    row.refresh_from_db()
    assert asked(job_of(row)) == {1}


def test_recheck_waits_for_proofs_of_whole_partitions() -> None:
    chain, without = OneDeadline(), post(miner(), skipped={"0": [2]}, proof=b"without")
    missing = post(miner(), state=PostState.PROVING, proof=None)

    posts_advance(look(chain, 959))

    for row in (missing, without):
        row.refresh_from_db()
    first, again = job_of(missing), job_of(without, AttemptKind.RECHECK)
    assert first is not None
    assert again is not None
    assert (first.time_sensitive, again.time_sensitive) == (True, True)
    assert first.priority > again.priority
