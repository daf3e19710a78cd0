"""A prover that could not read a sector brings a proof of the others, which is sent if no better comes."""

from __future__ import annotations

from typing import Any

import pytest

from apps.core import clock
from apps.messages.models import Message
from apps.proving.models import SectorCheck, WindowPost
from apps.proving.services import proofs
from apps.proving.services.jobs import BadProof, proof_check
from apps.proving.services.posts import posts_advance
from apps.proving.states import AttemptKind, PostState
from apps.sectors.models import Job
from apps.sectors.services.jobs.reports import job_complete
from poolsite.wire.codec import document_encode
from poolsite.wire.job_inputs import ProvenSector, WindowPostInputs
from poolsite.wire.job_reports import BadSector, Complete
from poolsite.wire.jobs import Assignment
from tests import factories
from tests.people import tenant
from tests.unit.apps.proving.attempts import attempts, job_of
from tests.unit.apps.proving.chain import OneDeadline
from tests.unit.apps.proving.hanging import STALLED, Scene, fresh, hands_in, prover, taken, takes
from tests.unit.apps.proving.rescues import look
from tests.unit.apps.proving.retries import asked, proving, sent, words
from tests.unit.workers.processors.post import SEED, sealed
from workers.processors import window_post
from workers.processors.post_tasks import WindowPostTask

__all__ = ["sealed"]

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("every_proof_is_right", "time_stands_still")]

QUARTER = 962
"""From here on a proof is sent although it leaves out sectors."""
AHEAD = 958


def brings(job: Assignment, *, faults: tuple[int, ...], proof: bytes = b"of the rest") -> None:
    """A prover reports a proof and which sectors it does not cover."""
    bad = tuple(BadSector(number=number, path=f"/s/{number}", reason="it is missing") for number in faults)
    told = Complete(token=job.token, proof=proof, faults=faults, bad=bad)
    job_complete(job.id, complete=told, tenant_id=tenant("alice").pk, now=clock.now())


def moved(row: WindowPost, chain: OneDeadline, height: int = AHEAD) -> WindowPost:
    """One pass over the proofs."""
    posts_advance(look(chain, height))
    return fresh(row)


def proof_of(row: WindowPost) -> bytes:
    """The proof in hand."""
    return bytes(row.proof or b"")


def test_proof_of_the_rest_is_kept_while_another_host_looks() -> None:
    row, chain = proving([0]), OneDeadline()
    for number in (1, 2):
        factories.sector(row.miner, state="PROVING", number=number, store="store-1", active=True)
    ill, well = prover("ill"), prover("well")
    moved(row, chain)
    brings(takes(ill), faults=(2,))

    row = moved(row, chain)

    assert (row.state, proof_of(row), row.skipped) == (PostState.PROVED, b"of the rest", {"0": [2]})
    assert asked(job_of(row, AttemptKind.RECHECK)) == {2}, "in the same pass"
    assert words(row) == ["files of sectors [2] cannot be read"]
    assert list(SectorCheck.objects.values_list("number", "is_good", "reason")) == [
        (2, False, "it is missing")
    ]
    assert taken(ill) is None, "whoever could not read it is not asked again where another host is there"

    hands_in(takes(well))
    row = moved(row, chain)
    assert (row.state, asked(job_of(row))) == (PostState.PROVING, {1, 2})
    hands_in(takes(well), b"of all")
    row = moved(row, chain, 961)
    assert (sent(row), proof_of(fresh(row))) == ({0: []}, b"of all")
    assert Message.objects.filter(kind="window_post").count() == 1
    assert attempts(row) == [
        ("FIRST", "USED"),
        ("RECHECK", "USED"),
        ("FALLBACK", "CANCELLED"),
        ("FIRST", "USED"),
    ]


def test_what_is_sent_leaves_out_what_the_proof_leaves_out() -> None:
    row, chain = proving([0]), OneDeadline()
    host = prover("ill")
    moved(row, chain)
    brings(takes(host), faults=(2,))
    row = moved(row, chain, QUARTER - 1)
    assert (row.state, row.message_id) == (PostState.PROVED, "")

    row = moved(row, chain, QUARTER)

    assert (sent(row), proof_of(row)) == ({0: [2]}, b"of the rest")
    assert Message.objects.filter(kind="window_post").count() == 1


def test_late_in_the_window_it_is_sent_at_once() -> None:
    row, chain = proving([0]), OneDeadline()
    host = prover("ill")
    moved(row, chain, QUARTER + 4)
    brings(takes(host), faults=(1,))

    row = moved(row, chain, QUARTER + 5)

    assert (row.state, sent(row)) == (PostState.SENT, {0: [1]})


def test_a_partition_that_is_lost_whole_is_set_apart() -> None:
    row, chain = proving([0, 1]), OneDeadline(partitions=[[1, 2], [3]])
    host = prover("ill")
    moved(row, chain)
    brings(takes(host), faults=(2, 3))

    row = moved(row, chain, QUARTER)

    assert (sent(row), proof_of(row), row.skipped) == ({0: [2]}, b"of the rest", {"0": [2]})
    away = WindowPost.objects.exclude(pk=row.pk).get()
    assert (away.partitions, away.skipped, away.state) == ([1], {"1": [3]}, PostState.NOTHING)
    assert asked(job_of(moved(away, chain, QUARTER + 1))) == {3}, "its files are looked at again"


