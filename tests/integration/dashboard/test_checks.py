"""One list of checks feeds every verdict: each passes and fails once, and no two pages disagree."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.urls import reverse

from apps.blocks.selectors.finality import F3Participation
from apps.blocks.states import RoundState
from apps.checks.findings.chain import f3_stalled
from apps.checks.findings.results import Finding, Severity, Topic
from apps.checks.report.cache import key_of
from apps.checks.report.evaluate import evaluate, evaluate_some
from apps.checks.report.report import Report, Result
from apps.checks.selectors.data import CheckData
from apps.checks.table.checks import CHECKS, CHECKS_BY_NAME
from apps.core.clock import now
from apps.core.formatting import fil
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.today.stats import FAULTS, SEALING, WINDOWS, stats_of
from apps.dashboard.todo import cost_text, todo_sum
from apps.messages.models import Sender
from apps.messages.states import MessageState, Wait
from apps.miners.models import Miner, RewardEstimate
from apps.proving.models import ProvingSettings
from apps.proving.states import Forecast
from apps.sectors.models import Sector
from apps.users.rules.principals import SYSTEM
from poolsite.filecoin.fixed_point import PRECISION
from poolsite.filecoin.pledge import fault_fee
from poolsite.filecoin.policy import MAINNET
from poolsite.filecoin.power import Estimate
from poolsite.wire.pipeline import SectorState
from tests import factories
from tests.integration.dashboard.check_scenes import (
    SCENES,
    network_is_public,
    recoveries_capped,
    round_of,
    sectors_faulty,
    windows_missed,
    wins_lost,
)
from tests.page_client import signed_in, text_of
from tests.people import person
from tests.shared_reports import REPORT_NOW, SharedReports

pytestmark = pytest.mark.django_db


OWN_PAGES: dict[str, Callable[[], str]] = {
    "sectors_faulty": lambda: reverse("miner", args=[Miner.objects.get().address]),
    "auto_terminations": lambda: reverse("miner", args=[Miner.objects.get().address]),
    "cutoffs_missed": lambda: reverse("miner", args=[Miner.objects.get().address]),
    "recoveries_capped": lambda: reverse("miner", args=[Miner.objects.get().address]),
    "sector_files": lambda: reverse("miner", args=[Miner.objects.get().address]),
    "windows_missed": lambda: reverse("miner", args=[Miner.objects.get().address]),
    "windows_at_risk": lambda: reverse("miner", args=[Miner.objects.get().address]),
    "roles_unheld": lambda: reverse("miner", args=[Miner.objects.get().address]),
    "doors_down": lambda: reverse("miner", args=[Miner.objects.get().address]),
    "fee_debt": lambda: reverse("miner", args=[Miner.objects.get().address]),
    "miners_unread": lambda: reverse("miner", args=[Miner.objects.get().address]),
    "worker_change_pending": lambda: reverse("miner", args=[Miner.objects.get().address]),
    "rounds_unbegun": lambda: reverse("miner", args=[Miner.objects.get().address]),
    "wins_lost": lambda: reverse("miner", args=[Miner.objects.get().address]),
    "blocks_foreign": lambda: reverse("miner", args=[Miner.objects.get().address]),
    "blocks_unstarted": lambda: reverse("miner", args=[Miner.objects.get().address]),
    "rounds_undrawn": lambda: reverse("miner", args=[Miner.objects.get().address]),
    "wins_rare": lambda: reverse("miner", args=[Miner.objects.get().address]),
    "winning_proofs_failed": lambda: reverse("miner", args=[Miner.objects.get().address]),
    "deposits_expiring": lambda: reverse("sector", args=[Sector.objects.get().uuid]),
    "tickets_expiring": lambda: reverse("sector", args=[Sector.objects.get().uuid]),
    "sectors_paused": lambda: reverse("sector", args=[Sector.objects.get().uuid]),
    "seed_ready": lambda: reverse("sector", args=[Sector.objects.get().uuid]),
    "runs_stopped": lambda: reverse("sector", args=[Sector.objects.get().uuid]),
    "changes_failed": lambda: reverse("sector", args=[Sector.objects.get().uuid]),
    "moves_failed": lambda: reverse("sector", args=[Sector.objects.get().uuid]),
    "sectors_expiring": lambda: reverse("sector", args=[Sector.objects.get().uuid]),
    "messages_stuck": lambda: reverse("message", args=["held"]),
    "messages_unapproved": lambda: reverse("message", args=["unapproved"]),
    "messages_replaced": lambda: reverse("message", args=["taken"]),
    "messages_failed": lambda: reverse("message", args=["bad"]),
    "nonce_gaps": lambda: reverse("sender", args=[factories.bls(1)]),
    "senders_foreign": lambda: reverse("sender", args=[factories.bls(1)]),
    "senders_left": lambda: reverse("sender", args=[factories.bls(1)]),
    "senders_paused": lambda: reverse("sender", args=[factories.bls(1)]),
    "balances_short": lambda: reverse("sender", args=[Sender.objects.get().address]),
}
"""The page of the object that each scene breaks."""
WELL = (
    "No requests have failed",
    "All is well",
    "No faults",
    "nothing stuck",
    "None is slow",
    "have landed or",
    "Every proof is forecast",
    "No deadline is at risk",
)
"""What pages say while nothing is found."""


def plain(text: str) -> str:
    """Without ages, which grow while a test runs, and in small letters."""
    return re.sub(r"\d+ (s|min)\b", "", unescape(text)).lower()


def verdict_on(page: str) -> str:
    return verdict_of(text_of(signed_in("olga").get(reverse(page))))


def verdict_of(text: str) -> str:
    found = re.search(r'class="verdict"[^>]*>(.*?)</p>', text, re.DOTALL)
    assert found is not None
    return found.group(1)


def test_every_check_has_a_scene():
    assert sorted(check.name for check in CHECKS) == sorted(SCENES)


def test_all_checks_pass_in_a_quiet_pool(quiet):
    report = evaluate(CheckData(SYSTEM))

    assert report.found == []
    assert report.passed == len(CHECKS)
    assert re.search(rf"{len(CHECKS)} checks at \d\d:\d\d:\d\d UTC", verdict_on("today"))


@pytest.mark.parametrize("name", SCENES)
def test_check_fails_and_no_page_contradicts_it(quiet, monkeypatch, name):
    assert evaluate_some([name], CheckData(SYSTEM)).fails(name) is False

    SCENES[name](monkeypatch)

    report = evaluate(CheckData(SYSTEM))
    result = report.result(name)
    assert result is not None
    assert result.findings, name
    assert not any(one.key.startswith("broken-") for other in report.results for one in other.findings)
    reports = SharedReports()
    reports.made[key_of(SYSTEM)] = report
    monkeypatch.setattr(REPORT_NOW, reports)  # as the task evaluates once for all pages
    pages = ["today"] + [topic for topic in result.check.topics if topic != Topic.PROCESSES]
    issues = "1 issue" if len(report.incidents) == 1 else f"{len(report.incidents)} issues"
    causes = {
        one.finding.key: incident.cause.finding.say
        for incident in report.incidents
        for one in incident.effects
    }
    client = signed_in("olga")
    for page in pages:
        text = text_of(client.get(reverse(page)))
        verdict = verdict_of(text)
        assert f'aria-label="{issues}"' in text, page
        said = verdict
        if page == "today":
            assert verdict.strip().startswith(f"<strong>{issues}")
            said = text.partition('id="f-todo"')[2].partition("</section>")[0]
        for finding in result.findings:
            told = [finding.say] if page == "today" else [finding.say, causes.get(finding.key, finding.say)]
            assert any(plain(one) in plain(said) for one in told), page
        assert not any(word in verdict for word in WELL), page
    text = text_of(client.get(reverse("checks")))
    row = text[text.index(f'id="check-{name}"') :].partition("</tr>")[0]
    assert "failed" in row
    assert all(plain(finding.say) in plain(row) for finding in result.findings)


TILES = {Topic.CHAIN: "head", Topic.MESSAGES: "messages", Topic.WALLETS: "wallets", Topic.HOSTS: "hosts"}
"""Tiles of *Today* that are about all of a page's topic."""


