"""One list of checks feeds every verdict: each passes and fails once, and no two pages disagree."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from html import unescape
from typing import TYPE_CHECKING, Any

import pytest
from django.urls import reverse

from apps.blocks.models import Round
from apps.blocks.states import RoundState
from apps.chain.models import Node
from apps.chain.states import NodeState
from apps.checks.data import CheckData
from apps.checks.evaluate import evaluate
from apps.checks.models import AlertChannel, Notification
from apps.checks.results import Topic
from apps.checks.table import CHECKS
from apps.core.clock import now
from apps.core.disk import DiskSpace
from apps.core.formatting import fil
from apps.dashboard.page_data import PageData
from apps.dashboard.todo import cost_text, todo_sum
from apps.gateway.models import ProverConnection, SignerConnection
from apps.messages.models import Recovery, Sender
from apps.messages.services.recovery.detect import recovery_begin
from apps.messages.states import MessageState, SenderState, Wait
from apps.miners.models import Miner, RewardEstimate
from apps.proving.models import Dispute, SectorCheck, WindowPost
from apps.proving.states import Forecast
from apps.sectors.models import Sector
from apps.users.principals import SYSTEM
from poolsite.filecoin.fixed_point import PRECISION
from poolsite.filecoin.pledge import fault_fee
from poolsite.filecoin.power import Estimate
from poolsite.wire.pipeline import SectorState
from tests import factories
from tests.page_client import signed_in, text_of
from tests.people import operator_person, person, tenant

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.django_db


def epochs_ago(epochs: int) -> Any:
    """The time so many epochs of 30 s before now."""
    return now() - timedelta(seconds=30 * epochs)


def chain_stalled(_: Any) -> None:
    factories.head(1001, arrived_at=epochs_ago(600))


def head_late(_: Any) -> None:
    factories.head(1001, arrived_at=epochs_ago(5))


def nodes_unreadable(_: Any) -> None:
    Node.objects.create(url="http://one", name="one", state=NodeState.AWAY, error="refused")


def nodes_foreign(_: Any) -> None:
    Node.objects.create(url="http://one", name="one", state=NodeState.WRONG_NETWORK, error="another genesis")


def nodes_unhealthy(_: Any) -> None:
    Node.objects.create(url="http://two", name="two", state=NodeState.HEALTHY)
    Node.objects.create(url="http://one", name="one", state=NodeState.AWAY)


def upgrade_unready(_: Any) -> None:
    for name in ("one", "two"):
        upgrades = {"FireHorse": 5000}
        Node.objects.create(url=f"http://{name}", name=name, state="HEALTHY", upgrades=upgrades)
    Node.objects.create(url="http://old", name="old", state="HEALTHY", upgrades={"Dragon": 1})


def sectors_faulty(_: Any) -> None:
    factories.deadline(factories.miner(faulty_sectors=3), 1, live=3, faulty=3)


def sector_files(_: Any) -> None:
    miner = factories.miner(active_sectors=2)
    factories.deadline(miner, 1, live=2, open_epoch=1030)
    SectorCheck.objects.create(
        miner=miner,
        number=7,
        deadline_index=1,
        store="store-1",
        host="prover-1",
        is_good=False,
        path="/store/sealed/s-t01000-7",
        reason="it is missing",
        checked_at=now(),
        height=1000,
        bad_since=1000,
        bad_times=1,
    )


def windows_missed(_: Any) -> None:
    miner = factories.miner(active_sectors=2)
    factories.deadline(miner, 1, live=2, forecast=Forecast.LATER, open_epoch=1030)
    times = {"open_epoch": 970, "close_epoch": 980, "challenge_epoch": 968}
    WindowPost.objects.create(miner=miner, deadline_index=1, randomness=b"r", state="MISSED", **times)


def windows_at_risk(_: Any) -> None:
    factories.deadline(
        factories.miner(),
        2,
        live=1,
        open_epoch=999,
        close_epoch=1009,
        forecast=Forecast.AT_RISK,
        reason="no prover",
    )


def disputes_lost(_: Any) -> None:
    miner = factories.miner()
    factories.deadline(miner, 1, live=2, open_epoch=1030)
    Dispute.objects.create(
        miner=miner,
        deadline_index=1,
        post_index=0,
        from_addr=factories.bls(7),
        cid=factories.cid("dispute"),
        height=999,
        exit_code=0,
    )


def fee_debt(_: Any) -> None:
    factories.miner(fee_debt=10**18)


def deposits_expiring(_: Any) -> None:
    factories.head(10_000_000)
    factories.sector(factories.miner(), state=SectorState.PRECOMMIT_LANDED, precommit_epoch=1000)


def tickets_expiring(_: Any) -> None:
    factories.head(10_000_000)
    factories.sector(factories.miner(), state=SectorState.PC2_DONE, ticket_epoch=1000)


def sectors_paused(_: Any) -> None:
    factories.sector(factories.miner(), state=SectorState.PC1_DONE, paused_at=now(), error="no space")


def recovery(_: Any) -> None:
    recovery_begin("the database was restored", now=now())


def sector_recovery(_: Any) -> None:
    factories.worker("sealer-9")
    recovery_begin("the database was restored", now=now())
    Recovery.objects.update(since=None)


def messages_stuck(_: Any) -> None:
    factories.message("held", wait=Wait.POLICY, attempts=3)
    factories.sender(factories.bls(1))


def messages_failed(_: Any) -> None:
    factories.message("bad", state=MessageState.FAILED, error="marked as failed")


def nonce_gaps(_: Any) -> None:
    factories.sender(factories.bls(1), gap_nonce=4)


def senders_foreign(_: Any) -> None:
    factories.sender(factories.bls(1), foreign_at=now())


def senders_paused(_: Any) -> None:
    factories.sender(factories.bls(1), state=SenderState.FORBIDDEN)


def balances_short(_: Any) -> None:
    wallet = factories.wallet(balance=10**12)
    factories.sender(wallet.address)
    factories.spend(wallet.address)


def signers_away(_: Any) -> None:
    factories.wallet(seen_at=None)


def connection(model: Any, **values: Any) -> None:
    failed = {"failures": 1, "failed_at": now(), "last_failure": "timed out"}
    times = {"created_at": now(), "seen_at": now(), "process": "web"}
    model.objects.create(tenant=tenant(), **times, **failed, **values)


def requests_failed(_: Any) -> None:
    connection(SignerConnection)


def round_of(**values: Any) -> None:
    common = {"miner": factories.miner(qa_power=2048), "epoch": 990, "base_height": 989, "at": now()}
    Round.objects.create(**{**common, "expected": 0.2, **values})


def wins_lost(_: Any) -> None:
    round_of(state=RoundState.PROOF_TIMEOUT, win_count=1, sector=4, reason="no answer in time")


def rounds_undrawn(_: Any) -> None:
    round_of(state=RoundState.SIGNER_AWAY, reason="no signer of the worker is connected")


def wins_rare(_: Any) -> None:
    round_of(state=RoundState.NO_WIN, expected=20.0)


def winning_proofs_failed(_: Any) -> None:
    connection(ProverConnection, actor_id=factories.miner().actor_id)


def hosts_away(_: Any) -> None:
    factories.worker("gone", seen_at=now() - timedelta(hours=1))


def stores_away(_: Any) -> None:
    factories.worker("gone", seen_at=now() - timedelta(hours=1), stores=["archive"])
    factories.sector(factories.miner(), state=SectorState.PROVING, active=True, store="archive")


def hosts_disk(_: Any) -> None:
    factories.worker("full", hardware={"disk_free_bytes": 1 << 30, "disk_total_bytes": 1 << 40})


def hosts_paused(_: Any) -> None:
    factories.worker("idle", is_paused=True)


def hosts_slow(_: Any) -> None:
    row = factories.sector(factories.miner(), state=SectorState.PROVING, number=0)
    for host, seconds in (("quick", 10.0), ("slow", 60.0)):
        factories.worker(host)
        factories.events(row, [("PC1", "PC1", seconds)] * 4, actor=host)


def console_disk(monkeypatch: Any) -> None:
    monkeypatch.setattr("django.conf.settings.DISK_RESERVE_BYTES", 1 << 30)
    full = DiskSpace(free=0, total=1 << 40)
    monkeypatch.setattr("apps.checks.chain.disk_space", lambda: full)


def processes_down(monkeypatch: Any) -> None:
    row = {"name": "tasks", "pid": None, "up": False, "restarts": 4, "last_exit": -9, "once": False}
    monkeypatch.setattr("apps.core.processes.supervised", lambda: {"tasks": row})


def notifications_undelivered(_: Any) -> None:
    channel = AlertChannel.objects.create(name="ops", kind="WEBHOOK", target="x")
    failed = {"event": "TEST", "body": {}, "created_at": now(), "next_try_at": now(), "attempts": 3}
    Notification.objects.create(channel=channel, **failed)


def sectors_expiring(_: Any) -> None:
    factories.sector(factories.miner(), state=SectorState.PROVING, active=True, expiration=1500)


SCENES: dict[str, Callable[[Any], None]] = {
    scene.__name__: scene
    for scene in (
        chain_stalled,
        head_late,
        nodes_unreadable,
        nodes_foreign,
        nodes_unhealthy,
        upgrade_unready,
        sectors_faulty,
        sector_files,
        windows_missed,
        windows_at_risk,
        disputes_lost,
        fee_debt,
        deposits_expiring,
        tickets_expiring,
        sectors_paused,
        recovery,
        sector_recovery,
        messages_stuck,
        messages_failed,
        nonce_gaps,
        senders_foreign,
        senders_paused,
        balances_short,
        signers_away,
        requests_failed,
        wins_lost,
        rounds_undrawn,
        wins_rare,
        winning_proofs_failed,
        hosts_away,
        stores_away,
        hosts_disk,
        hosts_paused,
        hosts_slow,
        console_disk,
        processes_down,
        notifications_undelivered,
        sectors_expiring,
    )
}
OWN_PAGES: dict[str, Callable[[], str]] = {
    "sectors_faulty": lambda: reverse("miner", args=[Miner.objects.get().address]),
    "sector_files": lambda: reverse("miner", args=[Miner.objects.get().address]),
    "windows_missed": lambda: reverse("miner", args=[Miner.objects.get().address]),
    "windows_at_risk": lambda: reverse("miner", args=[Miner.objects.get().address]),
    "fee_debt": lambda: reverse("miner", args=[Miner.objects.get().address]),
    "wins_lost": lambda: reverse("miner", args=[Miner.objects.get().address]),
    "rounds_undrawn": lambda: reverse("miner", args=[Miner.objects.get().address]),
    "wins_rare": lambda: reverse("miner", args=[Miner.objects.get().address]),
    "winning_proofs_failed": lambda: reverse("miner", args=[Miner.objects.get().address]),
    "deposits_expiring": lambda: reverse("sector", args=[Sector.objects.get().uuid]),
    "tickets_expiring": lambda: reverse("sector", args=[Sector.objects.get().uuid]),
    "sectors_paused": lambda: reverse("sector", args=[Sector.objects.get().uuid]),
    "sectors_expiring": lambda: reverse("sector", args=[Sector.objects.get().uuid]),
    "messages_stuck": lambda: reverse("message", args=["held"]),
    "messages_failed": lambda: reverse("message", args=["bad"]),
    "nonce_gaps": lambda: reverse("sender", args=[factories.bls(1)]),
    "senders_foreign": lambda: reverse("sender", args=[factories.bls(1)]),
    "senders_paused": lambda: reverse("sender", args=[factories.bls(1)]),
    "balances_short": lambda: reverse("sender", args=[Sender.objects.get().address]),
}
"""The page of the object that each scene breaks."""
WELL = (
    "No request has failed",
    "All is well",
    "No faults",
    "nothing is stuck",
    "None is slow",
    "have landed or",
)
"""What pages say while nothing is found."""


def plain(text: str) -> str:
    """Without ages, which grow while a test runs, and in small letters."""
    return re.sub(r"\d+ (s|min)\b", "", unescape(text)).lower()


@pytest.fixture
def quiet(monkeypatch):
    """A pool in which nothing is wrong."""
    monkeypatch.setattr("apps.core.processes.supervised", dict)
    monkeypatch.setattr("apps.core.processes.heartbeats", dict)
    operator_person()
    factories.network(params={"NetworkName": factories.NETWORK, "BlockDelaySecs": 30})
    factories.head(1000)


def verdict_on(page: str) -> str:
    return verdict_of(text_of(signed_in("olga").get(reverse(page))))


def verdict_of(text: str) -> str:
    found = re.search(r'class="verdict"[^>]*>(.*?)</p>', text, re.DOTALL)
    assert found is not None
    return found.group(1)


def test_every_check_has_a_scene():
    assert [check.name for check in CHECKS] == list(SCENES)


def test_all_checks_pass_in_a_quiet_pool(quiet):
    report = evaluate(CheckData(SYSTEM))

    assert report.found == []
    assert report.passed == len(CHECKS)
    assert re.search(rf"{len(CHECKS)} checks at \d\d:\d\d:\d\d UTC", verdict_on("today"))


@pytest.mark.parametrize("name", SCENES)
def test_check_fails_and_no_page_contradicts_it(quiet, monkeypatch, name):
    assert evaluate(CheckData(SYSTEM)).fails(name) is False

    SCENES[name](monkeypatch)

    report = evaluate(CheckData(SYSTEM))
    result = report.result(name)
    assert result is not None
    assert result.findings, name
    pages = ["today"] + [topic for topic in result.check.topics if topic != Topic.PROCESSES]
    things = "1 thing" if len(report.found) == 1 else f"{len(report.found)} things"
    for page in pages:
        text = text_of(signed_in("olga").get(reverse(page)))
        verdict = verdict_of(text)
        assert f'aria-label="{things} to look at"' in text, page
        for finding in result.findings:
            assert plain(finding.say) in plain(verdict), page
        assert not any(word in verdict for word in WELL), page
    text = text_of(signed_in("olga").get(reverse("status")))
    row = text[text.index(f'id="check-{name}"') :].partition("</tr>")[0]
    assert "failed" in row
    assert all(plain(finding.say) in plain(row) for finding in result.findings)


@pytest.mark.parametrize("name", OWN_PAGES)
def test_page_of_the_object_says_what_the_check_found(quiet, monkeypatch, name):
    SCENES[name](monkeypatch)
    result = evaluate(CheckData(SYSTEM)).result(name)
    assert result is not None

    text = text_of(signed_in("olga").get(OWN_PAGES[name]()))

    found = text[text.index('class="found"') :].partition("</ul>")[0]
    for finding in result.findings:
        assert plain(finding.say) in plain(found)


def test_page_of_a_sound_object_repeats_nothing_of_others(quiet):
    factories.miner(3001, fee_debt=10**18)
    factories.miner(3002)

    text = text_of(signed_in("olga").get(reverse("miner", args=["f03002"])))

    assert "owes" not in text[text.index('class="found"') :].partition("</ul>")[0]
    assert 'aria-label="1 thing to look at"' in text


def test_missed_windows_and_faults_reach_tiles_and_the_sectors_page(quiet):
    sectors_faulty(None)
    windows_missed(None)
    text = text_of(signed_in("olga").get("/"))

    for stat in ("post", "faults"):
        tile = text[text.index(f'id="f-stat-{stat}"') :].partition("</a>")[0]
        assert "needs action" in tile, stat
    assert "1 deadline missed" in verdict_on("sectors")
    assert "3 sectors faulty" in verdict_on("sectors")


def test_a_fault_says_its_cost_by_the_chain_cutoff_and_termination(quiet):
    reward, power = Estimate(36 * 10**18 << PRECISION), Estimate(10**12 << PRECISION)
    RewardEstimate.objects.create(
        reward_position=reward.position,
        reward_velocity=reward.velocity,
        power_position=power.position,
        power_velocity=power.velocity,
        height=1000,
    )
    miner = factories.miner(faulty_sectors=3, active_sectors=1)
    factories.deadline(miner, 4, live=4, faulty=3, open_epoch=1020, faulty_since=990)
    data = CheckData(SYSTEM)

    result = evaluate(data).result("sectors_faulty")

    assert result is not None
    [finding] = result.findings
    assert data.network is not None
    assert data.clock is not None
    fee = fault_fee(reward, power, 3 * miner.sector_size)
    period_s = data.network.proving_period * data.network.epoch_s
    assert finding.per_day == fee * 86_400 // period_s > 0
    assert finding.due_s == data.clock.starts_at(1005)
    assert "since epoch 990" in finding.reason
    assert "the chain terminates them in" in finding.reason
    todo = text_of(signed_in("olga").get("/")).partition('id="f-todo"')[2]
    assert "a day" in todo.partition("</section>")[0]
    assert "to declare recovery" in todo


def test_sum_of_costs_counts_no_sector_twice(quiet):
    reward, power = Estimate(36 * 10**18 << PRECISION), Estimate(10**12 << PRECISION)
    RewardEstimate.objects.create(
        reward_position=reward.position,
        reward_velocity=reward.velocity,
        power_position=power.position,
        power_velocity=power.velocity,
        height=1000,
    )
    miner = factories.miner(faulty_sectors=2, active_sectors=0, live_sectors=2)
    factories.deadline(miner, 1, live=2, faulty=2, active=2, forecast=Forecast.MISSED, open_epoch=1020)
    data = PageData(SYSTEM)

    assert data.report.per_day == 2 * data.fault_fee_per_day(miner, 2) > 0
    assert todo_sum(data).startswith(cost_text(data.fault_fee_per_day(miner, 2), 0))


def test_todos_are_ranked_by_fil_at_risk(quiet):
    factories.miner(3001, fee_debt=10**17)
    factories.miner(3002, fee_debt=5 * 10**18)
    factories.worker("idle", is_paused=True)

    keys = [found.finding.key for found in evaluate(CheckData(SYSTEM)).found]

    assert keys == ["debt-f03002", "debt-f03001", "hosts-paused"]


def test_a_tenant_sees_only_its_own_findings(quiet):
    person()
    person("bill", of="bob")
    factories.worker("gone", of="bob", seen_at=now() - timedelta(hours=1))
    factories.message("bad", of="bob", state=MessageState.FAILED)

    assert "gone away" in text_of(signed_in("bill").get("/"))
    assert "All is well" in text_of(signed_in("ann").get("/"))
    assert "check-processes_down" not in text_of(signed_in("ann").get(reverse("status")))


def test_senders_and_messages_count_the_same_stuck_messages(quiet):
    wallet = factories.wallet()
    factories.sender(wallet.address)
    for number in range(4):
        factories.message(f"held {number}", from_addr=wallet.address, wait=Wait.POLICY, attempts=3)

    assert "4 messages stuck" in verdict_on("messages")
    assert "4 messages stuck" in verdict_on("senders")
    assert "4 stuck" in text_of(signed_in("olga").get(reverse("senders")))


def test_many_miners_with_debts_are_summed_up(quiet):
    for number in range(9):
        factories.miner(4000 + number, fee_debt=10**18)

    result = evaluate(CheckData(SYSTEM)).result("fee_debt")

    assert result is not None
    assert len(result.findings) == 5
    assert result.count == 9
    assert json.dumps([finding.at_risk for finding in result.findings][-1]) == str(5 * 10**18)


def test_a_lost_win_says_why_by_which_sector_and_what_it_cost(quiet):
    reward = Estimate(35 * 10**18 << PRECISION)
    RewardEstimate.objects.create(
        reward_position=reward.position, reward_velocity=0, power_position=1, power_velocity=0, height=1
    )
    wins_lost(None)

    result = evaluate(CheckData(SYSTEM)).result("wins_lost")

    assert result is not None
    [finding] = result.findings
    assert finding.per_day == 7 * 10**18
    assert finding.reason == (
        f"epoch 990, sector 4: proof timeout: no answer in time; {fil(7 * 10**18)} FIL lost in 24 h"
    )
    assert finding.link is not None
    assert finding.link.page == "block-round"
