"""Active sectors follow the chain, and what is read at a head is bounded by what changed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.chain.errors import NodeRefused
from apps.miners.models import ChainRoots, Miner
from apps.miners.selectors.chain_roots import roots_active
from apps.pieces.models import Piece
from apps.sectors.models import ActiveSectors, Sector
from apps.sectors.rules.policy import SealingPolicy
from apps.sectors.selectors.sealing_context import SealingContext
from apps.sectors.services import active
from apps.sectors.services.active import active_follow, deadlines_fill
from poolsite.filecoin.bitfield import bitfield_of, bitfield_to_json
from poolsite.filecoin.policy import network_by_name
from tests import factories

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
NETWORK = network_by_name("localnet-poolsite-test")
PERIOD = NETWORK.proving.period
DEADLINES = NETWORK.proving.deadlines


@dataclass
class Partitions:
    """Stands where the client of the nodes is: one partition in deadline 0 of each miner, another in 1."""

    active: dict[str, set[int]] = field(default_factory=dict)
    beside: dict[str, set[int]] = field(default_factory=dict)
    """In deadline 1."""
    salt: str = ""
    tells_each: bool = True
    """Whether the node gives the CID of each deadline."""
    refused: set[str] = field(default_factory=set)
    calls: list[tuple[str, int]] = field(default_factory=list)

    def call_many(self, calls: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        self.calls += [(method, params[1]) for method, params in calls]
        return [
            NodeRefused(1, "actor not found")
            if params[0] in self.refused
            else getattr(self, f"do_{method}")(*params)
            for method, params in calls
        ]

    def numbers(self, miner: str, index: int) -> set[int]:
        return (self.active if index == 0 else self.beside if index == 1 else {}).get(miner, set())

    def roots_write(self, miner: Miner) -> None:
        """Write down the roots as the step before this one does."""
        states = [f"{self.salt} {at} {sorted(self.numbers(miner.address, at))}" for at in range(DEADLINES)]
        ChainRoots.objects.update_or_create(
            miner=miner,
            defaults={
                "deadlines": factories.cid(" ".join(states)),
                "each": [factories.cid(state) for state in states] if self.tells_each else [],
            },
        )

    def do_StateMinerPartitions(self, miner: str, index: int, _key: Any) -> Any:
        numbers = self.numbers(miner, index)
        if not numbers:
            return None
        row = bitfield_to_json(bitfield_of(numbers))
        names = ("AllSectors", "LiveSectors", "ActiveSectors", "FaultySectors", "RecoveringSectors")
        return [dict.fromkeys(names, row)]

    def do_StateSectorPartition(self, _miner: str, number: int, _key: Any) -> Any:
        return {"Deadline": number, "Partition": 1}


def follow(miners: Sequence[Miner], chain: Partitions, *, height: int = 1000) -> None:
    first = Miner.objects.order_by("pk").values_list("pk", flat=True)[0]
    height += -(1000 + first) % PERIOD  # at 1000 a period of its comparisons begins
    work = SealingContext(
        client=chain,  # type: ignore[arg-type]  # stands where the client is
        network=NETWORK,
        head=factories.head(height, key=factories.cid(f"head {height} {chain.salt} {chain.active}")),
        now=NOON,
        policy=SealingPolicy(),
    )
    for miner in miners:
        chain.roots_write(miner)
    active_follow(roots_active(), work=work)


def active_of(miner: Miner) -> set[int]:
    return set(Sector.objects.filter(miner=miner, active=True).values_list("number", flat=True))


def pool_of(*numbers: int) -> tuple[Miner, Partitions]:
    miner = factories.miner()
    for number in numbers:
        factories.sector(miner, state="PROVING", number=number)
    return miner, Partitions({miner.address: set(numbers)})


def test_activation_fault_and_reorganisation_are_followed() -> None:
    miner, chain = pool_of(1, 2, 3)
    factories.sector(factories.miner(), state="PROVING", number=2)

    chain.active[miner.address] = {1, 3}
    follow([miner], chain)
    assert active_of(miner) == {1, 3}
    assert Sector.objects.get(miner=miner, number=1).active_since == NOON

    chain.active[miner.address] = {2, 3}
    follow([miner], chain, height=1001)
    assert active_of(miner) == {2, 3}

    chain.active[miner.address] = {1, 3}
    follow([miner], chain, height=1001)
    assert active_of(miner) == {1, 3}
    assert Sector.objects.filter(active=True).count() == 2


def test_pieces_follow_their_sectors_out_of_power_and_back() -> None:
    miner, chain = pool_of(1, 2, 3)
    rows = {
        number: factories.piece(miner, state=state, sector_number=number, offset=0)
        for number, state in {1: "ACTIVE", 2: "ACTIVE", 3: "ENDED"}.items()
    }

    def states() -> list[str]:
        return [Piece.objects.get(pk=row.pk).state for row in rows.values()]

    chain.active[miner.address] = {1, 2}
    follow([miner], chain)
    assert states() == ["ACTIVE", "ACTIVE", "ENDED"]
    chain.active[miner.address] = {1, 3}
    follow([miner], chain, height=1001)
    assert states() == ["ACTIVE", "ACTIVE", "PACKED"], "it may be faulty alone"
    Piece.objects.update(state="ACTIVE")
    follow([miner], chain, height=1000 + PERIOD)
    assert states() == ["ACTIVE", "PACKED", "ACTIVE"]


def test_unchanged_roots_cost_no_call_and_two_queries() -> None:
    miners, chain = [], Partitions()
    for _ in range(3):
        miner, its = pool_of(1, 2)
        miners.append(miner)
        chain.active |= its.active
    follow(miners, chain)
    chain.calls.clear()

    with CaptureQueriesContext(connection) as seen:
        follow([], chain, height=1001)

    assert chain.calls == []
    asked = [query["sql"] for query in seen.captured_queries]
    assert len([sql for sql in asked if "roots" in sql or "sectors_" in sql]) == 2
    assert not [sql for sql in asked if '"sectors_sector"' in sql]


@pytest.mark.parametrize(("tells_each", "read"), [(True, [1]), (False, list(range(DEADLINES)))])
def test_only_deadlines_that_moved_are_read(tells_each: bool, read: list[int]) -> None:
    miner, chain = pool_of(1, 2)
    chain.tells_each = tells_each
    factories.sector(miner, state="PROVING", number=7)
    follow([miner], chain)
    chain.calls.clear()
    chain.beside[miner.address] = {7}

    follow([miner], chain, height=1001)

    assert active_of(miner) == {1, 2, 7}
    assert chain.calls == [("StateMinerPartitions", at) for at in read]


def test_a_sector_that_moved_to_another_deadline_stays_active() -> None:
    miner, chain = pool_of(1, 2)
    follow([miner], chain)
    chain.active[miner.address], chain.beside[miner.address] = {1}, {2}

    follow([miner], chain, height=1001)

    assert active_of(miner) == {1, 2}


def test_change_names_only_changed_sectors_to_the_database() -> None:
    miner, chain = pool_of(*range(1000, 1050))
    follow([miner], chain)
    chain.active[miner.address].remove(1007)

    with CaptureQueriesContext(connection) as seen:
        follow([miner], chain, height=1001)

    said = " ".join(query["sql"] for query in seen.captured_queries)
    named = re.findall(r'"(?:sector_)?number" (?:= |IN \()([\d, ]+)', said)
    assert active_of(miner) == set(range(1000, 1050)) - {1007}
    assert set(named) == {"1007"}


def test_all_rows_are_compared_once_a_period_each_miner_at_another_head() -> None:
    miners, chain = [], Partitions()
    for _ in range(3):
        miner, its = pool_of(1)
        miners.append(miner)
        chain.active |= its.active
    follow(miners, chain)
    Sector.objects.update(active=False)  # by a hand in the database

    mended = []
    for step in range(1, PERIOD + 1):
        before = [active_of(miner) for miner in miners]
        follow(miners, chain, height=1000 + step)
        mended += [step for was, miner in zip(before, miners, strict=True) if was != active_of(miner)]

    assert [active_of(miner) for miner in miners] == [{1}] * 3
    assert len(set(mended)) == 3


def test_refused_miner_stops_no_other_and_is_read_again() -> None:
    good, chain = pool_of(1)
    bad, its = pool_of(2)
    chain.active |= its.active
    chain.refused.add(bad.address)

    follow([bad, good], chain)
    assert (active_of(bad), active_of(good)) == (set(), {1})
    assert ActiveSectors.objects.count() == 1

    chain.refused.clear()
    follow([bad, good], chain, height=1001)
    assert active_of(bad) == {2}


def test_missing_deadlines_are_read_for_proven_sectors_only() -> None:
    miner, chain = pool_of(4)
    factories.sector(miner, state="PROVING", number=5, deadline=9, partition=9)
    factories.sector(miner, state="COMMIT_SENT", number=6)
    work = SealingContext(
        client=chain,  # type: ignore[arg-type]  # stands where the client is
        network=NETWORK,
        head=factories.head(),
        now=NOON,
        policy=SealingPolicy(),
    )

    deadlines_fill(work)

    rows = dict(Sector.objects.values_list("number", "deadline"))
    assert rows == {4: 4, 5: 9, 6: None}
    assert chain.calls == [("StateSectorPartition", 4)]


@pytest.mark.parametrize("is_compared", [False, True])
def test_a_comparison_that_is_wanted_meanwhile_is_still_made(
    monkeypatch: pytest.MonkeyPatch, is_compared: bool
) -> None:
    miner, chain = pool_of(1, 2)
    follow([miner], chain)
    chain.active[miner.address] = {1}
    name = "_all_fields" if is_compared else "active_fields"
    ask = getattr(active, name)

    def asked(*given: Any) -> Any:
        ActiveSectors.objects.update(compared_height=None)  # rows were written
        return ask(*given)

    monkeypatch.setattr(active, name, asked)
    follow([miner], chain, height=1000 + (PERIOD if is_compared else 1))

    assert active_of(miner) == {1}
    assert ActiveSectors.objects.get().compared_height is None
    monkeypatch.undo()
    follow([miner], chain, height=1002 + PERIOD)
    assert ActiveSectors.objects.get().compared_height is not None


def test_a_comparison_locks_the_miner_before_its_sectors() -> None:
    miner, chain = pool_of(1, 2)
    with CaptureQueriesContext(connection) as seen:
        follow([miner], chain)

    told = [one["sql"] for one in seen]
    [sectors] = [at for at, sql in enumerate(told) if sql.startswith('UPDATE "sectors_sector"')]
    assert all(at < sectors for at, sql in enumerate(told) if sql.startswith('UPDATE "miners_miner"'))