def tiles_of(name: str) -> set[str]:
    """Return the tiles that a check is about."""
    tiles = {TILES[topic] for topic in CHECKS_BY_NAME[name].topics if topic in TILES}
    own = (("post", WINDOWS), ("faults", FAULTS), ("sealing", SEALING))
    return tiles | {tile for tile, names in own if name in names}


@pytest.mark.parametrize("name", [name for name in SCENES if tiles_of(name)])
def test_no_tile_of_today_is_well_while_a_check_of_its_topic_fails(quiet, monkeypatch, name):
    factories.worker("there")
    factories.wallet()
    SCENES[name](monkeypatch)
    told, tiles = CHECKS_BY_NAME[name], tiles_of(name)

    tones = {stat.key: stat.tone for stat in stats_of(PageData(SYSTEM))}

    wanted = {"bad"} if told.severity == Severity.CRITICAL else {"bad", "warn"}
    assert {tile for tile in tiles if tones[tile] not in wanted} == set()


@pytest.mark.parametrize("name", OWN_PAGES)
def test_page_of_the_object_says_what_the_check_found(quiet, monkeypatch, name):
    SCENES[name](monkeypatch)
    result = evaluate_some([name], CheckData(SYSTEM)).result(name)
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
    assert 'aria-label="1 issue"' in text


