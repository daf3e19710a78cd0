"""Which pieces go into committed sectors by themselves: one that cannot go holds up no other."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, cast
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.chain.errors import NetworkUnknown
from apps.chain.models import Head
from apps.pieces.data.files import piece_path
from apps.sectors.errors.changes import ChangeRefused
from apps.sectors.errors.runs import NoPieces, NotCommittedCapacity
from apps.sectors.models import PipelineRun, Sector, SectorChange, Worker
from apps.sectors.rules.policy import SealingPolicy
from apps.sectors.selectors.change_prices import ChangeRequest, SectorPrice
from apps.sectors.selectors.sealing_context import SealingContext
from apps.sectors.services.batches.settings import batch_settings_set
from apps.sectors.services.changes import steps
from apps.sectors.services.changes.plans import ChangePlan, changes_plan
from apps.sectors.services.changes.steps import changes_request
from apps.sectors.services.runs import snap_up
from apps.sectors.services.runs.piece_choice import pieces_choose
from apps.sectors.services.runs.snap_up import snap_up_begin
from apps.sectors.services.runs.snap_up_due import MISFITS_MAX, pieces_snap
from poolsite.filecoin.sha254 import sha254_zero
from poolsite.wire.commands import Operation
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline.changes import ChangeKind
from tests import factories, people
from tests.query_plans import plans_watched
from tests.unit.apps.sectors.sealing import DIGEST, NOON
from tests.unit.apps.sectors.snap_up import HEIGHT, NETWORK, Registry

pytestmark = pytest.mark.django_db


@pytest.fixture
def miner(settings: Any, tmp_path: Any) -> Any:
    """With a committed sector and a host that can encode."""
    settings.PIECES_DIR = str(tmp_path)
    of = factories.miner()
    factories.worker(stores=["store"], kinds=[JobKind.SEAL, JobKind.SNAP_UP])
    factories.sector(
        of,
        number=7,
        state="PROVING",
        active=True,
        expiration=HEIGHT + 50_000,
        deadline=NETWORK.proving.deadlines // 2,
        ticket=DIGEST,
        comm_r=DIGEST[:31] + b"\0",
        comm_d=sha254_zero(of.sector_size),
        store="store",
    )
    return of


def waiting(of: Any, chain: Registry, **data: Any) -> Any:
    """A piece that is due; `terms` are what is peculiar to its allocation."""
    terms = data.pop("terms", None)
    row = factories.stored_piece(of, **{"purpose": "snap-up", "state_since": NOON, **data})
    type(row).objects.filter(pk=row.pk).update(state_since=NOON.replace(hour=1))
    if terms is not None:
        known = {"Provider": of.actor_id, "Data": {"/": row.piece_cid}, "Size": row.padded_size}
        life = {"Expiration": HEIGHT + 500, "TermMin": 1, "TermMax": 10**7}
        chain.allocations[data["allocation"]] = known | life | terms
    return row


def facts(row: Sector) -> dict[str, Any]:
    """The columns of a sector, but for its key."""
    return {field.attname: getattr(row, field.attname) for field in Sector._meta.concrete_fields[1:]}


def snapped(chain: Registry, *pieces: Any, height: int = HEIGHT) -> list[str]:
    """States of pieces after a pass."""
    head = factories.head(height)
    client, policy = cast("Any", chain), SealingPolicy()
    pieces_snap(SealingContext(client=client, network=NETWORK, head=head, now=NOON, policy=policy))
    for piece in pieces:
        piece.refresh_from_db()
    return [piece.state for piece in pieces]


def first(of: Any) -> None:
    """Have pieces go into committed sectors."""
    batch_settings_set(of, values={"snap_up_first": True}, by=people.principal())


def test_a_piece_whose_time_has_passed_holds_up_no_other(miner: Any) -> None:
    first(miner)
    chain = Registry()
    late = waiting(miner, chain, start_epoch=HEIGHT - 1)
    over = waiting(miner, chain, client=9, allocation=3, terms={"Expiration": HEIGHT})
    good = waiting(miner, chain)

    assert snapped(chain, late, over, good) == ["FAILED", "FAILED", "PACKED"]
    assert "epoch 999, which has passed" in late.error
    assert "allocation 3 of f09 expired" in over.error
    assert (PipelineRun.objects.count(), good.sector_number) == (1, 7)


def test_a_piece_that_this_sector_cannot_hold_stays_behind(miner: Any) -> None:
    first(miner)
    chain = Registry()
    short = waiting(miner, chain, client=9, allocation=3, terms={"TermMax": 10})
    untold = waiting(miner, chain, client=9, allocation=4)
    good = waiting(miner, chain)

    assert snapped(chain, short, untold, good) == ["READY", "READY", "PACKED"]


def test_bytes_that_are_gone_go_into_no_committed_sector(miner: Any) -> None:
    chain = Registry()
    lost = waiting(miner, chain)
    piece_path(lost).unlink()
    work = SealingContext(
        client=cast("Any", chain), network=NETWORK, head=factories.head(), now=NOON, policy=SealingPolicy()
    )

    with pytest.raises(NoPieces, match="send them again"):
        snap_up_begin(Sector.objects.get(), by=people.principal(), work=work)
    assert snapped(chain, lost) == ["READY"]
    assert lost.error.endswith("send them again")

    piece_path(lost).write_bytes(bytes(100))
    assert snapped(chain, lost, height=HEIGHT + 1) == ["READY"]
    assert lost.error == "", "it waits for a snap-up"
    first(miner)
    piece_path(lost).unlink()
    good = waiting(miner, chain)
    assert snapped(chain, lost, good, height=HEIGHT + 2) == ["READY", "PACKED"]


@pytest.mark.parametrize(("spare", "state"), [(-1, "READY"), (0, "PACKED")])
def test_a_term_outlasts_the_time_that_an_update_takes(miner: Any, spare: int, state: str) -> None:
    first(miner)
    least = 50_000 - NETWORK.proving.period - spare
    piece = waiting(miner, chain := Registry(), client=9, allocation=3, terms={"TermMin": least})

    assert snapped(chain, piece) == [state]


@pytest.mark.parametrize(
    "full",
    [
        {"comm_d": DIGEST, "pieces": [{"size": 128, "comm_p": "00", "payload": 100}]},
        {"deadline": 0},
        {"store": "away"},
    ],
    ids=["holds data", "deadline closed", "store away"],
)
def test_sectors_that_take_no_data_hide_none_that_does(miner: Any, full: dict[str, Any]) -> None:
    first(miner)
    [empty] = Sector.objects.values("ticket", "comm_r", "comm_d", "store", "deadline", "state", "active")
    for _ in range(20):
        factories.sector(miner, **{**empty, "expiration": HEIGHT + 90_000, **full})
    chain = Registry()
    piece = waiting(miner, chain)

    assert snapped(chain, piece) == ["PACKED"]
    assert piece.sector_number == 7


def test_sectors_that_await_a_removal_hide_none_that_takes_data(miner: Any) -> None:
    first(miner)
    [empty] = Sector.objects.values("ticket", "comm_r", "comm_d", "store", "deadline", "state", "active")
    orders = Worker.objects.get().commands
    for _ in range(20):
        longer: dict[str, Any] = {**empty, "expiration": HEIGHT + 90_000}
        row = factories.sector(miner, **longer)
        args = {"uid": "u", "miner_id": str(miner.actor_id), "number": str(row.number)}
        orders.create(op=Operation.REMOVE_LEFTOVER, args=args)
    chain = Registry()
    piece = waiting(miner, chain)

    assert snapped(chain, piece) == ["PACKED"]
    assert piece.sector_number == 7


def test_pieces_of_a_short_term_go_into_a_sector_that_ends_sooner(miner: Any) -> None:
    first(miner)
    [empty] = Sector.objects.values("ticket", "comm_r", "comm_d", "store", "deadline", "state", "active")
    for later in range(20):
        longer: dict[str, Any] = {**empty, "expiration": HEIGHT + 90_000 + later}
        factories.sector(miner, **longer)
    chain = Registry()
    short = waiting(miner, chain, client=9, allocation=3, terms={"TermMax": 10})
    piece = waiting(miner, chain, client=9, allocation=4, terms={"TermMax": 60_000})

    assert snapped(chain, short, piece) == ["READY", "PACKED"]
    assert piece.sector_number == 7


def _counted(method: Callable[..., Any], name: str, calls: list[str]) -> Callable[..., Any]:
    """Return a method that notes its calls."""

    def counted(*of: Any) -> Any:
        calls.append(name)
        return method(*of)

    return counted


def test_pieces_that_fit_nowhere_cost_a_head_little_and_hide_no_other(
    miner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first(miner)
    chain, calls = Registry(), list[str]()
    for name in ("call", "state_miner_proving_deadline"):
        monkeypatch.setattr(chain, name, _counted(getattr(chain, name), name, calls))
    full = {"client": 9, "padded_size": miner.sector_size}
    for allocation in range(20):
        waiting(miner, chain, allocation=allocation, terms={"TermMax": 49_000 + allocation}, **full)
    good = waiting(miner, chain, allocation=20, terms={}, **full)

    for height in range(HEIGHT, HEIGHT + 6):
        calls.clear()
        state = snapped(chain, good, height=height)
        assert calls.count("call") <= 2 * 21 + 3 * MISFITS_MAX
        assert calls.count("state_miner_proving_deadline") == 1
        if state == ["PACKED"]:
            break
    assert good.sector_number == 7


def test_a_head_reads_no_more_rows_the_more_sectors_hold_data(miner: Any) -> None:
    first(miner)
    Sector.objects.all().delete()
    held = factories.sector(
        miner, state="PROVING", active=True, comm_d=DIGEST, expiration=HEIGHT + 90_000, store="store"
    )
    Sector.objects.bulk_create(
        Sector(**{**facts(held), "number": number, "uuid": uuid4()}) for number in range(1_000, 2_000)
    )
    chain = Registry()
    piece = waiting(miner, chain)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE sectors_sector")

    with plans_watched("sectors_sector") as watched:
        assert snapped(chain, piece) == ["READY"]

    assert watched.most["sectors_sector"][0] < 10


@pytest.mark.parametrize(("later", "state"), [(0, "PACKED"), (1, "READY")])
def test_a_piece_whose_deal_ends_after_the_sector_stays_behind(miner: Any, later: int, state: str) -> None:
    first(miner)
    chain = Registry()
    piece = waiting(miner, chain, deal=5)
    proposal = {"Provider": f"f0{miner.actor_id}", "PieceCID": {"/": piece.piece_cid}, "PieceSize": 128}
    ends = HEIGHT + 50_000 + later
    chain.deals[5] = {"Proposal": {**proposal, "StartEpoch": HEIGHT + 500, "EndEpoch": ends}}

    assert snapped(chain, piece) == [state]

    assert (piece.end_epoch, piece.terms_epoch) == (ends, HEIGHT + 500)


def test_where_snap_ups_are_begun_by_hand_ended_pieces_end_too(miner: Any) -> None:
    chain = Registry()
    late = waiting(miner, chain, start_epoch=HEIGHT)
    good = waiting(miner, chain)
    other = waiting(miner, chain, start_epoch=HEIGHT, purpose="any")

    assert snapped(chain, late, good, other) == ["FAILED", "READY", "READY"], "new sectors look at the last"
    assert not PipelineRun.objects.exists()


@pytest.mark.parametrize(("expiration", "state"), [(HEIGHT + 2, "PACKED"), (HEIGHT + 3, "READY")])
def test_a_piece_waits_for_no_other_once_its_allocation_ends_soon(
    miner: Any, expiration: int, state: str
) -> None:
    batch_settings_set(
        miner,
        values={"snap_up_first": True, "pack_wait_s": 86_400, "pack_start_slack_epochs": 2},
        by=people.principal(),
    )
    chain = Registry()
    piece = waiting(miner, chain, client=9, allocation=3, terms={"Expiration": expiration})

    assert snapped(chain, piece) == [state]

    assert (piece.terms_epoch, piece.last_epoch) == (expiration, expiration)


def test_an_allocation_that_no_node_tells_of_is_asked_for_again(miner: Any) -> None:
    first(miner)
    chain = Registry()
    piece = waiting(miner, chain, client=9, allocation=4)
    assert snapped(chain, piece) == ["READY"]
    assert piece.terms_epoch is None
    known = {"Provider": miner.actor_id, "Data": {"/": piece.piece_cid}, "Size": piece.padded_size}
    chain.allocations[4] = known | {"Expiration": HEIGHT + 500, "TermMin": 1, "TermMax": 10**7}

    assert snapped(chain, piece) == ["PACKED"]
    assert piece.terms_epoch == HEIGHT + 500


def test_of_many_that_wait_a_node_is_asked_in_turns(miner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.pieces.services.terms.ASKED_MAX", 2)
    chain, asked = Registry(), list[int]()
    for allocation in range(1, 6):
        terms = {"term_min": 1, "term_max": 10**7, "terms_epoch": HEIGHT + 500}
        waiting(miner, chain, client=9, allocation=allocation, terms={}, **terms)

    def call(method: str, *params: Any) -> Any:
        asked.append(params[1])
        return Registry.call(chain, method, *params)

    monkeypatch.setattr(chain, "call", call)
    for height in range(HEIGHT, HEIGHT + 3):
        count = len(asked)
        snapped(chain, height=height)
        assert len(asked) - count == 2

    assert set(asked) == {1, 2, 3, 4, 5}


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ("TERMINATE_QUEUED", "READY"),
        ("TERMINATE_SENT", "READY"),
        ("TERMINATE_FAILED", "PACKED"),
        ("EXTEND_SENT", "PACKED"),
    ],
)
def test_no_data_go_into_a_sector_that_is_to_be_terminated(miner: Any, change: str, state: str) -> None:
    first(miner)
    sector = Sector.objects.get()
    kind = change.partition("_")[0]
    SectorChange.objects.create(sector=sector, kind=kind, state=change, queued_height=900, actor="ann")
    piece = waiting(miner, chain := Registry())

    assert snapped(chain, piece) == [state]
    if state == "READY":
        work = SealingContext(cast("Any", chain), NETWORK, factories.head(HEIGHT + 1), NOON, SealingPolicy())
        with pytest.raises(NotCommittedCapacity, match="its termination is in progress"):
            snap_up_begin(sector, by=None, work=work)


def test_a_sector_into_which_data_go_is_not_terminated(miner: Any) -> None:
    first(miner)
    snapped(chain := Registry(), waiting(miner, chain))

    def refusal(kind: ChangeKind) -> str:
        plan = changes_plan(
            [Sector.objects.get()],
            request=ChangeRequest(kind=kind),
            client=cast("Any", chain),
            head=Head.objects.get(),
            network=NETWORK,
        )
        return plan.sectors[0].refusal

    assert refusal(ChangeKind.TERMINATE) == "clients' data are on their way into it: abort its snap-up first"
    PipelineRun.objects.update(state="UPDATE_LANDED")
    with pytest.raises(NetworkUnknown, match="the fee cannot be estimated"):  # it is priced
        refusal(ChangeKind.TERMINATE)


def test_a_snap_up_sees_a_termination_of_the_same_moment(miner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    sector = Sector.objects.get()
    piece = waiting(miner, chain := Registry())

    def chosen(*args: Any, **data: Any) -> Any:
        SectorChange.objects.create(
            sector=sector, kind="TERMINATE", state="TERMINATE_QUEUED", queued_height=HEIGHT, actor="ann"
        )
        return pieces_choose(*args, **data)

    monkeypatch.setattr(snap_up, "pieces_choose", chosen)
    work = SealingContext(cast("Any", chain), NETWORK, factories.head(), NOON, SealingPolicy())

    with pytest.raises(NotCommittedCapacity, match="its termination is in progress"):
        snap_up_begin(sector, among=[piece], by=None, work=work)
    assert not PipelineRun.objects.exists()


@pytest.mark.parametrize(
    ("kind", "state", "made"),
    [
        (ChangeKind.TERMINATE, "PIECES_ASSIGNED", 0),
        (ChangeKind.TERMINATE, "UPDATE_LANDED", 1),
        (ChangeKind.EXTEND, "PIECES_ASSIGNED", 1),
    ],
)
def test_a_termination_sees_a_snap_up_of_the_same_moment(
    miner: Any, monkeypatch: pytest.MonkeyPatch, kind: ChangeKind, state: str, made: int
) -> None:
    first(miner)
    snapped(chain := Registry(), waiting(miner, chain))
    PipelineRun.objects.update(state=state)
    request = ChangeRequest(kind=kind)
    plan = ChangePlan(request, HEIGHT, [SectorPrice(sector=Sector.objects.get())])
    monkeypatch.setattr(steps, "changes_plan", lambda *_, **__: plan)
    named: dict[str, Any] = {"client": chain, "head": Head.objects.get(), "network": NETWORK, "now": NOON}

    expected = nullcontext() if made else pytest.raises(ChangeRefused, match="changed in the meantime")
    with expected, CaptureQueriesContext(connection) as seen:
        changes_request(list(Sector.objects.all()), request=request, by=people.principal(), **named)

    assert SectorChange.objects.count() == made
    locks = any('FOR UPDATE OF "sectors_sector"' in query["sql"] for query in seen.captured_queries)
    assert locks is (kind is ChangeKind.TERMINATE), "as the snap-up does"
