"""Whom a free job is told of: few at a time, each host once."""

from __future__ import annotations

from apps.api.job_tells import AGAIN_S, FEW_AGAIN_S, FIRST, MOST, WINDOW_AGAIN_S, JobTells
from apps.sectors.services.jobs.free_jobs import FreeJob, WaitingHost

LOOK_S = 0.5
HOSTS = 2_000


def hosts(count: int, *, closed: frozenset[str] = frozenset()) -> list[WaitingHost]:
    return [WaitingHost(number, 1, frozenset({"seal"}), closed) for number in range(count)]


def job(number: int, *, host: int | None = None, token: int = 0, kind: str = "seal") -> FreeJob:
    return FreeJob(1, kind, "PC1", number, token, host)


def looks(tells: JobTells, waiting: list[WaitingHost], free: list[FreeJob], count: int) -> list[set[int]]:
    return [tells.choose(waiting, free, at=number * LOOK_S) for number in range(count)]


def test_one_new_job_wakes_few_of_two_thousand_hosts() -> None:
    tells, waiting = JobTells(), hosts(HOSTS)

    [first, after] = looks(tells, waiting, [job(1)], 2)

    assert (len(first), len(after)) == (FIRST, 2 * FIRST)
    assert first.isdisjoint(after)


def test_a_job_that_nobody_gets_is_told_to_each_once_in_a_while() -> None:
    tells, waiting = JobTells(), hosts(HOSTS)

    told = looks(tells, waiting, [job(1)], int(AGAIN_S / LOOK_S))

    assert max(map(len, told)) == MOST
    assert sorted(host for some in told for host in some) == list(range(HOSTS)), "each once"
    again = tells.choose(waiting, [job(1)], at=2 * AGAIN_S)
    assert again <= told[0] | set.union(*told), "and once more after that"
    assert len(again) == MOST


def test_a_new_job_beside_one_that_is_not_taken_is_told() -> None:
    tells, waiting = JobTells(), hosts(2)
    assert looks(tells, waiting, [job(1)], 3) == [{0, 1}, set(), set()]

    assert tells.choose(waiting, [job(1), job(2)], at=5.0) == {0, 1}


def test_a_job_that_came_back_is_another_one() -> None:
    tells, waiting = JobTells(), hosts(1)
    assert looks(tells, waiting, [job(1)], 2) == [{0}, set()]

    assert tells.choose(waiting, [job(1, token=1)], at=1.0) == {0}


def test_what_lies_on_a_host_wakes_that_host_alone_and_at_once() -> None:
    tells, waiting = JobTells(), hosts(HOSTS)

    assert tells.choose(waiting, [job(1, host=7), job(2, host=9)], at=0.0) == {7, 9}
    assert tells.choose(waiting, [job(1, host=7), job(3, host=8)], at=0.5) == {8}
    assert tells.choose(waiting, [job(1, host=7)], at=FEW_AGAIN_S) == {7}, "a claim may have failed"
    every = [job(10 + host, host=host) for host in range(HOSTS)]
    assert len(tells.choose(waiting, every, at=FEW_AGAIN_S + 0.5)) == HOSTS


def test_a_host_that_claims_in_vain_is_not_told_of_its_job_as_of_a_new_one() -> None:
    tells, both = JobTells(), hosts(2)
    assert tells.choose(both, [job(1, host=0)], at=0.0) == {0}

    assert tells.choose(both[1:], [], at=0.5) == set()
    assert tells.choose(both, [job(1, host=0)], at=1.0) == set()
    assert tells.choose(both, [job(1, host=0), job(2, host=0)], at=1.5) == {0}
    assert tells.choose(both[1:], [], at=2.0) == set()
    assert tells.choose(both, [job(1, host=0)], at=1.5 + FEW_AGAIN_S) == {0}


def test_a_proof_that_was_not_taken_is_told_again_soon() -> None:
    """Its job may be offered to a host that had no right to it a moment ago: nothing else of it changes."""
    kinds = frozenset({"window_post", "sector_check"})
    provers = [WaitingHost(number, 1, kinds, frozenset()) for number in range(3)]
    window, check = (FreeJob(1, kind, "", number, 0) for number, kind in enumerate(sorted(kinds)[::-1]))
    for job, again_s in ((window, WINDOW_AGAIN_S), (check, FEW_AGAIN_S)):
        tells = JobTells()
        assert tells.choose(provers, [job], at=0.0) == {0, 1, 2}
        assert tells.choose(provers, [job], at=again_s / 2) == set()

        assert tells.choose(provers, [job], at=again_s) == {0, 1, 2}


def test_what_many_hosts_are_offered_is_told_to_a_few_of_them() -> None:
    waiting = [WaitingHost(number, 1, frozenset({"unseal"}), frozenset()) for number in range(HOSTS)]
    offered = [job(1, host=host, kind="unseal") for host in range(0, HOSTS, 2)]

    told = JobTells().choose(waiting, offered, at=0.0)

    assert len(told) == FIRST
    assert all(host % 2 == 0 for host in told)


def test_neither_a_host_without_a_slot_nor_a_stranger_is_told() -> None:
    without, stranger = (
        hosts(1, closed=frozenset({"PC1"})),
        WaitingHost(5, 2, frozenset({"seal"}), frozenset()),
    )

    assert JobTells().choose([*without, stranger], [job(1), job(2, host=0)], at=0.0) == set()
