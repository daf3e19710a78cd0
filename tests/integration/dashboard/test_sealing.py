"""Page *Sealing* and its figures over REST: what limits the farm, slots as lines, runs as CSV, filters."""

from __future__ import annotations

import csv
import io
import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.core.clock import now
from apps.dashboard.live_fragments import fragments_render
from apps.history.models import Reading
from apps.history.rules import Figure, begin_of
from apps.history.states import HOUR, Kind
from apps.sectors.models import Job, JobEvent, Sector, Worker
from tests import factories
from tests.page_client import signed_in, text_of
from tests.people import person, principal, token

pytestmark = pytest.mark.django_db


def farm() -> tuple[Worker, Sector, Sector]:
    """Make a host with one slot of PC1, a run in it, one that runs, and one that waits."""
    alpha = factories.worker("alpha", slots={"PC1": 1})
    miner = factories.miner(2001)
    done = factories.sector(miner, number=7, state="PC1_DONE")
    Sector.objects.filter(pk=done.pk).update(created_at=now() - timedelta(minutes=30))
    done.refresh_from_db()
    factories.events(done, [("PC1", "PC1", 1200.0)], worker=alpha)
    Job.objects.filter(sector=done).update(state="WAITING")
    since = now() - timedelta(minutes=5)
    runs = factories.sector(miner, number=8, state="TICKET_ASSIGNED", held_by=alpha, stage_since=since)
    waits = factories.sector(miner, number=9, state="TICKET_ASSIGNED", stage_since=since)
    Job.objects.filter(sector=waits).update(sticky_worker=alpha)
    return alpha, done, runs


def test_the_page_names_the_bottleneck_with_its_evidence(ann: None, quiet: None) -> None:
    _alpha, done, runs = farm()

    shown = text_of(signed_in().get(reverse("sealing")))

    assert "PC1 is the bottleneck:" in shown
    assert (
        "1 of 1 slot busy on the hosts with a queue, 1 sector waiting, 0 at the start of the last 6 hours"
        in shown
    )
    assert "The longest queue is on alpha: 1 beyond its 1 slot for PC1" in shown
    # One slot at 20 minutes makes 72 a day; a second one 144.
    assert "72.0 → 144.0 sectors a day" in shown
    assert reverse("sector", args=[done.uuid]) in shown
    assert f"f02001 / {runs.number} PC1: running for" in shown


def test_a_queue_for_absent_hosts_names_them(ann: None, quiet: None, monkeypatch: pytest.MonkeyPatch) -> None:
    alpha = factories.worker("alpha", slots={"PC1": 1}, is_paused=True)
    waits = factories.sector(factories.miner(2001), state="TICKET_ASSIGNED")
    Job.objects.filter(sector=waits).update(sticky_worker=alpha)

    shown = text_of(signed_in().get(reverse("sealing")))

    assert "Every host with slots for PC1 is paused or offline." in shown
    assert "1 sector waiting for a slot; host with slots: alpha." in shown

    monkeypatch.setattr("apps.sectors.selectors.sealing_report.HOSTS_MAX", 1)
    factories.worker("beta", slots={"PC1": 1})
    alpha.slots = {}
    alpha.save()
    shown = text_of(signed_in().get(reverse("sealing")))
    assert "No host shown has a slot for PC1." in shown
    assert "1 more host is not shown here" in shown


def test_filters_stand_in_the_address(ann: None, quiet: None) -> None:
    alpha, _done, _runs = farm()
    other = factories.miner(2002)
    browser, here = signed_in(), reverse("sealing")

    assert "f02001 / 7 PC1" in text_of(browser.get(f"{here}?hours=1&host={alpha.uuid}"))
    elsewhere = text_of(browser.get(f"{here}?miner={other.address}"))
    assert 'class="faint"' in elsewhere, "what other miners have in the slots"
    assert "No sectors in progress" in elsewhere
    assert "f09999" in text_of(browser.get(f"{here}?miner=f09999"))
    assert browser.get(f"{reverse('sealing-csv')}?miner=f09999").status_code == 404
    assert browser.get(f"{here}?hours=99").status_code == 200