def test_a_whole_partition_does_not_wait_for_one_that_is_lost() -> None:
    row, chain = proving([0, 1]), OneDeadline(partitions=[[1, 2], [3]])
    host = prover("ill")
    moved(row, chain)
    brings(takes(host), faults=(3,))

    row = moved(row, chain, QUARTER - 1)

    assert (row.state, row.skipped, sent(row)) == (PostState.SENT, {}, {0: []})


def test_a_proof_that_is_wrong_for_the_rest_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_job: Job) -> None:
        raise BadProof("one sector too many")

    monkeypatch.setattr(proofs, "proof_check", refuse)
    row, chain = proving([0]), OneDeadline()
    host = prover("ill")
    moved(row, chain)
    brings(takes(host), faults=(2,))

    row = moved(row, chain)

    assert (row.state, row.proof, row.skipped) == (PostState.PROVING, None, {"0": [2]})
    assert asked(job_of(row)) == {1}


def test_proof_of_a_terminated_sector_is_asked_for_again() -> None:
    row, chain = proving([0]), OneDeadline(partitions=[[1, 2, 3]])
    host = prover("ill")
    moved(row, chain)
    brings(takes(host), faults=(2,))
    chain.partitions = [[1, 2]]

    row = moved(row, chain)

    assert (row.state, asked(job_of(row))) == (PostState.PROVING, {1})


def test_a_host_that_makes_no_proof_of_the_rest_is_asked_for_it() -> None:
    """As the prover of the version before, and damocles-worker."""
    row, chain = proving([0]), OneDeadline()
    host = prover("before")
    moved(row, chain)
    hands_in(takes(host), faults=(2,))

    row = moved(row, chain)
    hands_in(takes(host))

    assert sent(moved(row, chain, QUARTER)) == {0: [2]}


def test_a_backup_prover_that_is_at_it_may_leave_out_less() -> None:
    scene = Scene("well")
    backup = scene.relieved()
    brings(scene.first, faults=(2,))

    row = scene.passes(STALLED)

    assert (row.state, row.skipped) == (PostState.PROVING, {})
    fallback = row.attempt(AttemptKind.FALLBACK)
    assert fallback is not None
    assert (bytes(fallback.proof or b""), fallback.skipped) == (b"of the rest", {"0": [2]})
    hands_in(backup)
    scene.lands()


@pytest.mark.parametrize("ends", ["too late", "the same"])
def test_a_backup_prover_that_brings_no_more_costs_nothing(ends: str) -> None:
    scene = Scene("well")
    backup = scene.relieved()
    brings(scene.first, faults=(2,))
    row = scene.passes(STALLED)
    if ends == "the same":
        brings(backup, faults=(2,), proof=b"of the rest too")

    row = scene.passes(QUARTER)

    assert (sent(row), proof_of(row)) == ({0: [2]}, b"of the rest")
    assert Message.objects.filter(kind="window_post").count() == 1


def test_a_kill_between_writes_keeps_proof_and_skips_together(monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        """As `kill -9`: nothing catches it."""

    def killed(*_: Any, **__: Any) -> None:
        raise Killed

    row, chain = proving([0, 1]), OneDeadline(partitions=[[1, 2], [3]])
    host = prover("ill")
    moved(row, chain)
    brings(takes(host), faults=(2, 3))
    with monkeypatch.context() as patch:
        patch.setattr(proofs, "attempts_cancel", killed)
        with pytest.raises(Killed):
            moved(row, chain)
    row = fresh(row)
    assert (row.state, row.proof, row.skipped, row.partitions) == (PostState.PROVING, None, {}, [0, 1])

    row = moved(row, chain, QUARTER)

    assert (sent(row), proof_of(row)) == ({0: [2]}, b"of the rest")
    assert WindowPost.objects.count() == 2


def test_the_check_is_that_of_the_chain_over_the_rest(sealed: Any) -> None:
    _, replica = sealed
    output = window_post.run(WindowPostTask(1000, 10, (replica,), SEED))
    sectors = tuple(ProvenSector(number=number, comm_r=replica.comm_r, seal_proof=5) for number in (1, 2, 2))
    inputs = WindowPostInputs(
        miner_id=1000, post_proof=10, randomness=SEED, sectors=sectors, deadline=0, close_epoch=9
    )
    job = Job(inputs=document_encode(inputs), proof=bytes(output.proofs[0]), result={"faults": [2]})

    proof_check(job)
    job.result = {"faults": []}
    with pytest.raises(BadProof):
        proof_check(job)


def test_sectors_that_were_bad_and_are_in_the_proof_are_good_again() -> None:
    row, chain = proving([0]), OneDeadline()
    host = prover("ill")
    for number in (1, 2):
        factories.sector(row.miner, state="PROVING", number=number, store="store-1")
        SectorCheck.objects.create(
            miner=row.miner,
            number=number,
            store="store-1",
            deadline_index=0,
            is_good=False,
            checked_at=clock.now(),
            height=900,
            bad_since=900,
        )
    moved(row, chain)
    brings(takes(host), faults=(2,))

    moved(row, chain)

    assert dict(SectorCheck.objects.values_list("number", "is_good")) == {1: True, 2: False}