def recoveries_capped_found(data):
    result = evaluate_some(["recoveries_capped"], data).result("recoveries_capped")
    assert result is not None
    return result.findings


def test_recovery_takes_days_where_one_window_does_not_take_all(quiet, monkeypatch):
    recoveries_capped(None)
    miner = Miner.objects.get()
    mainnet = dataclasses.replace(MAINNET, epoch_s=30)
    data = CheckData(SYSTEM)
    monkeypatch.setitem(data.__dict__, "network", mainnet)

    [found] = recoveries_capped_found(data)
    assert (found.count, "needs 3 d to recover" in found.say) == (7_000, True)
    assert "deadline 1: 12,000 faulty, but at most 5,000 per deadline" in plain(found.reason).replace(
        "\u202f", ","
    )
    ProvingSettings.objects.create(miner=None, recover_max=2_000)
    [found] = recoveries_capped_found(CheckData(SYSTEM))
    assert found.count == 10_000
    ProvingSettings.objects.create(miner=miner, recover_max=12_000)
    assert recoveries_capped_found(CheckData(SYSTEM)) == ()


def test_missed_windows_and_faults_reach_tiles_and_the_sectors_page(quiet):
    sectors_faulty(None)
    windows_missed(None)
    text = text_of(signed_in("olga").get("/"))

    for stat in ("post", "faults"):
        tile = text[text.index(f'id="f-stat-{stat}"') :].partition("</a>")[0]
        assert "needs action" in tile, stat
    miner = Miner.objects.get(window_posts__state="MISSED")
    assert f"deadline 1 of {miner.name}: no prover whose proofs the network accepts is connected" in text
    assert f"1 deadline of {miner.name} missed" in verdict_on("sectors")
    faulty = Miner.objects.get(faulty_sectors=3)
    assert f"3 sectors of {faulty.name} faulty" in verdict_on("sectors")


def test_findings_of_several_miners_are_told_apart_in_a_verdict(quiet):
    for number, name in ((4001, "north"), (4002, "south")):
        miner = factories.miner(number, name=name, faulty_sectors=4)
        factories.deadline(miner, 1, live=4, faulty=4, forecast=Forecast.AT_RISK)

    verdict = verdict_on("proving")

    for name in ("north", "south"):
        assert f"4 sectors of {name} faulty" in verdict
        assert f"1 deadline of {name} at risk" in verdict


