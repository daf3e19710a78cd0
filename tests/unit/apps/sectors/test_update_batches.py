"""Which snap-ups go to the chain: one that cannot go stops no other of its miner."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest

from apps.chain.errors import NodeRefused
from apps.messages.models import Message
from apps.miners.models import Miner
from apps.sectors.models import JobEvent, PipelineRun, Sector
from apps.sectors.reasons import SECTOR_FAULTY
from apps.sectors.rules.policy import SealingPolicy
from apps.sectors.selectors.sealing_context import SealingContext
from apps.sectors.services.batches.settings import batch_settings_set
from apps.sectors.services.runs import messages
from apps.sectors.services.runs.messages import runs_advance
from apps.sectors.services.runs.snap_up_prices import pledge_margin_add
from apps.sectors.services.runs.steps import run_begin
from apps.sectors.services.runs.update_batches import update_fail, update_push_again, updates_send
from apps.sectors.services.waiting_verdicts import waiting_verdicts_read
from poolsite.filecoin.actors.exitcodes import ExitCode
from poolsite.filecoin.actors.miner import Method
from poolsite.filecoin.deadlines import current_deadline, deadline_to_json
from poolsite.filecoin.policy import network_by_name
from poolsite.wire.jobs import JobKind
from tests import factories, people
from tests.killed_writes import Killed, kill
from tests.unit.apps.sectors.chain import SomeSectors
from tests.unit.apps.sectors.sealing import DIGEST, NOON

pytestmark = pytest.mark.django_db

NETWORK = network_by_name("localnet-poolsite-test")
HEIGHT = 1_000
COMM_R = DIGEST[:31] + b"\0"


class Chain(SomeSectors):
    """A chain whose sectors end; a node refuses the pledge of a life that is over, as lotus does."""

    def __init__(self, ends: dict[int, int], available: int = 0) -> None:
        super().__init__(proven=dict.fromkeys(ends, bytes(32)), available=available)
        self.ends = ends

    def do_StateSectorGetInfo(self, miner: str, number: int, key: Any) -> Any:
        return super().do_StateSectorGetInfo(miner, number, key) | {"Expiration": self.ends[number]}

    def do_StateSectorPartition(self, _miner: str, _number: int, _key: Any) -> Any:
        return {"Deadline": NETWORK.proving.deadlines // 2, "Partition": 0}

    def state_miner_proving_deadline(self, _miner: str, _key: str) -> Any:
        """Return the first deadline of a period that has just begun."""
        return deadline_to_json(current_deadline(HEIGHT, HEIGHT, NETWORK.proving))

    def call(self, method: str, duration: int, *_rest: Any) -> Any:
        """Return the pledge of a sector."""
        assert method == "StateMinerInitialPledgeForSector"
        if duration <= 0:
            raise NodeRefused(1, "sector duration must be positive")
        return "1000"


def stored(of: Miner, number: int, *, expiration: int) -> PipelineRun:
    """A snap-up whose replica lies in the store."""
    row = factories.sector(
        of,
        number=number,
        state="PROVING",
        active=True,
        expiration=expiration,
        comm_r=COMM_R,
        initial_pledge=1,
    )
    run = run_begin(
        row, kind=JobKind.SNAP_UP, state="SNAP_STORED", actor="ann", now=NOON, hosts=[], pieces=[]
    )
    PipelineRun.objects.filter(pk=run.pk).update(comm_r=COMM_R, proof=b"proof")
    return PipelineRun.objects.select_related("sector__miner").get(pk=run.pk)


def context(ends: dict[int, int], *, height: int = HEIGHT) -> SealingContext:
    return SealingContext(
        client=cast("Any", Chain(ends)),
        network=NETWORK,
        head=factories.head(height),
        now=NOON,
        policy=SealingPolicy(),
    )


def sent(
    of: Miner, runs: Sequence[PipelineRun], ends: dict[int, int], *, height: int = HEIGHT
) -> list[tuple[str, bool, str]]:
    """State, pause and error of each after a pass."""
    updates_send(of, runs=runs, work=context(ends, height=height))
    rows = PipelineRun.objects.order_by("sector__number")
    return [(run.state, run.paused_at is not None, run.error) for run in rows]


def test_one_whose_sector_has_expired_stops_no_other() -> None:
    of = factories.miner(worker=factories.wallet().address)
    runs = [stored(of, 7, expiration=HEIGHT - 1), stored(of, 8, expiration=9_999)]

    found = sent(of, runs, {7: HEIGHT - 1, 8: 9_999})

    assert found == [("SNAP_STORED", True, "it has expired"), ("UPDATE_SENT", False, "")]
    assert Message.objects.filter(kind="snap_up").count() == 1


def test_a_rule_that_would_hold_waiting_updates_up_is_said_before() -> None:
    of = factories.miner(worker=factories.wallet().address)
    ends = {7: HEIGHT - 1, 8: 9_999, 9: 9_999}
    for number, end in ends.items():
        stored(of, number, expiration=end)
    each = pledge_margin_add(999, work=context(ends))
    rule = factories.approval_rule(actor="miner", method=Method.PROVE_REPLICA_UPDATES3, above=2 * each)

    assert not waiting_verdicts_read(of, work=context(ends)).approval
    type(rule).objects.update(above=2 * each - 1)
    said = waiting_verdicts_read(of, work=context(ends))

    assert said.approval.startswith("miner ProveReplicaUpdates3 above")
    assert "could not be asked" in said.signer, "no signer is connected"


def test_an_update_of_a_faulty_sector_waits_and_spends_no_try() -> None:
    of = factories.miner(worker=factories.wallet().address)
    run, ends = stored(of, 7, expiration=9_999), {7: 9_999}
    Sector.objects.update(active=False)
    run.sector.refresh_from_db()

    assert sent(of, [run], ends) == [("SNAP_STORED", False, SECTOR_FAULTY())]
    assert (PipelineRun.objects.get().attempts, Message.objects.exists()) == (0, False)

    Sector.objects.update(active=True)
    run.sector.refresh_from_db()
    assert sent(of, [run], ends) == [("UPDATE_SENT", False, "")]


@pytest.mark.parametrize(
    ("code", "is_paused"),
    [
        (ExitCode.ERR_INSUFFICIENT_FUNDS, False),
        (ExitCode.SYS_ERR_OUT_OF_GAS, False),
        (ExitCode.ERR_ILLEGAL_ARGUMENT, True),
    ],
)
def test_only_an_update_that_is_itself_to_blame_is_given_up(code: int, *, is_paused: bool) -> None:
    of = factories.miner(worker=factories.wallet().address)
    run, ends = stored(of, 7, expiration=9_999), {7: 9_999}
    work = context(ends)
    cast("Any", work.client).do_StateCall = lambda *_: {"MsgRct": {"ExitCode": code}, "Error": "no"}

    for hours in range(6):
        runs_advance(replace(work, now=NOON + timedelta(hours=hours)))

    run.refresh_from_db()
    assert (run.state, run.paused_at is not None) == ("SNAP_STORED", is_paused)
    assert run.error == "the chain would refuse the update: no"
    if not is_paused:
        assert (run.attempts, run.not_before) == (0, NOON + timedelta(hours=5, seconds=10))
        assert states(sent(of, again([run]), ends)) == ["UPDATE_SENT"]


def test_one_whose_pledge_the_node_refuses_stops_no_other() -> None:
    of = factories.miner(worker=factories.wallet().address)
    runs = [stored(of, 7, expiration=HEIGHT - 1), stored(of, 8, expiration=9_999)]

    found = sent(of, runs, {7: 9_999, 8: 9_999})  # of 7 the console does not know that it was extended

    words = "the node refuses: sector duration must be positive"
    assert found == [("SNAP_STORED", False, words), ("UPDATE_SENT", False, "")]
    for run in runs:
        run.refresh_from_db()
    assert (runs[0].attempts, runs[0].not_before) == (0, NOON + timedelta(seconds=10))


def waiting(count: int, **own: int) -> tuple[Miner, list[PipelineRun], dict[int, int]]:
    """A miner with settings of its own, and snap-ups whose updates are ready."""
    of = factories.miner(worker=factories.wallet().address)
    batch_settings_set(of, values=dict(own), by=people.principal())
    of.refresh_from_db()
    runs = [stored(of, number, expiration=9_999) for number in range(7, 7 + count)]
    return of, runs, dict.fromkeys(range(7, 7 + count), 9_999)


def states(found: list[tuple[str, bool, str]]) -> list[str]:
    return [state for state, _, _ in found]


def again(runs: list[PipelineRun]) -> list[PipelineRun]:
    rows = PipelineRun.objects.select_related("sector__miner").order_by("pk")
    return [run for run in rows if run.state == "SNAP_STORED"]


def test_updates_wait_for_others_as_their_miner_says() -> None:
    of, runs, ends = waiting(3, update_batch_max=2, update_wait_epochs=5)

    assert states(sent(of, runs, ends)) == ["UPDATE_SENT", "UPDATE_SENT", "SNAP_STORED"]
    assert Message.objects.filter(kind="snap_up").count() == 1, "two fill a message"
    assert states(sent(of, again(runs), ends, height=HEIGHT + 4))[2] == "SNAP_STORED"
    assert states(sent(of, again(runs), ends, height=HEIGHT + 5))[2] == "UPDATE_SENT"
    notes = JobEvent.objects.filter(event="SEND_UPDATE").order_by("pk").values_list("note", flat=True)
    assert list(notes) == ["full", "full", "timeout"]


@pytest.mark.parametrize(
    ("available", "value", "own"),
    [(0, 2196, [0, 0]), (500, 1696, [500, 0]), (1200, 996, [1098, 102]), (5000, 0, [1098, 1098])],
)
def test_the_balance_pays_the_pledge_of_updates_first(available: int, value: int, own: list[int]) -> None:
    of, runs, ends = waiting(2, update_batch_max=2)
    needed = 999 * 110 // 100
    work = replace(context(ends), client=cast("Any", Chain(ends, available)))

    updates_send(of, runs=runs, work=work)

    [message] = Message.objects.filter(kind="snap_up")
    assert int(message.value) == value
    rows = PipelineRun.objects.order_by("sector__number")
    assert [int(row.from_balance or 0) for row in rows] == own
    assert cast("Any", work.client).values == [max(needed - available, 0)] * 2, "each is tried alone"
    [note] = set(JobEvent.objects.filter(event="SEND_UPDATE").values_list("note", flat=True))
    assert ("from the miner's balance" in note) is bool(available)


@pytest.mark.parametrize(("available", "is_again"), [(1000, True), (1098, False)])
def test_an_update_that_the_balance_pays_no_more_goes_again(available: int, is_again: bool) -> None:
    of, runs, ends = waiting(1)
    work = replace(context(ends), client=cast("Any", Chain(ends, 5000)))
    updates_send(of, runs=runs, work=work)
    Message.objects.update(state="UNFILLED", wait="ESTIMATE", nonce=None)
    later = replace(work, client=cast("Any", Chain(ends, available)), now=NOON + timedelta(minutes=1))

    runs_advance(later)
    runs_advance(replace(later, now=NOON + timedelta(hours=1)))

    values = [int(message.value) for message in Message.objects.filter(kind="snap_up").order_by("created_at")]
    assert values == ([0, 98] if is_again else [0])
    assert PipelineRun.objects.get().state == "UPDATE_SENT"


@pytest.mark.parametrize("column", ["start_epoch", "terms_epoch"])
def test_updates_wait_while_the_base_fee_is_high_until_their_data_are_due(column: str) -> None:
    of, runs, ends = waiting(2, update_base_fee_max=50)

    assert states(sent(of, runs, ends)) == ["SNAP_STORED"] * 2, "the head's base fee is 100"
    assert states(sent(of, again(runs), ends, height=HEIGHT + 500)) == ["SNAP_STORED"] * 2
    ends_soon: dict[str, Any] = {column: HEIGHT + 50}
    factories.piece(of, sector_number=8, **ends_soon)

    assert states(sent(of, again(runs), ends)) == ["UPDATE_SENT"] * 2


def numbers_sent() -> list[list[int]]:
    """Numbers of the sectors of each message, in the order of the messages."""
    rows = PipelineRun.objects.exclude(message_id="").values_list("message_id", "sector__number")
    shared: dict[str, list[int]] = defaultdict(list)
    for message, number in rows.order_by("sector__number"):
        shared[message].append(number)
    return sorted(shared.values())


def test_updates_share_messages_that_are_not_too_large() -> None:
    of, runs, ends = waiting(5)
    PipelineRun.objects.update(proof=bytes(25_000))

    sent(of, again(runs), ends)

    assert numbers_sent() == [[7, 8], [9, 10], [11]]
    assert Message.objects.filter(kind="snap_up").count() == 3
    assert max(len(row.params) for row in Message.objects.all()) < 60_000


def test_an_update_of_which_a_market_is_told_goes_alone() -> None:
    of, runs, ends = waiting(3)
    factories.piece(of, state="PACKED", sector_number=8, offset=0, deal=5)

    sent(of, runs, ends)

    assert numbers_sent() == [[7, 9], [8]]


def test_an_update_too_large_for_any_message_says_so() -> None:
    of, runs, ends = waiting(1)
    PipelineRun.objects.update(proof=bytes(70_000))

    sent(of, again(runs), ends)

    [run] = PipelineRun.objects.select_related("sector__miner")
    assert (run.state, Message.objects.count()) == ("UPDATE_SENT", 0)
    assert "message too large" in update_push_again(run, work=context(ends))


def test_a_lost_update_is_pushed_as_its_miner_says() -> None:
    of, runs, ends = waiting(1, send_funds=False)
    sent(of, runs, ends)
    Message.objects.all().delete()  # the messager was restored to an earlier state

    [run] = PipelineRun.objects.select_related("sector__miner")
    assert update_push_again(run, work=context(ends)) == ""

    assert int(Message.objects.get().value) == 0, "of 999 that its pledge grows by"


def test_an_update_fails_as_often_as_its_miner_says() -> None:
    _, [run], ends = waiting(1, attempts_max=1)

    update_fail(run, error="refused", work=context(ends))

    assert PipelineRun.objects.get().paused_at is not None


def test_a_kill_leaves_no_failed_update_without_its_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    of, runs, ends = waiting(1)
    sent(of, runs, ends)
    Message.objects.update(state="FAILED", error="refused")
    with monkeypatch.context() as patch:
        patch.setattr(messages, "update_fail", kill)
        with pytest.raises(Killed):
            runs_advance(context(ends))
    assert PipelineRun.objects.get().state == "UPDATE_SENT"

    runs_advance(context(ends))

    [run] = PipelineRun.objects.all()
    assert (run.state, run.attempts, run.not_before) == ("SNAP_STORED", 1, NOON + timedelta(seconds=10))
