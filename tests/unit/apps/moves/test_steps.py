"""Each step of a move with its state true and false, and what blocks it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F

from apps.blocks.models import Block
from apps.core import clock
from apps.gateway.models import SignerConnection
from apps.miners.models import Miner
from apps.moves.rules.steps import Direction, StepState
from apps.moves.selectors.moves import direction_of, move_of
from apps.moves.selectors.readings import MoveReadings
from apps.moves.services.heights import miner_move_in, miner_move_out
from apps.proving.models import Deadline, Partition, WindowPost
from apps.proving.states import PostState
from apps.sectors.models import SealTarget, Sector, Store
from apps.sectors.services.reservations import sectorid_export, sectorid_import
from apps.users.rules.principals import SYSTEM
from apps.users.services.grants import miner_grant
from poolsite.filecoin.amounts import FIL
from tests import factories
from tests.unit.apps.moves.moving import (
    HEIGHT,
    MovingChain,
    adopted,
    chain_served,
    counted,
    looked,
    moving,
    policy_allows,
    proving,
    signed_for,
    steps,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("time_stands_still")]


@pytest.fixture
def chain(monkeypatch: pytest.MonkeyPatch) -> MovingChain:
    return chain_served(monkeypatch)


def state(of: Miner, key: str, way: Direction = Direction.IN) -> StepState:
    return steps(of, way)[key].state


def test_keys_policy_and_funds(chain: MovingChain, monkeypatch: pytest.MonkeyPatch) -> None:
    miner = moving()
    found = steps(miner, Direction.IN)
    assert (found["keys"].state, found["policy"].state) == (StepState.TO_DO, StepState.BLOCKED)
    assert f"lotus wallet export {miner.worker}" in found["keys"].command
    assert "0 of 1 keys" in found["keys"].figure

    signed_for(miner)
    policy_allows(monkeypatch, "f02000")
    found = steps(miner, Direction.IN)
    assert (found["keys"].state, found["policy"].state) == (StepState.DONE, StepState.TO_DO)
    assert "signer policy --miner f01000" in found["policy"].command
    policy_allows(monkeypatch, "f01000")
    assert state(miner, "policy") == StepState.DONE
    assert state(miner, "funds") == StepState.DONE
    poor = factories.wallet(balance=5)
    signed_for(Miner(worker=poor.address))
    Miner.objects.update(worker=poor.address, owner=poor.address)
    assert state(miner, "funds") == StepState.TO_DO


def test_nothing_is_done_about_sectors_that_were_not_counted_yet(chain: MovingChain) -> None:
    miner = moving()
    Miner.objects.update(live_sectors=0)  # as an import writes it

    assert {state(miner, key) for key in ("rows", "files", "looks")} == {StepState.TO_DO, StepState.BLOCKED}
    assert state(miner, "rows") == StepState.TO_DO
    counted()
    assert state(miner, "rows") == StepState.DONE


def test_a_multisig_owner_and_keys_kept_elsewhere_are_not_exported(chain: MovingChain) -> None:
    cold = factories.bls(77)
    miner = moving(owner="f02001", control=[cold])
    signed_for(miner)

    found = steps(miner, Direction.IN)["keys"]
    assert found.figure == f"1 of 2 keys are held by a connected signer; not: {cold}"
    assert found.command.startswith(f"lotus wallet export {cold} ")
    assert "f02001" not in found.command, "a multisig has no key"

    Miner.objects.update(works_until=HEIGHT)
    start = steps(miner, Direction.OUT)["start"].command
    assert f"signer export {miner.worker} " in start
    assert cold not in start


def test_stores_rows_files_and_looks(chain: MovingChain) -> None:
    miner = moving()
    found = steps(miner, Direction.IN)
    assert {found[key].state for key in ("provers", "rows")} == {StepState.TO_DO}
    assert {found[key].state for key in ("files", "looks", "height")} == {StepState.BLOCKED}

    adopted(miner, count=2)
    found = steps(miner, Direction.IN)
    assert found["provers"].state == StepState.DONE
    assert (found["rows"].state, "2 of 3 live sectors" in found["rows"].figure) == (StepState.TO_DO, True)
    proving(miner, 9, store="")
    counted()
    found = steps(miner, Direction.IN)
    assert (found["rows"].state, found["files"].state) == (StepState.DONE, StepState.TO_DO)
    assert found["files"].figure == "1 without a store: 9"
    [store] = Store.objects.filter(tenant=miner.tenant)
    for number in (9, 10):
        store.findings.create(kind="HALF", name=f"s-t01000-{number}", miner_id=miner.actor_id, number=number)

    def parts() -> str:
        return steps(miner, Direction.IN)["files"].figure.removeprefix("1 without a store: 9; ")

    assert parts() == f"scans found only parts of 1; sector 9: {store.name}", "a host of before told no kinds"
    store.findings.update(kinds="cache unsealed")
    assert parts().endswith(f"; sector 9: cache, unsealed in {store.name} (sealed missing)")
    store.findings.update(kinds="update")
    assert parts().endswith(f"sector 9: update in {store.name} (update-cache missing)")
    store.findings.update(kinds="sealed cache")
    assert parts().endswith(f"sector 9: sealed, cache in {store.name} (p_aux missing)")
    store.findings.update(kinds="sealed")
    other = factories.store(factories.worker("sealer-0", kinds=["SEAL"]), "s0")
    other.findings.create(kind="HALF", name="s-t0-9", miner_id=miner.actor_id, number=9, kinds="cache")
    attach = "(attach these stores to one host)"
    assert parts().endswith(f"sector 9: cache in s0, sealed in {store.name} {attach}")
    other.findings.update(kinds="cache update-cache")
    store.findings.update(kinds="update")
    where = f"cache, update-cache in s0, update in {store.name}"
    assert parts().endswith(f"sector 9: {where} {attach}"), "the old cache was left"
    store.findings.filter(number=9).update(kind="ELSEWHERE", kinds="")
    found_whole = f"a scan found 9 in {store.name}: adopt them there; scans found only parts of 1; sector 9: "
    assert parts().startswith(found_whole)
    other.findings.all().delete()
    Miner.objects.update(unlisted_sectors=1)  # as many rows are of sectors that have expired
    unlisted = steps(miner, Direction.IN)["rows"]
    assert (unlisted.state, "2 of 3 live sectors" in unlisted.figure) == (StepState.TO_DO, True)
    Miner.objects.update(unlisted_sectors=0)
    factories.store(factories.worker("sealer-1", kinds=["SEAL"]), "s2")
    Sector.objects.filter(number=9).update(store="s2")
    found = steps(miner, Direction.IN)
    assert (found["files"].state, found["provers"].state) == (StepState.DONE, StepState.TO_DO)
    assert "none can read s2" in found["provers"].figure
    Sector.objects.filter(number=9).update(store="s1")

    deadlines = {row.pk: row.live for row in Deadline.objects.filter(miner=miner)}
    Deadline.objects.filter(miner=miner).update(live=0)
    looks = steps(miner, Direction.IN)["looks"]
    assert (looks.state, "0 of 0 sectors" in looks.figure) == (StepState.TO_DO, True), "not read yet"
    for pk, live in deadlines.items():
        Deadline.objects.filter(pk=pk).update(live=live)
    assert steps(miner, Direction.IN)["looks"].figure == "files opened for 0 of 3 sectors that must be proven"
    looked(miner, bad={9}, at=990)
    found = steps(miner, Direction.IN)
    assert found["looks"].state == StepState.TO_DO
    looked_at = "files opened for 3 of 3 sectors that must be proven; 1 missing or damaged: 9"
    assert found["looks"].figure == looked_at
    looked(miner, bad=set(), at=3870)
    assert state(miner, "looks") == StepState.DONE


def test_what_lotus_miner_seals_and_its_numbers(chain: MovingChain) -> None:
    miner = moving(deposits=FIL)
    found = steps(miner, Direction.IN)
    assert (found["sealing"].state, "1.0000 FIL" in found["sealing"].figure) == (StepState.TO_DO, True)
    assert found["numbers"].state == StepState.TO_DO
    assert "“Allocated” and “Reserved”" in found["numbers"].risk, "lotus calls the first gap “Next free”"

    Miner.objects.update(deposits=0)
    sectorid_import(miner, number=41, principal=SYSTEM)
    found = steps(miner, Direction.IN)
    assert (found["sealing"].state, found["numbers"].state) == (StepState.DONE, StepState.DONE)
    assert found["numbers"].figure == "the next number is 42"
    Miner.objects.update(deposits=2 * FIL)
    for number, of_state in ((42, "PRECOMMIT_LANDED"), (43, "ABORTED")):
        factories.sector(miner, number=number, state=of_state, precommit_epoch=990)
        chain.deposits[number] = FIL
    factories.sector(miner, number=44, state="PRECOMMIT_SENT")
    assert state(miner, "sealing") == StepState.DONE, "the deposits are the pool's own"
    Miner.objects.update(deposits=100 * FIL)
    found = steps(miner, Direction.IN)
    assert (found["sealing"].state, "98.0000 FIL" in found["sealing"].figure) == (StepState.TO_DO, True)


def test_the_height_and_lotus_miners_last_window(chain: MovingChain, monkeypatch: pytest.MonkeyPatch) -> None:
    miner = moving()
    signed_for(miner)
    policy_allows(monkeypatch, "f01000")
    adopted(miner)
    assert state(miner, "height") == StepState.TO_DO
    assert "stop" not in steps(miner, Direction.IN)

    miner_move_in(miner, height=1030, by=SYSTEM)
    found = steps(miner, Direction.IN)
    assert found["height"].state == StepState.DONE
    assert "reached in" in found["height"].figure
    assert "deadline 5, opens at 1\u202f010" in found["stop"].figure
    factories.head(1011)
    assert "is open and not proven yet: keep it running" in steps(miner, Direction.IN)["stop"].figure
    chain.proven[5] = (0,)
    assert "has landed: stop it now" in steps(miner, Direction.IN)["stop"].figure
    Deadline.objects.filter(index=5).update(open_epoch=1070, close_epoch=1080)
    factories.head(1025)
    found = steps(miner, Direction.IN)
    assert "deadline 5 at 1\u202f010, has closed: stop it now" in found["stop"].figure
    assert found["stop"].state == StepState.TO_DO
    assert move_of(Miner.objects.get(), SYSTEM).is_pending

    factories.head(1031)
    miner_grant(tenant=miner.tenant, actor_id=1000)
    assert state(miner, "stop") == StepState.DONE, "who has blocks made says that it has stopped"
    assert not move_of(Miner.objects.get(), SYSTEM).is_pending


def test_a_last_window_a_period_ahead_is_not_called_closed(chain: MovingChain) -> None:
    miner = moving()
    signed_for(miner)
    factories.head(1005)

    miner_move_in(miner, height=1065, by=SYSTEM)

    assert "deadline 4, opens at 1\u202f060 in" in steps(miner, Direction.IN)["stop"].figure


def test_a_young_chain_has_had_no_window_before_its_first(chain: MovingChain) -> None:
    miner = moving()
    Deadline.objects.update(open_epoch=F("index") * 10 + 8, close_epoch=F("index") * 10 + 18)

    before, after = MoveReadings(miner, SYSTEM).windows_at(8)

    assert before is None
    assert after is not None
    assert after.open >= 8


def test_lotus_miner_has_not_stopped_while_its_last_window_is_not_proven(chain: MovingChain) -> None:
    miner = moving()
    signed_for(miner)
    miner_move_in(miner, height=1011, by=SYSTEM)
    miner_grant(tenant=miner.tenant, actor_id=1000)
    factories.head(1011)

    found = steps(miner, Direction.IN)["stop"]
    assert (found.is_done, "is open and not proven yet" in found.figure) == (False, True)
    chain.proven[5] = (0,)
    assert steps(miner, Direction.IN)["stop"].is_done


def test_lotus_miner_has_not_stopped_while_it_makes_blocks(chain: MovingChain) -> None:
    miner = moving()
    signed_for(miner)
    miner_move_in(miner, height=1011, by=SYSTEM)
    miner_grant(tenant=miner.tenant, actor_id=1000)
    chain.proven[5] = (0,)
    factories.head(1011)
    assert steps(miner, Direction.IN)["stop"].is_done

    factories.head(1012, miners=["t01000"])
    factories.head(1013)

    found = steps(miner, Direction.IN)["stop"]
    assert (found.is_done, found.figure) == (False, "it made the block of epoch 1\u202f012: stop it now")


def test_blocks_wait_for_the_height_and_the_nodes_key(chain: MovingChain) -> None:
    miner = moving()
    signed_for(miner)
    miner_grant(tenant=miner.tenant, actor_id=1000)
    chain.has_key = False
    found = steps(miner, Direction.IN)
    assert (found["node"].state, found["blocks"].state) == (StepState.TO_DO, StepState.BLOCKED)
    assert "RemoteBackend" in found["node"].command

    chain.has_key = True
    miner_move_in(miner, height=1010, by=SYSTEM)
    miner_grant(tenant=miner.tenant, actor_id=1000)
    found = steps(miner, Direction.IN)
    assert (found["node"].state, found["blocks"].is_done) == (StepState.DONE, False)
    assert "heights --miner f01000 --close 1009" in found["blocks"].command
    factories.head(1010)
    assert steps(miner, Direction.IN)["blocks"].is_done
    miner_grant(tenant=miner.tenant, actor_id=1000, open_mining=False)
    assert not steps(miner, Direction.IN)["blocks"].is_done


def test_what_moved_out_is_not_called_moved_in(chain: MovingChain) -> None:
    miner = moving(works_from=500, works_until=1005)
    signed_for(miner)
    miner_grant(tenant=miner.tenant, actor_id=1000)

    for head in (1001, 1010):
        factories.head(head)
        found = steps(miner, Direction.IN)
        assert (found["height"].is_done, found["blocks"].is_done) == (False, False)
        assert found["height"].figure == "the pool proves no window that opens at height 1\u202f005 or later"
        assert not {"stop", "window"} & found.keys(), "they are about a height that is still to be set"
        assert "--close" not in found["blocks"].command


def post(of: Miner, opens: int, *, index: int, **data: Any) -> WindowPost:
    """A proof of one of its windows."""
    facts = {"close_epoch": opens + 10, "challenge_epoch": opens - 2, "randomness": b"r", **data}
    return WindowPost.objects.create(miner=of, deadline_index=index, open_epoch=opens, **facts)


def test_the_first_window_counts_once_the_pools_own_proof_has_landed(chain: MovingChain) -> None:
    miner = moving()
    signed_for(miner)
    miner_move_in(miner, height=1010, by=SYSTEM)
    assert state(miner, "window") == StepState.TO_DO
    mine = post(miner, 1010, index=5, state=PostState.LANDED)
    assert not steps(miner, Direction.IN)["window"].is_done, "the chain had it, sent by another program"
    WindowPost.objects.filter(pk=mine.pk).update(message_id="post:1")
    assert steps(miner, Direction.IN)["window"].is_done
    WindowPost.objects.filter(pk=mine.pk).update(open_epoch=1010 + 2880)  # it had no sectors before
    found = steps(miner, Direction.IN)["window"]
    assert (found.is_done, "open from 3\u202f890: landed" in found.figure) == (True, True)


def test_which_windows_are_whose_and_proven(chain: MovingChain) -> None:
    miner = moving()
    signed_for(miner)
    miner_move_in(miner, height=1010, by=SYSTEM)
    Partition.objects.filter(deadline__index=4).update(live=[7, 70], faulty=[70])
    chain.proven[4] = (0,)

    windows = move_of(Miner.objects.get(), SYSTEM).windows

    assert [(one.deadline, one.open, one.is_ours, one.is_proven) for one in windows] == [
        (4, 1000, False, True),
        (5, 1010, True, None),
        (1, 1030, True, None),
    ]
    chain.proven[4] = ()
    assert move_of(Miner.objects.get(), SYSTEM).windows[0].is_proven is False


def test_the_direction_is_out_once_a_height_for_that_is_set(chain: MovingChain) -> None:
    assert direction_of(Miner(works_until=0)) == direction_of(Miner()) == Direction.IN
    moving_out, created = Miner(works_until=1010), Miner(create_message_id="m")
    assert direction_of(moving_out) == direction_of(created) == Direction.OUT


def test_new_sectors_end_before_anything_leaves(chain: MovingChain) -> None:
    miner = moving(works_until=None)
    SealTarget.objects.create(miner=miner, in_work=3, since=clock.now(), look_at=clock.now())
    found = steps(miner, Direction.OUT)
    assert (found["target"].state, found["numbers"].state, found["work"].is_done) == (
        StepState.TO_DO,
        StepState.BLOCKED,
        True,
    )
    SealTarget.objects.all().delete()
    assert state(miner, "numbers", Direction.OUT) == StepState.TO_DO
    number = sectorid_export(miner, principal=SYSTEM, now=clock.now(), allocated=[range(42)])
    found = steps(miner, Direction.OUT)
    assert (found["numbers"].state, number) == (StepState.DONE, 42)
    assert "continues at 42" in found["numbers"].figure

    factories.sector(miner, state="PRECOMMIT_LANDED")
    factories.message(miner.worker, to="f01000", state="FILLED")
    found = steps(miner, Direction.OUT)
    assert found["work"].figure == "in progress: 1 sector, 1 message"
    assert (found["work"].state, found["height"].state) == (StepState.TO_DO, StepState.BLOCKED)


def test_the_pool_ends_its_windows_and_lotus_miner_goes_on(chain: MovingChain) -> None:
    miner = moving(works_until=None)
    signed_for(miner)
    sectorid_export(miner, principal=SYSTEM, now=clock.now())
    assert state(miner, "height", Direction.OUT) == StepState.TO_DO
    assert "start" not in steps(miner, Direction.OUT)

    miner_move_out(miner, height=1020, by=SYSTEM)
    last = post(miner, 1010, index=5, state=PostState.SENT)
    found = steps(miner, Direction.OUT)
    assert {found[key].state for key in ("proofs", "blocks")} == {StepState.TO_DO}
    assert {found[key].state for key in ("start", "window", "keys")} == {StepState.BLOCKED}
    assert "the last one is deadline 5, open from 1\u202f010" in found["proofs"].figure
    factories.head(1020)
    assert steps(miner, Direction.OUT)["proofs"].figure == "1 proof not landed yet"
    WindowPost.objects.filter(pk=last.pk).update(state=PostState.LANDED)
    Block.objects.create(actor_id=1000, height=1019, parents=b"p" * 32, unsigned=b"")
    found = steps(miner, Direction.OUT)
    assert {found[key].state for key in ("proofs", "blocks")} == {StepState.DONE}
    assert "the last one was at 1\u202f019" in found["blocks"].figure
    assert (found["start"].state, found["window"].state) == (StepState.TO_DO, StepState.BLOCKED)
    assert "before deadline 1 opens at 1\u202f030" in found["start"].figure
    assert "sector_records lotus f01000" in found["start"].command
    assert f"signer export {miner.worker}" in found["start"].command

    factories.head(1031)
    assert "is open and not proven" in steps(miner, Direction.OUT)["window"].figure
    chain.proven[1] = (0,)
    found = steps(miner, Direction.OUT)
    assert {found[key].state for key in ("start", "window")} == {StepState.DONE}
    assert found["keys"].state == StepState.TO_DO
    SignerConnection.objects.update(closed_at=clock.now())
    assert not move_of(Miner.objects.get(), SYSTEM).left


def test_the_height_comes_by_the_clock_where_nobody_else_makes_blocks(chain: MovingChain) -> None:
    moving(works_until=1020)
    factories.head(1018)
    assert state(Miner.objects.get(), "blocks", Direction.OUT) == StepState.TO_DO

    factories.head(1018, arrived_at=clock.now() - timedelta(minutes=1), timestamp=0)

    assert state(Miner.objects.get(), "blocks", Direction.OUT) == StepState.DONE
    assert move_of(Miner.objects.get(), SYSTEM).height == 1018


def test_a_missed_last_window_is_said_and_keeps_nobody_from_going_on(chain: MovingChain) -> None:
    miner = moving(works_until=1020)
    post(miner, 1010, index=5, state=PostState.MISSED)
    factories.head(1021)
    sectorid_export(miner, principal=SYSTEM, now=clock.now())
    found = steps(miner, Direction.OUT)
    missed = "deadline 5 at 1\u202f010 was missed" in found["proofs"].figure
    assert (found["proofs"].is_done, missed) == (True, True)
    assert found["start"].state == StepState.TO_DO


@pytest.mark.parametrize(("faulty", "is_done"), [(0, True), (1, False)])
def test_a_window_of_lotus_miner_that_is_over_is_told_by_its_faults(
    chain: MovingChain, faulty: int, *, is_done: bool
) -> None:
    miner = moving(works_until=1005)
    Deadline.objects.filter(index=5).update(open_epoch=1070, close_epoch=1080, faulty=faulty)
    factories.head(1021)
    found = steps(miner, Direction.OUT)["window"]
    assert (found.is_done, f"{faulty} of 1 sector faulty" in found.figure) == (is_done, True)
    assert HEIGHT < 1021
