"""The page Proving: what is next, a month of margins, faults, bad files; dry runs and tests of sectors."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.core.clock import now
from apps.core.reasons import coded
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.miners.listing import miner_row
from apps.dashboard.pages.proving.page import heat_map, verdict_of
from apps.dashboard.pages.today.page import verdict_of as overview_verdict_of
from apps.miners.models import Miner
from apps.proving.models import CheckRun, SectorCheck, WindowPost
from apps.proving.reasons import NO_SIGNER
from apps.proving.services.check_results import checks_collect
from apps.proving.states import Forecast
from apps.proving.tasks import proving_context
from apps.sectors.models import Job, Worker
from apps.users.models import AuditEntry, User
from apps.users.rules.principals import SYSTEM
from poolsite.wire.jobs import JobKind
from tests import factories, people
from tests.integration.dashboard.check_scenes import SCENES
from tests.page_client import signed_in, text_of
from tests.unit.apps.proving.chain import OneDeadline
from tests.unit.apps.proving.retries import done

pytestmark = pytest.mark.django_db

KINDS = [JobKind.WINDOW_POST, JobKind.SECTOR_CHECK]


@pytest.fixture
def north(monkeypatch: pytest.MonkeyPatch) -> Miner:
    """A miner with two sectors in deadline 1, seen at epoch 962."""
    people.person("ann")
    factories.head(962)
    of = factories.miner(2001, name="north", proving_period_start=960)
    row = factories.deadline(
        of, 1, live=2, faulty=1, faulty_since=950, forecast=Forecast.AT_RISK, reason="no signer", miss=0.073
    )
    factories.partition(row, all_sectors=[1, 2], live=[1, 2], active=[1], faulty=[2])
    factories.worker("p", kinds=KINDS, stores=["store-1"])
    chain = OneDeadline()
    chain.call_many = lambda calls: [[chain._partition([1, 2])] for _ in calls]  # type: ignore[method-assign]
    monkeypatch.setattr("apps.proving.tasks.chain_client", lambda: chain)
    return of


@pytest.mark.parametrize(
    ("forecasts", "sentence"),
    [
        ((Forecast.WILL_LAND, Forecast.LANDED), "Every proof is forecast to land."),
        ((Forecast.WILL_LAND, Forecast.LATER), "No deadline is at risk."),
        ((Forecast.WILL_LAND, Forecast.ELSEWHERE), ""),
        ((Forecast.WILL_LAND, Forecast.MISSED), ""),
    ],
)
def test_the_sentence_claims_no_more_than_the_forecasts_of_all_deadlines(quiet, forecasts, sentence):
    of = factories.miner(active_sectors=2, live_sectors=2)
    for index, forecast in enumerate(forecasts):
        factories.deadline(of, index, live=2, forecast=forecast)

    verdict, overview = verdict_of(PageData(SYSTEM)), overview_verdict_of(PageData(SYSTEM))

    assert (verdict.strong if sentence else "") == sentence
    assert sentence or "forecast to land" not in f"{verdict.strong} {verdict.rest}"
    assert "2 deadlines with sectors." in verdict.rest
    assert overview.rest.partition(" in progress.")[2].strip() == sentence


def test_nothing_is_forecast_while_the_deadlines_of_a_miner_are_not_read(quiet):
    read = factories.miner(active_sectors=2, live_sectors=2)
    factories.deadline(read, 1, live=2, forecast=Forecast.WILL_LAND)
    factories.miner(2002, active_sectors=2, live_sectors=2)

    assert verdict_of(PageData(SYSTEM)).strong == ""
    overview = overview_verdict_of(PageData(SYSTEM))
    assert (overview.strong, overview.rest) == ("All is well:", "4 sectors active, 0 in progress.")


@pytest.mark.parametrize("scene", ["chain_stalled", "nodes_unreadable", "recovery", "signers_away"])
def test_nothing_is_forecast_to_land_where_something_else_keeps_it(quiet, monkeypatch, scene):
    factories.deadline(factories.miner(active_sectors=2), 1, live=2, forecast=Forecast.WILL_LAND)
    SCENES[scene](monkeypatch)

    verdict = verdict_of(PageData(SYSTEM))

    assert verdict.strong == "1 issue:"
    assert "forecast to land" not in verdict.rest


def test_a_critical_finding_of_another_topic_silences_the_forecast(quiet):
    factories.deadline(factories.miner(fee_debt=10**18), 1, live=2, forecast=Forecast.WILL_LAND)

    assert verdict_of(PageData(SYSTEM)).strong == ""


def windows(of: Miner, **landed: int | None) -> None:
    """Proofs of earlier periods of deadline 1, by how many periods ago."""
    for name, height in landed.items():
        opens = 970 - 60 * int(name[1:])
        WindowPost.objects.create(
            miner=of,
            deadline_index=1,
            open_epoch=opens,
            close_epoch=opens + 10,
            challenge_epoch=opens - 2,
            state="MISSED" if height is None else "LANDED",
            landed_height=None if height is None else opens + height,
            randomness=b"r",
        )


def bad_sector(of: Miner) -> None:
    SectorCheck.objects.create(
        miner=of,
        number=1,
        deadline_index=1,
        store="store-1",
        host="p",
        is_good=False,
        path="/store/sealed/s-t02001-1",
        reason="it is missing",
        checked_at=now(),
        height=940,
        bad_since=940,
        bad_times=1,
    )


def page(path: str = "/proving/", who: str = "ann") -> str:
    answer = signed_in(who).get(path)
    assert answer.status_code == 200
    return answer.content.decode()


def test_page_shows_risk_margins_faults_and_files(north: Miner) -> None:
    windows(north, p1=1, p2=9, p3=None)
    bad_sector(north)

    text = page()

    assert "7.3 %" in text
    assert "no signer" in text
    assert "landed 9 epochs before its close" in text
    assert "landed 1 epoch before its close" in text
    assert "deadline 1: missed" in text
    assert "1 missed, 1 late" in text
    assert "/store/sealed/s-t02001-1" in text
    assert "epoch 950" in text


def test_windows_without_a_proof_are_not_said_to_have_had_no_sectors(quiet: None) -> None:
    of = factories.miner(works_from=965, active_sectors=4, live_sectors=4)
    for index in (0, 1):  # their rows are in the next period: in this one the pool proves from 965 on
        factories.deadline(of, index, live=1, period_start=1020, open_epoch=1020 + 10 * index)
    factories.deadline(of, 2, period_start=1020, open_epoch=1040)
    for index in (4, 5):
        factories.deadline(of, index, live=1)
    data = PageData(SYSTEM)

    strip = miner_row(of, data=data, in_work=0).strip
    heat = heat_map(of, data)

    assert strip is not None
    assert strip.label == (
        f"{of.address}: 4 of 6 deadlines have sectors; deadline 0: proven elsewhere; deadline 1: no proof"
        " recorded; deadline 4: 1 sector, upcoming; deadline 5: 1 sector, upcoming"
    )
    assert heat is not None
    assert [cell.title.partition(": ")[2] for cell in heat.rows[0].cells] == [
        "proven elsewhere",
        "no proof recorded",
        "nothing to prove",
        "nothing to prove",
        "upcoming",
        "upcoming",
    ]


def test_heat_map_reads_sums_and_no_proof(north: Miner, django_assert_max_num_queries: Any) -> None:
    windows(north, **{f"p{back}": 3 for back in range(1, 29)})
    ann = signed_in("ann")
    ann.get("/proving/")

    with django_assert_max_num_queries(60) as asked:
        ann.get("/proving/")

    reads = [one["sql"] for one in asked if 'FROM "proving_windowpost"' in one["sql"]]
    assert sum("GROUP BY" in sql for sql in reads) == 1


def test_deadline_and_partition_show_sectors_and_preconditions(north: Miner) -> None:
    north.deadlines.update(
        unmet_preconditions={"signer": "no signer holds f3x", "policy": "a limit of an older version"},
        unmet_coded={"signer": coded(NO_SIGNER(sender="f3x"))},
    )
    bad_sector(north)

    text = page(reverse("proving-deadline", args=[north.address, 1]))
    assert "no signer holds f3x" in text
    assert "a limit of an older version" in text
    User.objects.update(language="zh-hans")
    assert "没有签名机持有 f3x 的密钥" in page(reverse("proving-deadline", args=[north.address, 1]))
    User.objects.update(language="")
    assert "Partition 0" in text
    text = page(reverse("proving-partition", args=[north.address, 1, 0]))
    assert "it is missing" in text
    assert "faulty" in text


def test_deadline_names_left_out_sectors_by_host_and_path(north: Miner) -> None:
    windows(north, p1=1)
    store = factories.store(Worker.objects.get(name="p"), "cold", uid="u-cold")
    factories.sector(north, number=1, state="PROVING", active=True, store="cold")
    WindowPost.objects.update(skipped={"0": [1, 2, 3, 4]})

    text = page(reverse("proving-deadline", args=[north.address, 1]))

    assert "4 sectors skipped" in text
    assert f"1 on p, {store.attachments.get().path}/sealed/s-t02001-1" in text
    assert "2, in no known store" in text
    assert "and 1 more" in text


@pytest.mark.parametrize("path", ["proving-deadline", "proving-partition", "proving-dry-run", "proving-test"])
def test_strangers_find_nothing(north: Miner, path: str) -> None:
    people.person("bea", of="bob")
    arguments = {"proving-partition": [north.address, 1, 0]}.get(path, [north.address, 1])
    bea, href = signed_in("bea"), reverse(path, args=arguments)

    answer = bea.post(href) if path in ("proving-dry-run", "proving-test") else bea.get(href)

    assert answer.status_code == 404
    assert "north" not in page(who="bea")
    assert not CheckRun.objects.exists()


def test_stores_that_no_host_reads_are_not_told_as_whole(north: Miner) -> None:
    whole, unread = (
        "All checked sectors have their files.",
        "Cannot be checked now: sectors in store-1, which",
    )
    factories.store(Worker.objects.get(), "store-1")
    before = text_of(signed_in().get(reverse("proving")))
    Worker.objects.update(seen_at=now() - timedelta(hours=1))

    after = text_of(signed_in().get(reverse("proving")))

    assert whole in before
    assert unread not in before
    assert f"{whole} {unread} no host can read." in after


def test_sector_is_tested_from_the_page_and_leaves_a_line(north: Miner) -> None:
    ann, href = signed_in("ann"), reverse("proving-test", args=[north.address, 1])

    assert ann.post(href).status_code == 302
    run = CheckRun.objects.get()
    assert (run.kind, run.sectors, run.store, run.actor != "") == ("TEST", [1], "store-1", True)
    assert AuditEntry.objects.filter(action="proving.sector_test").count() == 1
    assert ann.post(href).status_code == 409, "one is running"
    assert ann.post(reverse("proving-test", args=[north.address, 99])).status_code == 404

    Job.objects.update(state="DONE", result={"worker": "p", "faults": [], "stores": ["store-1"]})
    context = proving_context()
    assert context is not None
    checks_collect(context)
    assert "Test of a sector" in page()
    assert SectorCheck.objects.get(number=1).is_good


def test_dry_run_makes_the_whole_proof_and_sends_nothing(
    north: Miner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.proving.services.check_results.proof_check", lambda _job: None)
    ann, href = signed_in("ann"), reverse("proving-dry-run", args=[north.address, 1])

    assert ann.post(href).status_code == 302
    run = CheckRun.objects.select_related("job").get()
    assert (run.kind, run.sectors) == ("DRY_RUN", [1, 2])
    assert AuditEntry.objects.filter(action="proving.dry_run").count() == 1
    assert ann.post(href).status_code == 409

    done(run.job, faults=[2])
    context = proving_context()
    assert context is not None
    checks_collect(context)
    run.refresh_from_db()
    assert (run.state, [one["number"] for one in run.bad]) == ("DONE", [2])
    headers = people.bearer(people.token("read", of="alice"))
    told = Client().get(f"/api/v1/miners/{north.address}/checks", headers=headers).json()["results"][0]["bad"]
    assert [(one["number"], one["reason_code"]) for one in told] == [(2, "proving.unread")]
    User.objects.update(language="zh-hans")
    assert str(told[0]["reason"]) not in page(reverse("proving-deadline", args=[north.address, 1]))


def test_no_host_in_charge_is_said_and_nothing_begins(north: Miner) -> None:
    factories.sector(north, number=1, state="PROVING", store="elsewhere")

    answer = signed_in("ann").post(reverse("proving-test", args=[north.address, 1]))

    assert answer.status_code == 409
    assert "no online host that checks sectors has its store" in answer.content.decode()
    assert not CheckRun.objects.exists()


def test_rest_has_the_same(north: Miner, client: Any) -> None:
    headers = people.bearer(people.token("write", of="alice"))
    base = f"/api/v1/miners/{north.address}"

    begun = client.post(f"{base}/sectors/1/test", headers=headers)
    assert (begun.status_code, begun.json()["kind"]) == (201, "TEST")
    assert client.post(f"{base}/sectors/1/test", headers=headers).status_code == 409
    ran = client.post(f"{base}/deadlines/1/dry-run", headers=headers)
    assert (ran.status_code, len(ran.json()["results"])) == (201, 1)
    kinds = [row["kind"] for row in client.get(f"{base}/checks", headers=headers).json()["results"]]
    assert kinds == ["DRY_RUN", "TEST"]
    [deadline] = client.get(f"{base}/deadlines", headers=headers).json()["results"]
    assert (deadline["miss"], deadline["unmet_preconditions"]) == (0.073, {})
    assert client.get(f"{base}/fault-declarations", headers=headers).json() == {"results": []}
    assert AuditEntry.objects.filter(action__startswith="proving.").count() == 2
    other = people.bearer(people.token("write", of="bob"))
    assert client.post(f"{base}/sectors/1/test", headers=other).status_code == 404
