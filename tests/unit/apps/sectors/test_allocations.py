"""Which allocations are for the pool's miners, and whether their data are here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from apps.chain.errors import NodeAnswerTooLarge, NodeRefused, NodeUnavailable
from apps.core.errors import BadValue
from apps.pieces.models import Piece
from apps.sectors.errors.verified import AllocationUnknown
from apps.sectors.models import Allocation, AllocationsRead
from apps.sectors.selectors.allocations import (
    AllocationFilters,
    allocation_get,
    allocation_state,
    allocations_pieces,
    allocations_visible,
)
from apps.sectors.services.verified.allocations import ALL_AGAIN, EVERY, SHARE, allocations_follow
from apps.sectors.states import AllocationState
from poolsite.wire.jsonrpc.messages import CODE_NO_METHOD
from tests import factories, people, verified_rows
from tests.unit.apps.sectors.sealing import NOON

pytestmark = pytest.mark.django_db

CID = factories.piece_cid(1)
NO_METHOD = NodeRefused(CODE_NO_METHOD, "method 'Filecoin.StateGetAllAllocations' not found")


def told(provider: int, *, client: int = 9, **changes: Any) -> dict[str, Any]:
    """An allocation as lotus writes it."""
    return {
        "Client": client,
        "Provider": provider,
        "Data": {"/": CID},
        "Size": 1024,
        "TermMin": 518_400,
        "TermMax": 1_555_200,
        "Expiration": 5_000,
    } | changes


class Registry:
    """A node that lists allocations."""

    def __init__(self, **rows: dict[str, Any]) -> None:
        self.rows = {number.removeprefix("n"): row for number, row in rows.items()}
        self.refusal: Exception | None = None
        """Of the list of all."""
        self.is_away = False
        self.asked: list[Any] = []

    def ask(self, read: Callable[[Any], Any], method: str, *_: Any) -> Any:
        self.asked.append(method)
        if self.is_away or self.refusal is not None:
            raise self.refusal or NodeUnavailable("away")
        return read(self.rows)

    def call_many(self, calls: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        self.asked += [params[0] for _, params in calls]
        if self.is_away:
            raise NodeUnavailable("away")
        found: list[Any] = []
        for _, params in calls:
            rows = {number: row for number, row in self.rows.items() if f"f0{row['Client']}" == params[0]}
            found.append(rows or NodeRefused(1, "actor not found"))
        return found


def follow(chain: Registry, *, at: Any = NOON) -> bool:
    head = factories.head(1000)
    return allocations_follow(client=cast("Any", chain), head=head, now=at)


def numbers() -> list[int]:
    return list(Allocation.objects.order_by("number").values_list("number", flat=True))


def test_allocations_for_our_miners_are_rows_and_no_others() -> None:
    mine = factories.miner(2001)
    chain = Registry(n4=told(2001), n5=told(9999), n6=told(2001, client=11, Size=2048))

    assert follow(chain)

    assert numbers() == [4, 6]
    row = Allocation.objects.get(number=4)
    assert (row.miner, row.client, row.piece_cid, row.size) == (mine, 9, CID, 1024)
    assert (row.term_min, row.term_max, row.expiration) == (518_400, 1_555_200, 5_000)
    read = AllocationsRead.objects.get()
    assert (read.read_at, read.height, read.is_of_all, read.error) == (NOON, 1000, True, "")


def test_rows_follow_what_the_chain_has_no_more_or_otherwise() -> None:
    factories.miner(2001)
    chain = Registry(n4=told(2001), n5=told(2001), n6=told(2001))
    assert follow(chain)
    kept = Allocation.objects.get(number=6).pk
    chain.rows = {"5": told(2001, Expiration=6_000), "6": told(2001)}

    assert follow(chain, at=NOON + EVERY)

    assert numbers() == [5, 6]
    assert Allocation.objects.get(number=5).expiration == 6_000, "a reorganisation gave its id to another"
    assert Allocation.objects.get(number=6).pk == kept


def test_it_is_read_at_intervals_and_after_a_slow_read_more_rarely(monkeypatch: pytest.MonkeyPatch) -> None:
    factories.miner(2001)
    chain = Registry()
    assert follow(chain)
    assert not follow(chain, at=NOON + EVERY - timedelta(seconds=1))
    times = iter([0.0, 60.0])
    monkeypatch.setattr("apps.sectors.services.verified.allocations.time.monotonic", lambda: next(times))

    assert follow(chain, at=NOON + EVERY)

    due = AllocationsRead.objects.get().due_at
    assert due == NOON + EVERY + SHARE * timedelta(seconds=60)


@pytest.mark.parametrize("refusal", [NO_METHOD, NodeAnswerTooLarge("too large")])
def test_where_no_node_lists_all_those_of_known_clients_are_read(refusal: Exception) -> None:
    miner = factories.miner(2001)
    verified_rows.allocation(miner, number=3, client=7)
    verified_rows.allocation(miner, number=2, client=7)
    factories.piece(miner, client=9, allocation=4)
    factories.wallet(actor_id=13)
    chain = Registry(n2=told(2001, client=7), n4=told(2001), n8=told(2001, client=55))
    chain.refusal = refusal

    assert follow(chain)

    assert numbers() == [2, 4], "3 is gone, and nobody knows client 55"
    assert chain.asked == ["StateGetAllAllocations", "f07", "f09", "f013"]
    read = AllocationsRead.objects.get()
    assert (read.is_of_all, read.clients, read.error) == (False, 3, "")
    chain.asked.clear()
    assert follow(chain, at=NOON + EVERY)
    assert "StateGetAllAllocations" not in chain.asked, "not again within a day"
    chain.refusal = None
    assert follow(chain, at=NOON + ALL_AGAIN + EVERY)
    assert numbers() == [2, 4, 8]
    assert AllocationsRead.objects.get().is_of_all


def test_a_read_that_fails_leaves_the_rows_and_says_so() -> None:
    miner = factories.miner(2001)
    verified_rows.allocation(miner, number=3)
    chain = Registry(n4=told(2001))
    chain.is_away = True

    assert follow(chain)

    assert numbers() == [3]
    read = AllocationsRead.objects.get()
    assert (read.read_at, read.error) == (None, "away")
    chain.is_away = False
    assert follow(chain, at=NOON + EVERY)
    assert (numbers(), AllocationsRead.objects.get().error) == ([4], "")
    assert chain.asked[-1] == "StateGetAllAllocations", "a node that is away has not refused the list"


def states(miner_of: str = "alice", **wanted: Any) -> list[int]:
    viewer, page = people.principal(miner_of), SimpleNamespace(clock=SimpleNamespace(epoch=1000))
    filters = AllocationFilters(wanted, allocations_visible(viewer), viewer=viewer, page=page)
    return [row.number for row in filters.rows()]


def test_an_allocation_is_here_with_its_piece_else_missing_or_expired() -> None:
    mine, other = factories.miner(2001, of="alice"), factories.miner(2002, of="bob")
    for number, end in ((1, 1001), (2, 1000), (3, 4000), (4, 4001), (5, 4002), (6, 4003)):
        verified_rows.allocation(mine, number=number, expiration=end)
    verified_rows.allocation(other, number=9, expiration=1001)
    terms = {"client": 1010, "miner_id": mine.pk}
    Piece.objects.bulk_create(
        [
            Piece(**factories.piece_fields(state="READY", allocation=3), **terms),
            Piece(**factories.piece_fields(state="FAILED", allocation=3), **terms),
            Piece(**factories.piece_fields(state="FAILED", allocation=4), **terms),
            Piece(**factories.piece_fields(state="READY", allocation=5, removal_asked_at=NOON), **terms),
            Piece(**factories.piece_fields(state="READY", allocation=6, client=99), miner_id=mine.pk),
        ]
    )

    assert states() == [2, 1, 3, 4, 5, 6]
    assert states(state="missing") == [1, 4, 5, 6]
    assert states(state="here") == [3]
    assert states(state="expired") == [2]
    assert states(client="f01010", q="4") == [4]
    assert states(q=Allocation.objects.get(number=5).piece_cid) == [5]
    assert states(state=["here", "expired"]) == [2, 3]
    assert states("bob") == [9]
    rows = list(Allocation.objects.filter(miner=mine))
    pieces = allocations_pieces(rows)
    assert {number: piece.state for number, piece in pieces.items()} == {3: "READY", 4: "FAILED"}
    found = {row.number: allocation_state(row, pieces.get(row.number), height=1000) for row in rows}
    assert [number for number, state in found.items() if state == AllocationState.MISSING] == [1, 4, 5, 6]


@pytest.mark.parametrize(
    ("wanted", "field"), [({"client": "alice"}, "client"), ({"q": "x"}, "q"), ({"state": "gone"}, "state")]
)
def test_a_filter_that_cannot_be_read_is_refused_by_name(wanted: dict[str, str], field: str) -> None:
    with pytest.raises(BadValue) as refused:
        states(**wanted)
    assert refused.value.field == field


def test_another_tenants_allocation_is_unknown() -> None:
    verified_rows.allocation(factories.miner(2002, of="bob"), number=9)

    assert allocation_get(people.principal("bob"), "9").number == 9
    for name in ("9", "10", "x", "9" * 30):
        with pytest.raises(AllocationUnknown):
            allocation_get(people.principal("alice"), name)
