"""Files of ended sectors: a node that does not answer for one says nothing of its end."""

from __future__ import annotations

from typing import Any, cast

import pytest

from apps.chain.errors import NodeRefused
from apps.sectors.models import Job, Sector, StoreMove
from apps.sectors.rules.policy import SealingPolicy
from apps.sectors.selectors.sealing_context import SealingContext
from apps.sectors.services.stores.file_removals import removals_plan
from poolsite.filecoin.policy import network_by_name
from tests import factories
from tests.unit.apps.sectors.chain import SomeSectors
from tests.unit.apps.sectors.sealing import NOON

pytestmark = pytest.mark.django_db

NETWORK = network_by_name("localnet-poolsite-test")


class Chain(SomeSectors):
    """A chain that lists every sector, behind a node that says something of one's place."""

    place: Any = None

    def state_miner_sectors(self, _miner: str, _wanted: Any, _key: str) -> list[dict[str, Any]]:
        """Return the information of the only sector."""
        return [{"SectorNumber": 7}]

    def do_StateSectorPartition(self, _miner: str, _number: int, _key: Any) -> Any:
        return self.place


def expired(**data: Any) -> Sector:
    """A sector that expired long ago; a host has its files."""
    of = factories.miner()
    row = factories.sector(of, number=7, state="PROVING", expiration=100, **data)
    Job.objects.filter(sector=row).update(sticky_worker=factories.worker())
    return Sector.objects.select_related("miner").get(pk=row.pk)


def refusal(row: Sector, place: Any) -> str:
    """Why its files stay; empty if they may go."""
    chain = Chain()
    chain.place = place
    work = SealingContext(
        client=cast("Any", chain),
        network=NETWORK,
        head=factories.head(100_000),
        now=NOON,
        policy=SealingPolicy(),
    )
    [plan] = removals_plan([row], work=work)
    return plan.refusal


def test_files_go_where_the_node_says_that_the_sector_has_no_place() -> None:
    assert not refusal(expired(), NodeRefused(1, "sector 7 not due at any deadline"))


@pytest.mark.parametrize(
    "place", [NodeRefused(1, "load state tree: block not found"), {"Deadline": 0, "Partition": 0}]
)
def test_files_stay_where_the_node_has_no_answer(place: Any) -> None:
    with pytest.raises(NodeRefused):
        refusal(expired(), place)


def test_files_of_an_active_sector_stay() -> None:
    no_place = NodeRefused(1, "sector 7 not due at any deadline")

    assert refusal(expired(active=True), no_place) == "it was active on chain a moment ago"


def test_files_of_a_sector_that_moves_stay() -> None:
    row, no_place = expired(), NodeRefused(1, "sector 7 not due at any deadline")
    worker = factories.worker("mover")
    ways = {"from_store": factories.store(worker, "a"), "to_store": factories.store(worker, "b")}
    StoreMove.objects.create(sector=row, worker=worker, state="COPYING", actor="ann", **ways)

    assert refusal(row, no_place) == "it is being moved to another store: cancel that first"
