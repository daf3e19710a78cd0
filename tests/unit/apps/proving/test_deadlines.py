"""Windows and partitions follow the chain; what is read and written at a head is bounded by what changed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.miners.models import ChainRoots, Miner
from apps.miners.selectors.chain_roots import roots_active
from apps.proving.models import Deadline, Partition
from apps.proving.rules.proving_context import ProvingContext
from apps.proving.services.deadlines import deadlines_follow
from apps.proving.services.forecast import forecasts_follow
from apps.proving.states import Forecast
from poolsite.filecoin.bitfield import bitfield_of, bitfield_to_json
from poolsite.filecoin.policy import network_by_name
from poolsite.wire.jobs import JobKind
from tests import factories

if TYPE_CHECKING:
    from pytest_django import DjangoAssertNumQueries

pytestmark = pytest.mark.django_db
NETWORK = network_by_name("localnet-poolsite-test")
COUNT = NETWORK.proving.deadlines
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


class Chain:
    """Stands where the client of the nodes is: one partition in each deadline that has sectors."""

    def __init__(self) -> None:
        self.faulty: dict[int, set[int]] = {}
        self.sectors: dict[int, set[int]] = {}
        self.calls: list[int] = []

    def call_many(self, calls: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        self.calls += [params[1] for _, params in calls]
        return [self.partitions(params[1]) for _, params in calls]

    def partitions(self, index: int) -> list[dict[str, Any]]:
        if index > 1:
            return []
        sectors, faulty = self.sectors.get(index, {index + 1}), self.faulty.get(index, set())
        names = ("AllSectors", "LiveSectors", "ActiveSectors", "FaultySectors", "RecoveringSectors")
        sets: tuple[set[int], ...] = (sectors, sectors, sectors - faulty, faulty, set())
        return [{name: bitfield_to_json(bitfield_of(one)) for name, one in zip(names, sets, strict=True)}]

    def roots_write(self, of: Miner) -> None:
        each = [factories.cid(f"{at} {self.faulty.get(at)}") for at in range(COUNT)]
        ChainRoots.objects.update_or_create(
            miner=of, defaults={"deadlines": factories.cid("".join(each)), "each": each}
        )

    def look(self, height: int) -> ProvingContext:
        head = factories.head(height, key=factories.cid(f"head {height} {self.faulty}"))
        return ProvingContext(client=self, network=NETWORK, head=head, now=NOON)  # type: ignore[arg-type]

    def follow(self, *miners: Miner, height: int = 1000) -> set[int]:
        for one in miners:
            self.roots_write(one)
        return deadlines_follow(roots_active(), context=self.look(height))


def test_the_first_time_all_deadlines_are_read() -> None:
    of, chain = factories.miner(), Chain()

    chain.follow(of)

    assert chain.calls == list(range(COUNT))
    rows = Deadline.objects.filter(miner=of)
    assert [row.live for row in rows] == [1, 1, 0, 0, 0, 0]
    assert Partition.objects.count() == 2
    assert all(row.close_epoch > 1000 for row in rows)


def test_without_a_change_nobody_is_asked_and_nothing_is_written(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    miners, chain = [factories.miner() for _ in range(3)], Chain()
    chain.follow(*miners)
    chain.calls.clear()
    look = chain.look(1001)

    with django_assert_num_queries(2):
        written = deadlines_follow(roots_active(), context=look)

    assert (chain.calls, written) == ([], set())


def test_roots_written_for_a_newer_head_wait_for_it() -> None:
    of, chain = factories.miner(), Chain()
    chain.follow(of)
    chain.faulty[1] = {2}
    chain.roots_write(of)
    roots, look = roots_active(), chain.look(1001)
    chain.faulty[0] = {1}
    chain.roots_write(of)  # by the follower, at the head after that of `look`

    assert deadlines_follow(roots, context=look) == set()

    chain.follow(of, height=1002)
    rows = Deadline.objects.filter(miner=of, index__lt=2)
    assert [row.faulty for row in rows] == [1, 1]


def test_one_deadline_that_moved_is_read_alone() -> None:
    of, chain = factories.miner(), Chain()
    chain.follow(of)
    chain.calls.clear()
    chain.faulty[1] = {2}

    written = chain.follow(of, height=1001)

    row = Deadline.objects.get(miner=of, index=1)
    assert chain.calls == [1]
    assert written == {row.pk}
    assert (row.faulty, row.faulty_since) == (1, 1001)
    assert row.partitions.get().faulty == [2]


def test_each_fault_keeps_the_head_at_which_it_was_first_seen() -> None:
    of, chain = factories.miner(), Chain()
    chain.sectors[1] = {2, 3, 4}
    chain.faulty[1] = {2}
    chain.follow(of)
    for height, faulty in ((1001, {2, 3}), (1002, {3, 4})):
        chain.faulty[1] = faulty
        chain.follow(of, height=height)

    row = Deadline.objects.get(miner=of, index=1)
    assert row.partitions.get().faulty_since == {"3": 1001, "4": 1002}
    assert row.faulty_since == 1001, "of the oldest that is left"
    chain.faulty[1] = set()
    chain.follow(of, height=1003)
    again = Deadline.objects.get(pk=row.pk)
    assert again.faulty_since is None
    assert again.partitions.get().faulty_since == {}


def test_a_window_that_closed_becomes_the_next_one_without_a_question() -> None:
    of, chain = factories.miner(), Chain()
    chain.follow(of)
    chain.calls.clear()
    before = Deadline.objects.get(miner=of, index=4)

    chain.follow(of, height=before.close_epoch)

    after = Deadline.objects.get(miner=of, index=4)
    assert after.open_epoch == before.open_epoch + NETWORK.proving.period
    assert chain.calls == []


def test_forecasts_follow_provers_and_the_clock() -> None:
    of, chain = factories.miner(), Chain()
    prover = factories.worker(kinds=[JobKind.WINDOW_POST], seen_at=NOON)

    def judged(height: int) -> list[str]:
        written = chain.follow(of, height=height)
        forecasts_follow([of], context=chain.look(height), written=written)
        return list(Deadline.objects.filter(miner=of, index__lt=2).values_list("forecast", flat=True))

    assert judged(1001) == [Forecast.LATER, Forecast.LATER]
    prover.__class__.objects.update(is_paused=True)
    assert judged(1002) == [Forecast.AT_RISK, Forecast.AT_RISK]
    prover.__class__.objects.update(is_paused=False)
    assert judged(1003) == [Forecast.LATER, Forecast.LATER]
    assert judged(1018) == [Forecast.WILL_LAND, Forecast.LATER], "challenged, about to be proved"


def test_forecasts_of_many_miners_cost_as_many_questions_as_of_one() -> None:
    miners, chain, counts = [factories.miner() for _ in range(4)], Chain(), []
    chain.follow(*miners)
    forecasts_follow(miners, context=chain.look(1018), written=())

    for some in (miners[:1], miners):
        with CaptureQueriesContext(connection) as seen:
            forecasts_follow(some, context=chain.look(1018), written=())
        counts.append(len([query for query in seen.captured_queries if "forecasts_" in query["sql"]]))

    assert counts == [2, 2]