def test_runs_as_csv(ann: None, quiet: None) -> None:
    farm()

    text = b"".join(signed_in().get(reverse("sealing-csv")).streaming_content).decode()  # type: ignore[attr-defined]

    [run] = csv.DictReader(io.StringIO(text))
    assert (run["host"], run["stage"], run["slot"], run["sector"]) == ("alpha", "PC1", "1", "7")
    assert (run["seconds"], run["outcome"], run["capped"]) == ("1200.0", "done", "no")


def test_page_and_csv_tell_of_a_host_with_more_runs(
    ann: None, quiet: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.sectors.selectors.stage_runs.RUNS_OF_HOST", 1)
    farm()

    answer = signed_in().get(reverse("sealing-csv"))
    shown = text_of(signed_in().get(reverse("sealing")))

    [run] = csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode()))  # type: ignore[attr-defined]
    assert run["capped"] == "yes"
    assert "runs of alpha (since " in shown


def test_rest_has_the_same_figures() -> None:
    alpha, _done, runs = farm()
    client = Client(headers={"authorization": f"Bearer {token('read')}"})

    found = client.get("/api/v1/sealing?hours=1").json()

    limits = found["bottleneck"]
    assert (limits["kind"], limits["stage"], limits["host"]) == ("growing", "PC1", "alpha")
    assert (limits["per_day"], limits["more_per_day"]) == (72.0, 144.0)
    [row] = [row for row in found["stages"] if row["stage"] == "PC1"]
    assert (row["running"], row["slots"], row["waiting"], row["p50_s"]) == (1, 1, 1, 1200.0)
    [lane] = [lane for lane in found["hosts"][0]["lanes"] if lane["stage"] == "PC1"]
    assert [(run["sector"], run["end"] is None) for run in lane["runs"]] == [(7, False), (runs.number, True)]
    assert {one["number"] for one in found["sectors"]} == {7, 8, 9}
    assert client.get(f"/api/v1/sealing?host={alpha.uuid}&hours=24").status_code == 200
    refused = client.get("/api/v1/sealing?hours=2")
    assert (refused.status_code, refused.json()["field"]) == (400, "hours")
    assert client.get("/api/v1/sealing?miner=f0777").status_code == 404


def test_a_stranger_sees_no_host_run_or_sector() -> None:
    farm()
    person("bill", of="bob")

    shown = text_of(signed_in("bill").get(reverse("sealing")))

    assert "No sealing hosts yet" in shown
    for secret in ("alpha", "f02001"):
        assert secret not in shown


def test_a_push_keeps_the_pages_filter() -> None:
    alpha, _done, _runs = farm()
    factories.worker("beta", slots={"PC1": 1})

    page = f"sealing:host={alpha.uuid}&hours=1"
    frame = fragments_render({("head", "1")}, viewer=principal(), page=page)

    assert "alpha" in frame
    assert "beta" not in frame
    assert 'id="f-sealing-gantt" hx-swap-oob="true"' in " ".join(frame.split())
    assert 'id="f-sealing-hosts" data-fold="4" hx-swap-oob="true"' in " ".join(frame.split())


def reading(worker: Worker, share: float, *, hours: int = 0) -> None:
    """Record how busy a host was so many hours ago."""
    at = begin_of(now(), HOUR) - hours * HOUR
    figures = {"slots_busy": Figure.measured(share)}
    Reading.objects.create(kind=Kind.HOST, subject=worker.pk, step=HOUR, at=at, slot=at, figures=figures)


def cells(shown: str, name: str) -> list[str]:
    """Return the titles of a host's cells, without their hours."""
    [strip] = re.findall(rf'<svg[^>]*aria-label="{name}:.*?</svg>', shown, re.DOTALL)
    return [text.split(" ", 1)[1] for text in re.findall(r"<title>(.*?)</title>", strip)]


