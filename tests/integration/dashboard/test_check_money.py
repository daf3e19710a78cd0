"""What a finding puts at risk, in FIL, and until when: by the chain's formulas, counted once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse

from apps.chain.models import Network, Node
from apps.checks.findings.message_costs import groups_priced
from apps.checks.findings.results import Finding
from apps.checks.report.evaluate import evaluate_some
from apps.checks.selectors.data import CheckData
from apps.checks.selectors.exposure import provers_of, senders_needed
from apps.core.clock import now
from apps.core.formatting import amount_text
from apps.messages.models import Recovery
from apps.messages.selectors.alike import messages_grouped
from apps.messages.states import MessageState, Wait
from apps.miners.models import RewardEstimate
from apps.proving.models import Dispute, WindowPost
from apps.proving.states import Forecast
from apps.sectors.models import Batch, ClaimsEnding, Sector, SectorChange, SectorCopy
from apps.users.rules.principals import SYSTEM
from poolsite.wire.pipeline import SectorState
from tests import factories
from tests.page_client import signed_in, text_of
from tests.people import person

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("priced")]

GONE = {"name": "sealed/s-t01000-0", "state": "MISSING", "size": 0}


def only(name: str) -> Finding:
    """The one finding of a check."""
    result = evaluate_some([name], CheckData(SYSTEM)).result(name)
    assert result is not None
    [finding] = result.findings
    return finding


def deposit() -> int:
    return RewardEstimate.objects.get().deposit(factories.SECTOR_BYTES)


def test_a_stuck_message_counts_what_it_carries_and_holds_up():
    old = now() - timedelta(hours=1)
    cap: dict[str, Any] = {"state": MessageState.FILLED, "gas_fee_cap": 10**18}
    refused: dict[str, Any] = {"wait": Wait.NODE_REFUSES, "filled_at": old, "published_at": old}
    factories.message("nonce 4", nonce=4, value=10**18, **cap, **refused)
    factories.message("nonce 5", nonce=5, value=2 * 10**18, **cap)
    factories.message("of another", from_addr=factories.bls(9), nonce=1, value=10**20, **cap)
    miner = factories.miner()
    batch = factories.batch(miner, "COMMIT", message_id="nonce 5")
    factories.sector(miner, state=SectorState.COMMIT_SENT, precommit_epoch=990, commit_batch=batch)

    assert only("messages_stuck").at_risk == 3 * 10**18 + deposit()


def test_value_of_a_message_that_nobody_signed_is_not_at_risk():
    factories.message("too much", wait=Wait.FUNDS, attempts=3, value=90_000 * 10**18)

    assert only("messages_stuck").at_risk == 0


@pytest.mark.parametrize(
    ("live", "faulty", "recovering", "sectors", "is_part"),
    [(4, 0, 0, 4, False), (4, 3, 1, 2, False), (4, 4, 0, 4, True)],
)
def test_a_window_at_risk_costs_what_it_is_to_prove(live, faulty, recovering, sectors, is_part):
    miner = factories.miner(live_sectors=4)
    facts = {"live": live, "faulty": faulty, "recovering": recovering, "active": 0}
    factories.deadline(miner, 3, **facts, open_epoch=1030, forecast=Forecast.AT_RISK)

    found = only("windows_at_risk")

    assert found.per_day == CheckData(SYSTEM).fault_fee_per_day(miner, sectors) > 0
    assert found.is_part is is_part, "of what sectors_faulty names"


def test_a_failed_message_counts_deposits_and_no_value_that_never_left():
    factories.message("bad", state=MessageState.FAILED, value=7 * 10**17)
    assert only("messages_failed").at_risk == 0

    miner = factories.miner()
    batch = factories.batch(miner, "COMMIT", message_id="bad")
    for state in (SectorState.C2_DONE, SectorState.COMMIT_LANDED):
        factories.sector(miner, state=state, precommit_epoch=990, commit_batch=batch)

    assert only("messages_failed").at_risk == deposit() > 0


def test_what_a_message_below_the_base_fee_carries_is_counted_once():
    old = now() - timedelta(hours=1)
    flight: dict[str, Any] = {"nonce": 0, "filled_at": old, "published_at": old, "gas_fee_cap": 1}
    factories.message("cheap", state=MessageState.FILLED, value=10**18, wait=Wait.NODE_REFUSES, **flight)

    assert only("base_fee_above_cap").at_risk == 0
    assert only("messages_stuck").at_risk == 10**18


def test_a_host_that_is_away_counts_the_deposits_that_wait_for_it():
    host = factories.worker("gone", seen_at=now() - timedelta(hours=1))
    miner = factories.miner()
    for epoch in (None, 990, 991):
        factories.sector(miner, state=SectorState.SEED_ASSIGNED, precommit_epoch=epoch, held_by=host)
    factories.sector(miner, state=SectorState.COMMIT_LANDED, precommit_epoch=992, held_by=host)

    found = only("hosts_away")

    assert found.at_risk == 2 * deposit() > 0
    assert "4 sectors in progress, 2 with a deposit" in found.reason


def test_a_worker_without_a_signer_puts_its_windows_and_blocks_at_risk():
    wallet = factories.wallet(seen_at=None)
    miner = factories.miner(
        worker=wallet.address, active_sectors=4, has_min_power=True, qa_power=4 * 2048, raw_power=4 * 2048
    )
    factories.miner(worker=factories.bls(77), active_sectors=4)
    factories.deadline(miner, 3, live=4, open_epoch=1030)
    data = CheckData(SYSTEM)

    found = only("signers_away")

    assert found.per_day == data.fault_fee_per_day(miner, 4) + data.reward_per_day(miner)
    assert data.fault_fee_per_day(miner, 4) > 0
    assert data.reward_per_day(miner) > 0
    assert data.clock is not None
    assert found.due_s == pytest.approx(data.clock.starts_at(1040), abs=3)
    assert found.reason.endswith(f", including the proofs of {miner.name}")


def test_a_worker_that_signs_blocks_alone_is_not_said_to_hold_up_messages():
    wallet = factories.wallet(seen_at=None)
    control = factories.wallet(balance=10**18)
    factories.miner(worker=wallet.address, control=[control.address])

    assert only("signers_away").reason == f"nothing can be signed for {wallet.label}"


def test_a_key_that_nothing_needs_may_be_offline():
    owner, old, control, sender = (factories.wallet(seen_at=None).address for _ in range(4))
    worker = factories.wallet()
    miner = factories.miner(worker=worker.address, owner=owner, control=[control])
    factories.message(from_addr=old, state=MessageState.LANDED)
    factories.message(from_addr=sender)
    data = CheckData(SYSTEM)

    assert senders_needed(data, [owner, old, control, sender]).addresses == {control, sender}
    assert only("signers_away").count == 2
    assert senders_needed(CheckData(SYSTEM), [worker.address]).addresses == {miner.worker}


def test_a_short_balance_puts_at_risk_what_its_address_sends_for():
    wallet = factories.wallet(balance=10**12)
    factories.sender(wallet.address)
    factories.spend(wallet.address, days_ago=1)
    miner = factories.miner(worker=factories.bls(77), control=[wallet.address], active_sectors=4)

    assert only("balances_short").per_day == CheckData(SYSTEM).fault_fee_per_day(miner, 4) > 0


def test_who_sends_proofs_is_read_once_for_all_miners(django_assert_num_queries):
    wallet = factories.wallet()
    data = CheckData(SYSTEM)
    assert data.miners == []
    with django_assert_num_queries(0):
        assert provers_of(data, {wallet.address}) == []
    miners = [factories.miner(worker=wallet.address) for _ in range(4)]
    data = CheckData(SYSTEM)
    assert len(data.miners) == 4

    with django_assert_num_queries(4):
        assert provers_of(data, {wallet.address}) == miners
    assert not data.rare.messages_open
    with django_assert_num_queries(4):
        assert senders_needed(data, {wallet.address}).provers == miners


def test_sectors_that_end_count_the_rewards_that_they_bring():
    miner = factories.miner(active_sectors=4, has_min_power=True, qa_power=4 * 2048, raw_power=4 * 2048)
    for end in (1600, 1500):
        factories.sector(miner, state=SectorState.PROVING, active=True, expiration=end)
    data = CheckData(SYSTEM)

    found = only("sectors_expiring")

    assert found.per_day == data.reward_per_day(miner) // 2 > 0
    assert data.clock is not None
    assert found.due_s == pytest.approx(data.clock.starts_at(1500), abs=3)
    assert found.due_label == "until the first expires"


def test_claims_that_end_count_what_verified_data_earns_more():
    miner = factories.miner(active_sectors=4, has_min_power=True, qa_power=4 * 2048, raw_power=2048)
    first = {"claim": 17, "sector_number": 5, "end_epoch": 1500}
    ClaimsEnding.objects.create(miner=miner, count=2, size=1024, due_at=now(), **first)
    data = CheckData(SYSTEM)

    found = only("claims_ending")

    assert found.per_day == data.reward_of_power(9 * 1024) > 0
    assert found.count == 2
    assert "/ 5: claim 17 lasts until epoch 1500" in found.reason
    assert data.clock is not None
    assert found.due_s == pytest.approx(data.clock.starts_at(1500), abs=3)


def test_a_seed_that_nobody_reads_counts_the_deposit():
    factories.sector(factories.miner(), state=SectorState.PRECOMMIT_LANDED, precommit_epoch=900)

    found = only("seed_ready")

    assert found.at_risk == deposit()
    assert found.due_label == "until the deposit is lost"


def test_a_deposit_that_is_lost_soon_is_counted_once():
    network = CheckData(SYSTEM).network
    assert network is not None
    factories.head(20_000_000)
    paid = 20_000_000 - network.max_prove_commit_duration + 5
    factories.sector(factories.miner(), state=SectorState.PRECOMMIT_LANDED, precommit_epoch=paid)

    assert only("deposits_expiring").at_risk == deposit()
    assert only("seed_ready").at_risk == 0
    assert only("seed_ready").count == 1


def test_a_change_that_was_asked_for_again_is_named_no_more():
    miner = factories.miner()
    sector = factories.sector(miner, state=SectorState.PROVING, active=True, expiration=200_000)
    common = {"sector": sector, "kind": "TERMINATE", "queued_height": 900, "actor": "ann"}
    SectorChange.objects.create(state="TERMINATE_FAILED", error="exit code 16", **common)
    assert "termination failed" in only("changes_failed").say

    SectorChange.objects.create(state="TERMINATE_QUEUED", **common)

    result = evaluate_some(["changes_failed"], CheckData(SYSTEM)).result("changes_failed")
    assert result is not None
    assert result.findings == ()
    assert Sector.objects.count() == 1
    assert not Batch.objects.exists()


def test_a_lost_dispute_counts_its_faults_and_what_the_next_proof_costs():
    miner = factories.miner(live_sectors=4, faulty_sectors=3)
    factories.deadline(miner, 3, live=4, faulty=3, open_epoch=1030)
    facts = {"deadline_index": 3, "post_index": 0, "from_addr": factories.bls(7), "cid": factories.cid("d")}
    Dispute.objects.create(miner=miner, height=999, exit_code=0, **facts)
    data = CheckData(SYSTEM)

    found = only("disputes_lost")

    assert (found.per_day, found.is_part) == (data.fault_fee_per_day(miner, 3), True)
    assert found.per_day > 0
    assert found.at_risk == data.dispute_penalty(miner, 1) > 24 * 10**18, "20 FIL and 4 for who disputed it"
    assert found.due_s is not None


def test_damaged_copies_cost_what_they_cost_once_they_are_faulty():
    miner, store = factories.miner(), factories.store(factories.worker("box"), "archive")

    def damaged(**facts: Any) -> Sector:
        sector = factories.sector(miner, **{"state": "PROVING", "active": True, "store": "archive", **facts})
        SectorCopy.objects.create(sector=sector, store=store, condition="BAD", files=[GONE], found_at=now())
        return sector

    sectors = [damaged(), damaged(active=False), damaged(store="other")]

    found = only("copies_bad")

    assert found.count == 3
    assert found.per_day == CheckData(SYSTEM).fault_fee_per_day(miner, 1) > 0, "one is faulty, one elsewhere"
    assert [act.link.args for act in found.acts] == [(str(one.uuid),) for one in (sectors[1], sectors[0])]


def test_nothing_is_proved_in_recovery_or_after_an_upgrade_without_a_node():
    miner = factories.miner(active_sectors=2)
    factories.deadline(miner, 3, live=2, open_epoch=1030)
    fees = CheckData(SYSTEM).fault_fee_per_day(miner, 2)
    Recovery.objects.update_or_create(pk=1, defaults={"since": now(), "reason": "restored"})

    assert only("recovery").per_day == fees > 0
    assert only("recovery").due_s is not None

    for name in ("one", "two"):
        upgrades = {"Dragon": 1, "FireHorse": 5000}
        Node.objects.create(url=f"http://{name}", name=name, condition="HEALTHY", upgrades=upgrades)
    Node.objects.create(url="http://old", name="old", condition="HEALTHY", upgrades={"Dragon": 1})
    assert only("upgrade_unready").per_day == 0, "two go on"
    Node.objects.exclude(name="old").update(is_enabled=False)
    params = Network.objects.get().params | {"ForkUpgradeParams": {"UpgradeFireHorseHeight": 5000}}
    Network.objects.update(params=params)

    assert only("upgrade_unready").per_day == fees


def test_messages_that_failed_cost_what_their_sectors_do_not_earn_or_prove():
    miner = factories.miner(has_min_power=True, raw_power=2048, qa_power=2048, active_sectors=1)
    window = factories.deadlines(miner, live={5: Forecast.MISSED})[5]
    failed: dict[str, Any] = {"state": MessageState.FAILED, "error": "expired"}
    for number, kind in enumerate(("send", "send", "commit", "window_post")):
        factories.message(f"{kind} {number}", kind=kind, **failed)
    batch = factories.batch(miner, "COMMIT", message_id="commit 2")
    factories.sector(miner, state=SectorState.C2_DONE, commit_batch=batch)
    factories.sector(miner, state=SectorState.ABORTED, commit_batch=batch)
    WindowPost.objects.create(
        miner=miner,
        deadline_index=window.index,
        open_epoch=window.open_epoch,
        close_epoch=window.close_epoch,
        challenge_epoch=0,
        randomness=bytes(32),
        message_id="window_post 3",
        state="SENT",
    )
    data = CheckData(SYSTEM)
    groups = groups_priced(data, messages_grouped(SYSTEM, head=data.head, network=data.network))

    reward, fee = data.reward_of_power(factories.SECTOR_BYTES), data.fault_fee_per_day(miner, 1)
    assert fee > reward > 0
    assert [(group.newest.kind, group.count, cost and cost.per_day) for group, cost in groups] == [
        ("window_post", 1, fee),
        ("commit", 1, reward),
        ("send", 2, None),
    ]
    found = evaluate_some(["messages_failed"], data).result("messages_failed")
    assert found is not None
    assert sorted((one.per_day, one.is_part) for one in found.findings) == [
        (0, False),
        (reward, False),
        (fee, True),
    ]
    person()
    shown = text_of(signed_in().get(reverse("messages-failures")))
    assert shown.index(amount_text(fee)) < shown.index(amount_text(reward)) < shown.index("not known")
    RewardEstimate.objects.all().delete()
    assert {cost for _, cost in groups_priced(CheckData(SYSTEM), [group for group, _ in groups])} == {None}
