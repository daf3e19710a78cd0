"""When a batch goes: alone, full, waited for, due; and what holds it."""

from __future__ import annotations

from typing import Any

import pytest

from apps.sectors.rules.batches import COMMIT, PRE_COMMIT, BatchRules
from apps.sectors.rules.lifetimes import expiration_choose
from apps.sectors.rules.policy import SealingPolicy
from apps.sectors.selectors.sealing_context import SealingContext
from apps.sectors.services.batches.choosing import batch_choose
from apps.sectors.services.batches.forms import BatchEntry, batch_entries_fit
from poolsite.filecoin.policy import network_by_name
from tests import factories
from tests.unit.apps.sectors.batches import NETWORK, waiting, work
from tests.unit.apps.sectors.sealing import NOON

pytestmark = pytest.mark.django_db


def reason(sectors: list[Any], given: SealingContext, kind: BatchRules = PRE_COMMIT) -> tuple[int, str]:
    """How many go, and why."""
    chosen, why = batch_choose(sectors, kind=kind, work=given)
    return len(chosen), why


def test_a_lone_sector_goes_at_once() -> None:
    assert reason(waiting(1, since=100), work(precommit_wait_epochs=9)) == (1, "single")


def test_a_sector_waits_for_another_that_is_on_its_way() -> None:
    sectors = waiting(1, since=100)
    factories.sector(sectors[0].miner, state="PC1_DONE")

    given = {"precommit_wait_epochs": 9, "precommit_backlog_epochs": 9}
    assert reason(sectors, work(**given)) == (0, "")
    assert reason(sectors, work(109, **given)) == (1, "timeout")


@pytest.mark.parametrize(
    ("kind", "state", "before"),
    [
        (PRE_COMMIT, "PERSISTED", "TICKET_ASSIGNED"),
        (PRE_COMMIT, "PERSISTED", "PC2_DONE"),
        (COMMIT, "C2_DONE", "SEED_ASSIGNED"),
        (COMMIT, "C2_DONE", "C1_DONE"),
        (COMMIT, "C2_DONE", "PRECOMMIT_LANDED"),
    ],
)
def test_backlog_fills_a_batch_up_to_its_cutoff(kind: BatchRules, state: str, before: str) -> None:
    sectors = waiting(3, since=100, state=state)
    coming = factories.sector(sectors[0].miner, state=before, precommit_epoch=90)
    factories.sector(factories.miner(), state=before, precommit_epoch=90)

    assert reason(sectors, work(119), kind) == (0, "")
    assert reason(sectors, work(120), kind) == (3, "timeout")

    coming.delete()
    assert reason(sectors, work(101), kind) == (3, "timeout")


@pytest.mark.parametrize(("took", "waits", "goes"), [(5, 115, 116), (15, 105, 106), (30, 100, 101)])
def test_precommit_waits_for_sectors_not_begun_where_sealing_is_quick(
    took: int, waits: int, goes: int
) -> None:
    [sector] = waiting(1, since=100, ticket_epoch=100 - took - NETWORK.ticket_lookback)
    factories.sector(sector.miner, state="PIECE_ADDED", ticket_epoch=None)

    assert reason([sector], work(waits)) == (0, "")
    assert reason([sector], work(goes)) == (1, "timeout")


def test_precommit_with_a_ticket_of_no_epoch_waits_for_none_not_begun() -> None:
    [sector] = waiting(1, since=NETWORK.ticket_lookback + 1, ticket_epoch=0)
    factories.sector(sector.miner, state="PIECE_ADDED", ticket_epoch=None)

    assert reason([sector], work(NETWORK.ticket_lookback + 2)) == (1, "timeout")


def test_backlog_holds_no_batch_that_is_full_or_due() -> None:
    sectors = waiting(2, since=100)
    factories.sector(sectors[0].miner, state="PC1_DONE")
    life = NETWORK.max_precommit_randomness_lookback

    assert reason(sectors, work(101, precommit_batch_max=2)) == (2, "full")
    assert reason(sectors, work(90 + life - 60)) == (2, "deadline")


def test_commit_waits_for_no_seed_that_comes_after_its_cutoff() -> None:
    sectors = waiting(1, since=100, state="C2_DONE")
    delay = NETWORK.pre_commit_challenge_delay + NETWORK.confidences.seed
    factories.sector(sectors[0].miner, state="PRECOMMIT_LANDED", precommit_epoch=121 - delay)

    assert reason(sectors, work(101), COMMIT) == (1, "timeout")


def test_hundred_sectors_sealed_one_by_one_make_few_messages() -> None:
    miner, closed, height = factories.miner(), [], 100
    rows = [
        factories.sector(miner, state="TICKET_ASSIGNED", ticket_epoch=90, ready_height=None)
        for _ in range(100)
    ]
    ready: list[Any] = []
    while rows or ready:
        for row in rows[:2]:  # two an epoch come out of the seal
            row.state, row.ready_height = "PERSISTED", height
            row.save()
        ready, rows = [*ready, *rows[:2]], rows[2:]
        count, why = reason(ready, work(height))
        if count:
            closed.append((count, why))
            for row in ready[:count]:
                row.state = "PRECOMMIT_SENT"
                row.save()
            ready = ready[count:]
        height += 1

    assert sum(count for count, _ in closed) == 100
    assert len(closed) <= 4