def test_a_row_of_a_host_shows_each_hour_of_a_day(ann: None, quiet: None) -> None:
    alpha = factories.worker("alpha", slots={"PC1": 4})
    for hours, share in ((23, 1.0), (2, 0.5), (1, 0.0), (24, 0.75)):
        reading(alpha, share, hours=hours)
    sector = factories.sector(factories.miner(2001))
    factories.events(sector, [("PC1", "PC1", 60.0)], worker=alpha)
    JobEvent.objects.filter(worker=alpha).update(is_error=True, ms=None, at=now() - timedelta(minutes=1))

    shown = text_of(signed_in().get(reverse("sealing")))

    titles = cells(shown, "alpha")
    assert len(titles) == 24
    assert titles[0] == "100\u202f% busy"
    assert titles[-3:-1] == ["50\u202f% busy", "idle"] or titles[-2].endswith("; 1 failed run")
    assert titles[1:-3] == ["no reading"] * 20
    assert "1 failed run" in "".join(titles[-2:])
    assert "slots 38\u202f% busy over the last 24 hours; 20 hours without a reading; 1 failed run" in shown


def test_an_hour_that_is_not_measured_yet_shows_what_runs_now(ann: None, quiet: None) -> None:
    farm()

    assert cells(text_of(signed_in().get(reverse("sealing"))), "alpha")[-1] == "100\u202f% busy"


def test_slots_are_shown_of_a_chosen_host_without_idle_ones(ann: None, quiet: None) -> None:
    alpha, _done, runs = farm()
    Worker.objects.filter(pk=alpha.pk).update(slots={"PC1": 3})
    reading(factories.worker("beta", slots={"PC1": 1}), 0.5)
    here, browser = reverse("sealing"), signed_in()

    many, one = text_of(browser.get(here)), text_of(browser.get(f"{here}?host={alpha.uuid}"))

    assert "Slots of alpha" not in many
    assert "running for" not in many
    assert f"{here}?host={alpha.uuid}&amp;hours=6" in many
    assert "Slots of alpha" in one
    assert f"f02001 / {runs.number} PC1: running for" in one
    assert "1 idle slot is left out." in one


def test_idle_hosts_are_left_out_until_asked_for(ann: None, quiet: None) -> None:
    farm()
    for name in ("beta", "gamma"):
        factories.worker(name, slots={"PC1": 1})
    reading(factories.worker("delta", slots={"PC1": 1}), 0.25, hours=20)
    factories.worker("lost", slots={"PC1": 1}, seen_at=now() - timedelta(days=2))
    here, browser = reverse("sealing"), signed_in()

    few, all_hosts = text_of(browser.get(here)), text_of(browser.get(f"{here}?idle=1"))

    assert {name for name in ("alpha", "beta", "gamma", "delta", "lost") if f'title="{name}"' in few} == {
        "alpha",
        "delta",
        "lost",
    }
    assert "Show 2 idle hosts" in few
    assert 'title="gamma"' in all_hosts
    assert "Hide 2 idle hosts" in all_hosts
    Worker.objects.exclude(name__in=("beta", "gamma")).update(retired_at=now())
    assert 'title="beta"' in text_of(browser.get(here)), "all are idle: they are what there is"


def test_a_large_farm_has_pages_of_hosts_and_figures_of_all(
    ann: None, quiet: None, django_assert_max_num_queries: Any
) -> None:
    for number in range(120):
        factories.worker(f"host-{number:04}", slots={"PC1": 2, "C2": 1})
    last = Worker.objects.get(name="host-0119")
    sector = factories.sector(factories.miner(2001))
    factories.events(sector, [("PC1", "PC1", 60.0)], worker=last)
    browser, here = signed_in(), reverse("sealing")

    with django_assert_max_num_queries(60):
        first = text_of(browser.get(f"{here}?idle=1"))

    assert "0 / 240" in first, "slots of PC1 of all hosts"
    assert (first.count("lane"), first.count("heat-cell")) == (0, 50)
    [older] = re.findall(r'rel="next" href="\?([^"]*)"', first)
    second = text_of(browser.get(f"{here}?{older.replace('&amp;', '&')}"))
    assert 'title="host-0050"' in second
    assert 'title="host-0049"' not in second
    assert 'title="host-0119"' in text_of(browser.get(here)), "it is the only one that worked"


@pytest.mark.parametrize("kind", ["worker", "job"])
def test_a_heartbeat_renders_nothing(kind: str) -> None:
    alpha, _done, _runs = farm()

    assert fragments_render({(kind, str(alpha.pk))}, viewer=principal(), page="sealing:") == ""
