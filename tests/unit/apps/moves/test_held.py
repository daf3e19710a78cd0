"""What another program has is left to it: windows, declarations, blocks and numbers, to the very height."""

from __future__ import annotations

from typing import Any, cast

import pytest
from django.db import connection

from apps.blocks.selectors.miners_without_rounds import miners_unbegun
from apps.blocks.selectors.mining_status import mining_status
from apps.blocks.services.mining import mining_set
from apps.core import clock
from apps.core.errors import Conflict
from apps.miners.errors import MinerNotReady
from apps.miners.models import Miner
from apps.moves.rules.steps import Direction
from apps.moves.services.heights import miner_move_in, miner_move_out, move_cancel
from apps.proving.due import POSTS, REFRESH
from apps.proving.models import Deadline, Recovery, WindowPost
from apps.proving.rules.proving_context import ProvingContext
from apps.proving.services.fault_declarations import declarations_begin
from apps.proving.services.forecast import forecasts_follow
from apps.proving.services.recovery_schedule import recoveries_begin
from apps.proving.services.windows import posts_schedule, windows_open
from apps.proving.states import Forecast
from apps.sectors.errors.numbers import NumbersElsewhere
from apps.sectors.models import Sector, SectorNumbers
from apps.sectors.services.numbers import numbers_allocate
from apps.sectors.services.reservations import sectorid_import
from apps.sectors.services.sealing.pledge import pledge_create
from apps.users.models import AuditEntry
from apps.users.rules.principals import SYSTEM
from apps.users.services.grants import miner_grant
from poolsite.filecoin.deadlines import current_deadline
from poolsite.filecoin.policy import network_by_name
from tests import factories
from tests.unit.apps.moves.moving import HEIGHT, chain_served, moving, signed_for, steps
from tests.unit.apps.proving.chain import OneDeadline
from tests.unit.apps.proving.rescues import faulty, look
from tests.unit.apps.sectors.sealing import NOON

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("time_stands_still")]
NETWORK = network_by_name("localnet-poolsite-test")


def at(height: int) -> ProvingContext:
    """One pass at a height, that asks no node."""
    return ProvingContext(
        client=cast("Any", None), network=NETWORK, head=factories.head(height), now=clock.now()
    )


@pytest.mark.parametrize(
    ("start", "until", "ours"),
    [
        (None, None, [999, 1000, 1001]),
        (None, 0, []),
        (1000, None, [1000, 1001]),
        (None, 1000, [999]),
        (1000, 1001, [1000]),
    ],
)
def test_a_miner_is_the_pools_between_two_heights(
    start: int | None, until: int | None, ours: list[int]
) -> None:
    miner = Miner(works_from=start, works_until=until)

    assert [height for height in (999, 1000, 1001) if miner.works_at(height)] == ours
    assert miner.is_held == (until == 0)


@pytest.mark.parametrize(("heights", "opened"), [({}, [960, 970]), ({"works_until": 970}, [960])])
def test_windows_of_another_program_are_not_proven(heights: dict[str, Any], opened: list[int]) -> None:
    miner = factories.miner(proving_period_start=960, **heights)

    assert [window.open for window in windows_open(miner, context=at(969))] == opened


@pytest.mark.parametrize(("heights", "opened"), [({"works_from": 970}, [970]), ({"works_from": 971}, [])])
def test_windows_from_the_height_on_are_proven(heights: dict[str, Any], opened: list[int]) -> None:
    miner = factories.miner(proving_period_start=960, **heights)

    assert [window.open for window in windows_open(miner, context=at(969))] == opened


def test_a_proof_is_not_begun_where_the_height_came_meanwhile() -> None:
    miner, chain = factories.miner(proving_period_start=960), OneDeadline()
    window = current_deadline(960, 961, NETWORK.proving)
    Miner.objects.filter(pk=miner.pk).update(works_until=960)

    assert posts_schedule(miner, windows=[window], context=look(chain)) == 0
    Miner.objects.filter(pk=miner.pk).update(works_until=961)
    assert posts_schedule(miner, windows=[window], context=look(chain)) == 1
    assert WindowPost.objects.count() == 1