def test_a_fault_says_its_cost_by_the_chain_cutoff_and_termination(priced):
    reward, power = priced
    miner = factories.miner(faulty_sectors=3, active_sectors=1)
    factories.deadline(miner, 4, live=4, faulty=3, open_epoch=1020, faulty_since=990)
    data = CheckData(SYSTEM)

    result = evaluate_some(["sectors_faulty"], data).result("sectors_faulty")

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


def test_sum_of_costs_counts_no_sector_twice(priced):
    miner = factories.miner(faulty_sectors=2, active_sectors=0, live_sectors=2)
    factories.deadline(miner, 1, live=2, faulty=2, active=2, forecast=Forecast.MISSED, open_epoch=1020)
    data = PageData(SYSTEM)

    costs = [one.finding.per_day for one in data.report.found]
    assert sum(costs) == 2 * data.fault_fee_per_day(miner, 2) > 0
    assert data.report.per_day == data.fault_fee_per_day(miner, 2)
    assert todo_sum(data).startswith(cost_text(data.fault_fee_per_day(miner, 2), 0))


@pytest.mark.parametrize(("on_chain", "counted"), [(0, 2), (10**30, 2), (1, 0)])
def test_sum_at_risk_counts_no_deposit_twice(priced, on_chain, counted):
    miner = factories.miner(deposits=on_chain)
    away = factories.worker("sealer", seen_at=now() - timedelta(hours=1))
    sector = factories.sector(
        miner,
        state=SectorState.SEED_ASSIGNED,
        held_by=away,
        precommit_epoch=990,
        paused_at=now(),
        error="no host",
    )
    data = PageData(SYSTEM)

    assert data.reward is not None
    deposit = data.reward.deposit(sector.sector_size)
    assert [one.finding.deposits for one in data.report.found if one.finding.deposits] == [deposit] * 2
    assert data.report.at_risk == (counted * deposit or on_chain)


@pytest.mark.parametrize(
    ("finalized", "asked_height", "lag"), [(960, 1000, "40 epochs"), (960, 985, ""), (960, None, "")]
)
def test_f3_is_late_by_what_it_lacked_when_asked(quiet, monkeypatch, finalized, asked_height, lag):
    said = F3Participation(is_running=True, finalized=finalized, head_height=asked_height)
    monkeypatch.setattr("apps.checks.selectors.data.f3_read", lambda: {"one": said})
    assert not [*f3_stalled(CheckData(SYSTEM))], "a devnet"

    network_is_public(monkeypatch)

    assert [found.say for found in f3_stalled(CheckData(SYSTEM))] == ([f"F3 is {lag} behind"] if lag else [])


def test_todos_are_ranked_by_fil_at_risk_whatever_their_severity(quiet):
    factories.miner(3001, fee_debt=10**17)
    factories.miner(3002, fee_debt=5 * 10**18)
    factories.worker("idle", is_paused=True)
    old = now() - timedelta(hours=1)
    sent: dict[str, Any] = {"nonce": 0, "filled_at": old, "published_at": old, "gas_fee_cap": 10**18}
    factories.message("held", state=MessageState.FILLED, wait=Wait.NODE_REFUSES, value=10**18, **sent)

    keys = [found.finding.key for found in evaluate(CheckData(SYSTEM)).found]

    assert keys == ["debt-f03002", "stuck", "debt-f03001", "hosts-paused"]


def test_critical_without_a_figure_stands_after_losses_and_is_counted(quiet, monkeypatch):
    factories.miner(3001, fee_debt=5 * 10**18)
    SCENES["console_disk"](monkeypatch)
    data = PageData(SYSTEM)

    assert [found.finding.key for found in data.report.found] == ["debt-f03001", "console-disk"]
    assert todo_sum(data) == f"{cost_text(0, 5 * 10**18)}, 1 with unknown cost"
    text = text_of(signed_in("olga").get("/"))
    assert "cost unknown" in text.partition('id="f-todo"')[2].partition("</section>")[0]
    assert "2 critical" in verdict_of(text)
    assert "1 with unknown cost" in verdict_of(text)


def finding(key: str, **facts: Any) -> Finding:
    return Finding(key, key, **facts)