def test_a_paused_sector_is_not_waited_for() -> None:
    sectors = waiting(1, since=100)
    factories.sector(sectors[0].miner, state="PC1_DONE", paused_at=NOON)

    assert reason(sectors, work(precommit_wait_epochs=9)) == (1, "single")


def test_a_full_batch_goes_and_the_rest_stays() -> None:
    sectors = waiting(3, since=100)

    assert reason(sectors, work(precommit_wait_epochs=9, precommit_batch_max=2)) == (2, "full")


def test_a_high_base_fee_holds_a_batch_until_it_is_due() -> None:
    sectors = waiting(2, since=50)

    assert reason(sectors, work(base_fee=101, precommit_base_fee_max=100)) == (0, "")
    assert reason(sectors, work(base_fee=101, commit_base_fee_max=100)) == (2, "timeout")
    late = 90 + NETWORK.max_precommit_randomness_lookback - 60
    assert reason(sectors, work(late, base_fee=101, precommit_base_fee_max=100)) == (2, "deadline")


def test_a_commit_is_due_before_its_pre_commit_expires() -> None:
    sectors = waiting(2, since=100, state="C2_DONE")
    late = 90 + NETWORK.max_prove_commit_duration - 60

    assert reason(sectors, work(101, base_fee=101, commit_base_fee_max=100), COMMIT) == (0, "")
    assert reason(sectors, work(late, base_fee=101, commit_base_fee_max=100), COMMIT) == (2, "deadline")


@pytest.mark.parametrize(("kind", "state"), [(PRE_COMMIT, "PERSISTED"), (COMMIT, "C2_DONE")])
def test_what_is_due_goes_before_all_that_has_waited_longer(kind: BatchRules, state: str) -> None:
    sectors, height = waiting(3, since=100, state=state), 101
    life = NETWORK.max_prove_commit_duration
    if kind is PRE_COMMIT:
        life = NETWORK.max_precommit_randomness_lookback
    late = sectors[-1]
    late.ticket_epoch = late.precommit_epoch = height + 60 - life
    ceilings = {"precommit_base_fee_max": 100, "commit_base_fee_max": 100}
    held = work(height, base_fee=101, **ceilings, precommit_batch_max=2, commit_batch_max=2)

    assert batch_choose(sectors, kind=kind, work=held) == ([late, sectors[0]], "deadline")


@pytest.mark.parametrize(("kind", "state"), [(PRE_COMMIT, "PERSISTED"), (COMMIT, "C2_DONE")])
def test_data_that_must_be_active_soon_wait_for_nothing(kind: BatchRules, state: str) -> None:
    sectors = waiting(3, since=100, state=state)
    last = sectors[-1]
    last.pieces = [{"payload": 100}]
    piece = factories.piece(
        last.miner, state="PACKED", sector_number=last.number, offset=0, start_epoch=9_000
    )
    seed = NETWORK.pre_commit_challenge_delay + NETWORK.confidences.seed if kind is PRE_COMMIT else 0
    ceilings = {"precommit_base_fee_max": 100, "commit_base_fee_max": 100}
    held = work(101, base_fee=101, **ceilings, precommit_batch_max=1, commit_batch_max=1)

    assert reason(sectors, held, kind) == (0, "")
    piece.start_epoch = 101 + 60 + seed + 1
    piece.save()
    assert reason(sectors, held, kind) == (0, "")
    piece.terms_epoch = piece.start_epoch - 1
    piece.save()

    assert batch_choose(sectors, kind=kind, work=held) == ([last], "deadline")
    piece.start_epoch, piece.terms_epoch = piece.terms_epoch, None
    piece.save()
    assert batch_choose(sectors, kind=kind, work=held) == ([last], "deadline")


def test_a_message_takes_no_more_proofs_than_fit_but_one_always() -> None:
    sectors = waiting(3, since=1, state="C2_DONE")
    parts = [BatchEntry(sector=sector, value=0, proof=bytes(30_000)) for sector in sectors]
    policy = SealingPolicy(commit_batch_bytes=60_000)

    assert len(batch_entries_fit(parts, policy=policy)) == 2
    assert len(batch_entries_fit(parts, policy=SealingPolicy(commit_batch_bytes=1))) == 1


@pytest.mark.parametrize("wished", [0, 540 * 2880, 10**9])
def test_an_expiration_is_one_that_the_chain_takes(wished: int) -> None:
    for name in ("mainnet", "localnet-poolsite-test", "localnet-poolsite-demo"):
        network = network_by_name(name)

        expiration = expiration_choose(height=1000, wished=wished, network=network)

        activates = 1000 + network.max_prove_commit_duration
        assert expiration - activates >= network.min_sector_expiration
        assert expiration <= 1000 + network.max_sector_expiration_extension


def test_pauses_double_up_to_a_limit() -> None:
    retries = SealingPolicy(pause_s=10, pause_max_s=60).retries(None)

    assert [retries.pause_after(attempts) for attempts in range(1, 6)] == [10, 20, 40, 60, 60]