def due(question: str, height: int) -> bool:
    """Return whether a head finds work."""
    with connection.cursor() as cursor:
        cursor.execute("PREPARE asked(bigint, timestamptz, bigint) AS SELECT EXISTS (" + question + ")")
        cursor.execute("EXECUTE asked(%s, now(), 20)", [height])
        found = bool(cursor.fetchone()[0])
        cursor.execute("DEALLOCATE asked")
    return found


@pytest.mark.parametrize(
    ("heights", "is_due"),
    [({}, True), ({"works_until": 0}, False), ({"works_from": 961}, False), ({"works_from": 960}, True)],
)
def test_a_head_finds_no_work_in_windows_of_another_program(heights: dict[str, Any], is_due: bool) -> None:
    miner = factories.miner(proving_period_start=960, **heights)
    factories.deadline(miner, 0, live=1)

    assert due(POSTS, 961) == is_due


def test_the_forecast_says_whose_a_window_is_and_rests_there() -> None:
    miner = moving()
    factories.worker("prover-1", kinds=["window_post"])

    def forecasts() -> set[str]:
        """Judge and return what stands there."""
        forecasts_follow([Miner.objects.get()], context=at(HEIGHT), written=[])
        return set(Deadline.objects.values_list("forecast", flat=True))

    assert forecasts() == {Forecast.ELSEWHERE}
    assert not due(REFRESH, HEIGHT)
    assert "until a height is set" in Deadline.objects.values_list("reason", flat=True)[0]

    Miner.objects.update(works_from=1010, works_until=None)
    assert due(REFRESH, HEIGHT)
    assert forecasts() == {Forecast.ELSEWHERE, Forecast.LATER}
    assert not due(REFRESH, HEIGHT)
    assert Deadline.objects.get(index=4).reason == "the pool proves windows from height 1010 on"

    Miner.objects.filter(pk=miner.pk).update(works_until=1030)
    forecasts()
    assert Deadline.objects.get(index=1).reason == "another program proves windows from height 1030 on"


@pytest.mark.parametrize(("heights", "count"), [({}, 1), ({"works_until": 0}, 0)])
def test_sectors_of_another_programs_window_are_not_declared_recovered(
    heights: dict[str, Any], count: int
) -> None:
    miner = factories.miner(proving_period_start=960, worker=factories.wallet().address, **heights)
    faulty(miner)

    recoveries_begin(miner, context=look(OneDeadline()))

    assert Recovery.objects.count() == count