def test_what_is_lost_this_week_stands_before_what_is_lost_later():
    at = now()
    in_days = {days: int(at.timestamp()) + days * 86_400 for days in (1, 6, 20)}
    warn, bad = CHECKS_BY_NAME["hosts_paused"], CHECKS_BY_NAME["fee_debt"]
    report = Report(
        at,
        (
            Result(warn, (finding("quiet"), finding("in 20 d", per_day=9 * 10**18, due_s=in_days[20]))),
            Result(
                warn,
                (finding("now", per_day=10**18), finding("in 6 d", per_day=2 * 10**18, due_s=in_days[6])),
            ),
            Result(bad, (finding("unknown"), finding("once", at_risk=5 * 10**18, due_s=in_days[1]))),
        ),
    )

    keys = [found.finding.key for found in report.found]

    assert keys == ["now", "once", "in 6 d", "unknown", "in 20 d", "quiet"]
    assert report.unpriced == 1


def test_a_cost_that_another_finding_has_is_not_added_up():
    faults, cutoff = (CHECKS_BY_NAME[name] for name in ("sectors_faulty", "cutoffs_missed"))
    report = Report(
        now(),
        (
            Result(faults, (finding("faults", per_day=7),)),
            Result(cutoff, (finding("cutoff", per_day=3, is_part=True),)),
        ),
    )

    assert report.per_day == 7
    assert dataclasses.replace(report, per_day_max=5).per_day == 7, "no sum is below one of its parts"


def test_a_tenant_sees_only_its_own_findings(quiet):
    person()
    person("bill", of="bob")
    factories.worker("gone", of="bob", seen_at=now() - timedelta(hours=1))
    factories.message("bad", of="bob", state=MessageState.FAILED)

    assert "gone offline" in text_of(signed_in("bill").get("/"))
    assert "All is well" in text_of(signed_in("ann").get("/"))
    assert "check-processes_down" not in text_of(signed_in("ann").get(reverse("checks")))


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

    result = evaluate_some(["fee_debt"], CheckData(SYSTEM)).result("fee_debt")

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

    result = evaluate_some(["wins_lost"], CheckData(SYSTEM)).result("wins_lost")

    assert result is not None
    [finding] = result.findings
    assert finding.per_day == 7 * 10**18
    assert finding.reason == (
        f"epoch 990, sector 4: no proof in time: no answer in time; {fil(7 * 10**18)} FIL lost in 24 h"
    )
    assert finding.link is not None
    assert finding.link.page == "block-round"


def test_wins_that_one_signer_lost_are_one_finding(quiet):
    for epoch in (990, 991):
        round_of(state=RoundState.SIGNER_AWAY, win_count=1, epoch=epoch, reason="no signer is connected")
    round_of(state=RoundState.PROOF_TIMEOUT, win_count=1, epoch=992, reason="no answer in time")
    assert Miner.objects.count() == 3

    result = evaluate_some(["wins_lost"], CheckData(SYSTEM)).result("wins_lost")

    assert result is not None
    assert sorted(finding.count for finding in result.findings) == [1, 2]


def test_only_a_sealing_folder_that_cannot_be_read_is_away() -> None:
    away = {"sectors": 1, "reason": "/b is not there"}
    full = {"total_bytes": 1 << 40, "reason": "/c is full except for its reserve: no new sectors start there"}
    disks = [{"folder": "/a"}, {"folder": "/b", "sealing": away}, {"folder": "/c", "sealing": full}]
    disks.append({"folder": "/d", "sealing": {"total_bytes": 1 << 40}})
    factories.worker("here", hardware={"disks": disks})
    silent = now() - timedelta(hours=1)
    factories.worker("silent", hardware={"disks": disks}, seen_at=silent)

    result = evaluate_some(["sealing_stores_away"], CheckData(SYSTEM)).result("sealing_stores_away")
    assert result is not None
    assert [(one.say, one.reason) for one in result.findings] == [
        (
            "sealing folder /b of here is unavailable",
            "/b is not there; 1 unfinished sector there, and none starts",
        )
    ]
