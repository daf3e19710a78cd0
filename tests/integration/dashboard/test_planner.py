"""Page *Planner* and its REST twin: the farm's numbers, typed ones instead, the money and when it ends."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.chain.node.client import chain_client
from apps.core import clock
from apps.core.formatting import tenths, whole
from apps.dashboard.pages.planner.page import limit_text
from apps.messages.selectors.balances import spend_open
from apps.miners.models import Miner
from apps.sectors.models import BatchSettings, SealTarget, Worker
from apps.sectors.rules.planner import COMMIT, DISK, ROOMS_MAX, SEED, STAGES, Outcome, Plan
from apps.sectors.selectors.batch_settings import batch_policy
from apps.sectors.services.plans import plan_costs_estimate, plan_values_collect
from apps.sectors.services.sealing.prices import PledgePrice
from poolsite.filecoin.policy import network_by_name
from poolsite.filecoin.sector import RegisteredSealProof
from tests import factories
from tests.factories import DEPOSIT, FIL, PLEDGE, MinerNode
from tests.page_client import signed_in, text_of
from tests.people import bearer, person, principal, token

pytestmark = pytest.mark.django_db

PROOF_8MIB = int(RegisteredSealProof.STACKED_DRG_8MIB_V1_1)
HOUR: dict[str, Any] = {f"s_{step}": "0" for step in (*STAGES, SEED, COMMIT)} | {"s_PC1": "3600"}
"""An hour of PC1 and nothing else."""


def miner_with_balance(balance: int) -> Miner:
    address = factories.bls(77)
    factories.wallet(address, balance=balance)
    return factories.miner(2001, worker=address, owner=address)


def test_present_numbers_come_from_hosts_history_and_network():
    miner = factories.miner(2001)
    alpha = factories.worker("alpha", slots={"PC1": 3}, hardware={"disk_total_bytes": 2048 * 33})
    factories.worker("beta", slots={"PC1": 1}, hardware={"disk_total_bytes": 2048 * 67})
    factories.worker("held", slots={"PC1": 9}, is_paused=True)
    factories.worker("gone", slots={"PC1": 9}, seen_at=clock.now() - timedelta(days=1))
    factories.worker("other", of="bob", slots={"PC1": 9})
    sector = factories.sector(miner)
    factories.events(sector, [("PC1", "PC1", 40.0), ("PC1", "PC1", 60.0)], worker=alpha)
    larger = factories.sector(factories.miner(2002, seal_proof=PROOF_8MIB), seal_proof=PROOF_8MIB)
    factories.events(larger, [("PC1", "PC1", 9_000.0)], worker=alpha)

    network = network_by_name(factories.NETWORK)
    operator = principal(is_operator=True)
    values = plan_values_collect(operator, miner=miner, network=network, now=sector.created_at)

    got: dict[str, Any] = {key: (one.value, one.source) for key, one in values.items()}
    assert got["hosts"] == (2, "host")
    assert got["slots_PC1"] == (2, "mean"), "of three and one"
    assert got["slots_PC2"] == (0, "host"), "both alike"
    assert got["rooms"] == (3, "host"), "50 sizes in the mean, 16.1 each"
    assert got["s_PC1"] == (50, "measured")
    assert values["s_PC1"].runs == 2
    assert got["s_PC2"] == (1, "published"), "a smaller sector has to be claimed and reported, too"
    assert got["s_PERSIST"][1] == "guess"
    assert got[f"s_{SEED}"] == ((network.pre_commit_challenge_delay + 6) * network.epoch_s, "network")


def test_a_farm_without_hosts_is_assumed(ann: None, quiet: None) -> None:
    shown = text_of(signed_in().get(reverse("planner"), {"s_PC1": "0.001", "s_PC2": "0.001"}))

    assert "assumed: no host has reported it" in shown
    assert "guess: a disk of 200 MiB/s" in shown


def test_the_page_simulates_what_is_typed(ann: None, quiet: None) -> None:
    factories.worker("alpha", slots=dict.fromkeys(STAGES, 1))
    given = HOUR | {"hosts": "2", "rooms": "4", "slots_PC1": "2"}

    shown = text_of(signed_in().get(reverse("planner"), given))

    # Two hosts with two slots of an hour each: 4 an hour.
    assert "96.0 sectors per day" in shown
    assert "Limited by PC1: 2 slots per host" in shown
    assert "One more host" in shown
    assert "to 144.0 per day" in shown
    assert "choose a miner" in shown


def test_nonsense_is_refused_beside_its_field(ann: None, quiet: None) -> None:
    for wrong in ({"s_PC1": "nan"}, {"s_PC1": "-1"}, {"slots_PC1": "many"}, {"hosts": "99999999"}):
        shown = text_of(signed_in().get(reverse("planner"), wrong))
        assert "Invalid value ignored:" in shown
        assert "must be" in shown


def test_one_wrong_field_leaves_the_others(ann: None, quiet: None) -> None:
    shown = text_of(signed_in().get(reverse("planner"), {"hosts": "7", "s_PC1": "nan", "slots_PC2": "many"}))

    assert "must be seconds" in shown
    assert "must be a whole number" in shown
    assert 'name="hosts" type="number" min="0" value="7"' in shown


def test_what_was_measured_stays_so_when_sent_back(ann: None, quiet: None) -> None:
    alpha = factories.worker("alpha", slots={"PC1": 1})
    factories.events(factories.sector(factories.miner(2001)), [("PC1", "PC1", 12345.678)], worker=alpha)
    browser = signed_in()
    assert 'value="12345.678"' in text_of(browser.get(reverse("planner")))

    assert "measured, 1 run" in text_of(browser.get(reverse("planner"), {"s_PC1": "12345.678"}))


def test_money_is_counted_by_the_day_until_it_is_gone(node: MinerNode) -> None:
    miner, head = miner_with_balance(10 * FIL), factories.head(1000)
    network = network_by_name(factories.NETWORK)

    costs = plan_costs_estimate(miner, per_day=2.5, client=chain_client(), head=head, network=network)

    price: PledgePrice = costs.price
    assert price.deposit == pytest.approx(DEPOSIT, rel=0.2)
    assert costs.locked_per_day == round(price.locked * 2.5)
    assert price.pledge >= PLEDGE
    [payer] = costs.payers
    assert payer.per_day == round((price.locked + price.gas) * 2.5)
    assert payer.left == 10 * FIL - sum(spend_open([miner.worker]).values())
    assert payer.days == pytest.approx(payer.left / payer.per_day)


def test_a_balance_that_pays_alone_lasts_beside_what_is_under_way(node: MinerNode) -> None:
    miner, head = miner_with_balance(10 * FIL), factories.head(1000)
    BatchSettings.objects.create(miner=miner, send_funds=False)
    factories.sector(miner, state="PC1_DONE")
    network = network_by_name(factories.NETWORK)

    costs = plan_costs_estimate(miner, per_day=2, client=chain_client(), head=head, network=network)

    _, own = costs.payers
    left = int(miner.available) - costs.price.locked
    assert (own.address, own.left, own.per_day) == (miner.address, left, 2 * costs.price.locked)


def test_rest_plans_alike(node: MinerNode) -> None:
    miner = miner_with_balance(10 * FIL)
    factories.head(1000)
    client = Client(headers={"authorization": f"Bearer {token('read')}"})

    found = client.get("/api/v1/planner", HOUR | {"rooms": "4", "miner": miner.address}).json()

    assert found["per_day"] == pytest.approx(24)
    assert found["limit"] == "PC1"
    assert found["bytes_per_day"] == pytest.approx(24 * 2048, abs=1)
    assert found["gains"][0]["per_day"] == pytest.approx(48, rel=1e-3)
    assert int(found["costs"]["locked_per_day"]) > 0
    assert found["costs"]["payers"][0]["days"] > 0
    [typed] = [one for one in found["values"] if one["key"] == "s_PC1"]
    assert (typed["value"], typed["origin"]) == (3600, "typed")
    refused = client.get("/api/v1/planner?rooms=many")
    assert (refused.status_code, refused.json()["field"]) == (400, "rooms")
    assert client.get("/api/v1/planner?rooma=1").status_code == 400


def test_a_strangers_miner_and_hosts_are_not_there() -> None:
    factories.worker("alpha", slots={"PC1": 7})
    miner = factories.miner(2001)
    person("bill", of="bob")
    browser = signed_in("bill")

    assert browser.get(reverse("planner"), {"miner": miner.address}).status_code == 404
    assert 'value="7"' not in text_of(browser.get(reverse("planner")))


def test_the_bound_of_the_simulation_is_no_disk():
    assert tenths(1_873_243.81) == f"{whole(1_873_243)}.8"

    plan = Plan(hosts=2, rooms=ROOMS_MAX, slots={}, seconds={})
    outcome = Outcome(per_day=1.0, sector_s=1.0, limit=DISK, use={})

    assert "the maximum that is simulated" in limit_text(plan, outcome, {})


def test_hosts_without_disk_or_memory_for_a_sector_make_none(ann: None, quiet: None) -> None:
    small = {"disk_total_bytes": 500 << 30, "ram_bytes": 64 << 30}
    host = factories.worker("alpha", slots=dict.fromkeys(STAGES, 1), hardware=small)
    browser = signed_in()

    def told() -> tuple[str, Any]:
        return text_of(browser.get(reverse("planner"))), browser.get("/api/v1/planner").json()

    shown, found = told()
    assert "0.0 sectors per day" in shown
    assert "Limited by the memory: not enough on any host for one PC1 slot" in shown, (
        "the disk has none either"
    )
    assert (found["per_day"], found["limit"]) == (0, "memory")

    Worker.objects.filter(pk=host.pk).update(hardware=small | {"ram_bytes": 128 << 30})
    shown, found = told()
    assert "Limited by the disk: no room for a sector on any host" in shown
    assert (found["per_day"], found["limit"]) == (0, DISK)

    Worker.objects.filter(pk=host.pk).update(hardware={"disk_total_bytes": 600 << 30, "ram_bytes": 128 << 30})
    assert told()[1]["per_day"] > 0


def test_slots_that_the_memory_does_not_hold_are_not_counted() -> None:
    two = {"disk_total_bytes": 6 << 40, "ram_bytes": 150 << 30}  # of 64 GiB each
    factories.worker("alpha", slots={"PC1": 4, "C2": 2}, hardware=two)
    values = plan_values_collect(principal(), miner=None, network=None, now=clock.now())
    assert (values["slots_PC1"].value, values["slots_PC1"].source) == (2, "memory")
    assert values["slots_C2"].value == 2, "a host that makes no Groth16 proofs holds little for them"
    factories.worker("beta", slots={"PC1": 4}, hardware={"disk_total_bytes": 100 << 30})
    values = plan_values_collect(principal(), miner=None, network=None, now=clock.now())
    assert (values["rooms"].value, values["slots_PC1"].value) == (6, 3), "one with room, one without; 2 and 4"


def test_a_goal_is_answered_in_figures_with_where_its_times_come_from(ann: None, quiet: None) -> None:
    given = HOUR | {"hosts": "1", "rooms": "1", "goal": "64 GiB"}
    page = text_of(signed_in().get(reverse("planner"), given))

    assert "What the plan takes" in page
    assert "assumed: none was measured on this farm with this sector size" in page
    assert ">choose a miner</td>" in page
    done = (clock.now() + timedelta(hours=3)).date()
    assert f"{done:%Y}" in page


def test_a_goal_that_cannot_be_read_is_refused_and_stays(ann: None, quiet: None) -> None:
    for goal, by, reason in (
        ("a lot", "", "enter a size, such as 500 GiB"),
        ("", "2035-01-01", "enter a size, such as 500 GiB"),
        ("1 TiB", "2020-01-01", "the date must be in the future"),
        ("1 TiB", "soon", "enter a date such as 2026-12-31"),
    ):
        page = text_of(signed_in().get(reverse("planner"), {"goal": goal, "by": by}))
        assert reason in page, (goal, by)
        assert f'value="{goal}"' in page
        assert "What the plan takes" not in page


@pytest.mark.usefixtures("contexts")
def test_two_plans_stand_side_by_side_and_one_becomes_the_target(
    ann: None, quiet: None, node: MinerNode
) -> None:
    miner = miner_with_balance(100 * FIL)
    client, given = (
        signed_in(),
        HOUR | {"rooms": "4", "slots_PC1": "2", "miner": miner.address, "goal": "8 KiB"},
    )
    page = text_of(client.get(reverse("planner"), given | {"hosts": "1"}))
    compare = unescape(re.findall(r'href="([^"]*other=[^"]*)"', page)[0])

    both = text_of(client.get(f"{compare}&hosts=3"))
    assert "The other plan" in both
    assert re.search(r"Hosts</th>\s*<td[^>]*>3</td>\s*<td[^>]*>1</td>", both)
    charts = client.get(f"{compare}&hosts=3").context["goal"]["charts"]
    assert [one.key for one in charts] == ["plan-power", "plan-fil"]
    assert [str(one.label) for one in charts[0].lines] == ["This plan", "The other plan"]
    assert len(charts[1].lines) == 4
    last = dict(charts[0].rows[-1][1])
    assert last["This plan"] == last["The other plan"] == "8 KiB", "both go on until the slower is done"
    middle = dict(charts[0].rows[len(charts[0].rows) // 2][1])
    assert middle["This plan"] != middle["The other plan"]
    alone = client.get(reverse("planner"), given | {"hosts": "1"}).context["goal"]["charts"]
    assert [str(one.label) for one in alone[0].lines] == ["Power"]
    assert "trend-plan-fil" in both
    locked = PLEDGE * (100 + batch_policy(miner).funds_margin_percent) // 100
    assert f"{4 * locked / FIL:.4f} FIL" in both, "of four sectors"
    target = unescape(re.findall(r'href="([^"]*/target/[^"]*)"', both)[0])
    form = text_of(client.get(target))
    assert 'value="8 KiB"' in form, "the power with four sectors of 2 KiB"
    assert not SealTarget.objects.exists(), "it is set by its own button"


def test_hosts_that_are_not_counted_or_not_measured_are_named(ann: None, quiet: None) -> None:
    miner, disk = factories.miner(2001), {"disk_total_bytes": 1 << 40}
    measured = factories.worker("measured", hardware=disk)
    factories.worker("untimed", hardware=disk)
    factories.worker("diskless", hardware={})
    factories.worker("held", hardware=disk, is_paused=True)
    factories.worker("gone", hardware=disk, seen_at=clock.now() - timedelta(days=1))
    factories.worker("foreign", of="bob", hardware=disk, is_paused=True)
    factories.events(factories.sector(miner), [("PC1", "PC1", 40.0)], worker=measured)

    page = text_of(signed_in().get(reverse("planner"), {"miner": miner.address}))
    body = Client().get("/api/v1/planner", {"miner": miner.address}, headers=bearer(token("read"))).json()

    assert "Offline, not counted: gone." in page
    assert "Paused, not counted: held." in page
    assert "No disk reported, counted like the others: diskless." in page
    assert "No run with this sector size, counted like the others: untimed." in page
    assert "foreign" not in page
    assert {(one["name"], one["why"]) for one in body["gaps"]} == {
        ("gone", "offline"),
        ("held", "paused"),
        ("diskless", "no_disk"),
        ("untimed", "no_times"),
    }


def test_another_tenants_miner_is_in_no_plan(ann: None, quiet: None) -> None:
    other = factories.miner(2009, of="bob")
    client = signed_in()

    assert client.get(reverse("planner"), {"miner": other.address, "goal": "1 GiB"}).status_code == 404
    query = {"goal": "1 GiB", "other": f"miner={other.address}&goal=1+GiB"}
    assert client.get(reverse("planner"), query).status_code == 404


def test_rest_answers_a_goal_and_refuses_one_by_its_field(ann: None, quiet: None, node: MinerNode) -> None:
    miner, headers = miner_with_balance(100 * FIL), bearer(token("read"))
    given = HOUR | {"rooms": "4", "slots_PC1": "2", "hosts": "1", "miner": miner.address}
    found = Client().get("/api/v1/planner", given | {"goal": str(8 << 10)}, headers=headers).json()["answer"]

    locked = PLEDGE * (100 + batch_policy(miner).funds_margin_percent) // 100
    assert (found["sectors"], found["locked"], found["hosts_needed"]) == (4, str(4 * locked), None)
    assert found["reward"] is None, "no node has told the chain's estimates"
    assert len(found["curve"]) == 61
    assert Client().get("/api/v1/planner", given, headers=headers).json()["answer"] is None
    for goal, by, field in (
        ("8 KiB", "", "goal"),
        ("0", "", "goal"),
        ("", "2035-01-01", "goal"),
        ("9", "2020-01-01", "by"),
        ("9", "soon", "by"),
    ):
        answer = Client().get("/api/v1/planner", {"goal": goal, "by": by}, headers=headers)
        assert (answer.status_code, answer.json()["field"]) == (400, field), (goal, by)