@pytest.mark.parametrize(("heights", "declared"), [({}, [1]), ({"works_until": 0}, [])])
def test_sectors_of_another_programs_window_are_not_declared_faulty(
    heights: dict[str, Any], declared: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    miner = factories.miner(proving_period_start=960, **heights)
    deadline = factories.deadline(miner, 1, live=1, cutoff_epoch=966)
    deadline.miner.sector_checks.create(
        number=7, deadline_index=1, is_good=False, bad_times=2, height=961, checked_at=clock.now()
    )
    found: list[int] = []
    monkeypatch.setattr(
        "apps.proving.services.fault_declarations.declaration_decide",
        lambda row, **_named: found.append(row.index),
    )

    declarations_begin(at(961))

    assert found == declared


def test_no_round_is_missed_where_another_program_makes_the_blocks() -> None:
    miner = moving(qa_power=1 << 40, has_min_power=True)
    miner_grant(tenant=miner.tenant, actor_id=1000)
    factories.sector(miner, state="PROVING", active=True, active_since=clock.now().replace(year=2020))

    assert miners_unbegun([miner], since_epoch=990, now=clock.now()) == []
    assert mining_status(miner, now=clock.now()).why_not == "elsewhere"

    miner.works_until = None
    assert miners_unbegun([miner], since_epoch=990, now=clock.now()) == [miner]
    assert mining_status(miner, now=clock.now()).why_not == "not_begun"


def test_blocks_are_not_started_before_the_height() -> None:
    miner = moving()
    miner_grant(tenant=miner.tenant, actor_id=1000, open_mining=False)

    for heights in ((None, 0), (1002, None), (None, 1001)):
        miner.works_from, miner.works_until = heights
        with pytest.raises(Conflict, match="if both did, the miner would be slashed"):
            mining_set(miner, is_on=True, principal=SYSTEM)
    miner.works_from, miner.works_until = 1001, None
    assert mining_set(miner, is_on=True, principal=SYSTEM)
    miner.works_until = 0
    assert mining_set(miner, is_on=False, principal=SYSTEM), "it can be stopped at any time"


def test_numbers_stay_with_the_other_program_once_a_height_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    chain_served(monkeypatch)
    miner = moving()
    signed_for(miner)

    miner_move_in(miner, height=1010, by=SYSTEM)

    miner = Miner.objects.select_related("tenant").get(pk=miner.pk)
    assert not miner.is_held
    with pytest.raises(NumbersElsewhere):
        numbers_allocate(miner, count=1, now=NOON, allocated=[])
    assert steps(miner, Direction.IN)["numbers"].state == "to_do"


def test_numbers_leave_with_the_height_and_come_back_by_a_person_only() -> None:
    miner = moving(works_until=None)
    signed_for(miner)
    assert numbers_allocate(miner, count=2, now=NOON, allocated=[]) == [0, 1]

    miner_move_out(miner, height=1005, by=SYSTEM)
    factories.head(1006)
    miner_move_in(miner, height=1010, by=SYSTEM)

    with pytest.raises(NumbersElsewhere):
        numbers_allocate(miner, count=1, now=NOON, allocated=[])
    assert sectorid_import(miner, number=41, principal=SYSTEM) == 42
    given = AuditEntry.objects.get(action="sector.numbers-export")
    assert (given.target, given.after) == ("f01000", {"sectorid": 2})


@pytest.mark.parametrize(("start", "until"), [(None, 0), (None, 1010), (HEIGHT + 2, None)])
def test_no_sector_is_begun_that_another_program_would_have_to_prove(
    start: int | None, until: int | None
) -> None:
    miner = moving(works_from=start, works_until=until)
    sectorid_import(miner, number=41, principal=SYSTEM)

    with pytest.raises(MinerNotReady, match="another program proves f01000, or will"):
        pledge_create(miner, count=1, actor="ann", now=NOON)

    assert SectorNumbers.objects.get().next_number == 42
    Miner.objects.update(works_from=HEIGHT + 1, works_until=None)
    pledge_create(miner, count=1, actor="ann", now=NOON)
    assert Sector.objects.get().number == 42


def test_a_cancelled_move_in_leaves_the_numbers_to_the_other_program() -> None:
    miner = moving()
    signed_for(miner)
    sectorid_import(miner, number=41, principal=SYSTEM)
    miner_move_in(miner, height=1010, by=SYSTEM)
    assert numbers_allocate(miner, count=1, now=NOON, allocated=[]) == [42]

    move_cancel(miner, by=SYSTEM)

    with pytest.raises(NumbersElsewhere):
        numbers_allocate(miner, count=1, now=NOON, allocated=[])
    assert SectorNumbers.objects.get().next_number == 43


def test_numbers_of_a_held_miner_come_once_they_are_taken_over() -> None:
    miner = moving()

    for _ in range(2):
        with pytest.raises(NumbersElsewhere):
            numbers_allocate(miner, count=1, now=NOON, allocated=[])
    assert sectorid_import(miner, number=41, principal=SYSTEM) == 42
    assert numbers_allocate(miner, count=1, now=NOON, allocated=[]) == [42]
    assert SectorNumbers.objects.get().exported_at is None
