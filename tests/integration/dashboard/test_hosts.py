"""Hosts on the page: pause, and commands that it does not give."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.checks.report.evaluate import evaluate_some
from apps.checks.selectors.data import CheckData
from apps.core.clock import now
from apps.dashboard.live_fragments import fragments_render
from apps.dashboard.pages.hosts.rows import COMMAND_TEXTS
from apps.sectors.models import Job, Worker, WorkerCommand
from apps.sectors.services.hosts.versions import unknown_field_note
from apps.users.models import User
from apps.users.rules.principals import SYSTEM
from poolsite.wire.commands import Operation
from poolsite.wire.hardware import FOREIGN_GROTH16, Disk, LayerBatch, SealingFolder
from tests import factories, people
from tests.page_client import HTMX, signed_in, text_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("contexts")]


def paced(sealer: str, *, ms: int, times: int = 3) -> None:
    """Let a host have done PC1 a few times."""
    sector = factories.sector(factories.miner())
    for _ in range(times):
        factories.events(sector, [("PC1", "PC1", ms / 1000)], worker=Worker.objects.get(name=sealer))


def test_the_list_says_which_host_is_slow(ann):
    factories.worker("quick")
    factories.worker("lame")
    paced("quick", ms=4_000)
    paced("lame", ms=12_000)

    text = text_of(signed_in().get(reverse("hosts")))

    assert "lame slow" in text
    assert "PC1 takes 3.0 times as long as on other hosts" in text


@pytest.mark.parametrize("page", ["hosts", "today", "sealing"])
def test_a_page_reads_the_network_as_often_for_many_hosts(ann: User, page: str) -> None:
    factories.network("mainnet")

    def reads(*names: str) -> int:
        """How often a page with these hosts more reads the network."""
        for name in names:
            factories.worker(name, hardware={"proofs": ["vanilla"]})
        with CaptureQueriesContext(connection) as asked:
            assert names[0] in text_of(client.get(reverse(page)))
        return sum("network_current" in query["sql"] for query in asked)

    client = signed_in()
    assert reads("first", "second") == reads("third", "fourth", "fifth")


def test_the_list_says_which_host_is_full(ann):
    factories.worker("full", hardware={"cpus": 2, "disk_free_bytes": 1 << 20, "disk_total_bytes": 1 << 40})

    assert "full low on disk space" in text_of(signed_in().get(reverse("hosts")))


def test_a_newer_host_that_is_refused_says_what_to_upgrade(ann):
    """Shown in the list and on its page until it is understood."""
    worker = factories.worker("fresh", version="poolsite/9.1.0")
    told = {"worker_id": str(worker.uuid)}
    unknown_field_note(told, field="colour", uuid="", tenant_id=worker.tenant_id, now=now())

    remedy = "this host runs a newer version (poolsite/9.1.0) than the console (poolsite/0.3.0): upgrade the"
    shown = text_of(signed_in().get(reverse("hosts")))
    assert f"{remedy} console first; until then its requests are refused" in shown
    page = text_of(signed_in().get(reverse("host", args=[worker.uuid])))
    assert page.count(f"T{remedy[1:]}") == 1


def test_today_says_of_an_away_host_what_to_upgrade_before_its_sectors(ann):
    """Not "start it again", which would change nothing."""
    worker = factories.worker("fresh", version="poolsite/9.1.0", seen_at=now() - timedelta(hours=1))
    unknown_field_note(
        {"worker_id": str(worker.uuid)}, field="colour", uuid="", tenant_id=worker.tenant_id, now=now()
    )

    result = evaluate_some(["hosts_away"], CheckData(SYSTEM)).result("hosts_away")
    assert result is not None
    [finding] = result.findings

    assert finding.reason.startswith(
        "fresh: this host runs a newer version (poolsite/9.1.0) than the console"
    )
    assert "upgrade the console first" in finding.reason
    assert "last seen" in finding.reason


@pytest.mark.parametrize("version", ["poolsite/0.3.0", "damocles", ""])
def test_a_host_whose_version_fits_is_not_told_to_upgrade(ann, version):
    worker = factories.worker(version=version)

    assert "upgrade the" not in text_of(signed_in().get(reverse("host", args=[worker.uuid])))


def test_pause_is_asked_for_and_shown(ann):
    worker = factories.worker()

    answer = signed_in().post(reverse("host-act", args=[worker.uuid, "pause"]), headers=HTMX)

    assert answer.status_code == 200
    assert "pauses with its next heartbeat" in text_of(answer)
    assert WorkerCommand.objects.get().op == "pause"


def test_without_script_it_leads_back(ann):
    worker = factories.worker()

    answer = signed_in().post(reverse("host-act", args=[worker.uuid, "pause"]))

    assert answer.headers["Location"] == reverse("hosts")


@pytest.mark.parametrize("op", ["drain", "set_plan", "nonsense"])
def test_other_commands_have_no_address(ann, op):
    worker = factories.worker()

    assert signed_in().post(reverse("host-act", args=[worker.uuid, op])).status_code == 404


def test_the_page_of_a_host_says_what_it_has_and_obeys(ann):
    gone = SealingFolder(sectors=3, reason="is its disk mounted?")
    worker = factories.worker(
        "box",
        hardware={
            "cpus": 8,
            "disk_free_bytes": 90 << 30,
            "disk_total_bytes": 200 << 30,
            "ram_bytes": 256 << 30,
            "numa_nodes": 2,
            "gpus": ["H200"],
            "disks": [
                {"folder": "/a", "total_bytes": 1 << 40, "free_bytes": 1 << 39, "write_bytes_s": 1 << 30}
                | {"read_bytes_s": 1 << 31},
                {"folder": "/nvme", "total_bytes": 0, "free_bytes": 0, "write_bytes_s": 0, "read_bytes_s": 0}
                | {"sealing": msgspec.to_builtins(gone)},
            ],
        },
    )
    factories.host_report(worker)
    paced("box", ms=4_000)
    other = factories.worker("box", of="bob")
    for host in (worker, other):
        factories.events(factories.sector(factories.miner()), [("FINALIZE", "FINALIZE", 1)], worker=host)

    text = text_of(signed_in().get(reverse("host", args=[worker.uuid])))

    for words in ("H200", "GiB/s", "1 sector in", "PC1 slots", "default", "one &lt;b&gt;line"):
        assert words in text, words
    for words in (
        "sealing folder, 3 sectors</span>",
        "is its disk mounted?",
        "0: 0 B free, 16 GiB each",
        "Sectors of 2 KiB at once",
        "Of these in PC1 at once",
        "0 by disk: ",
        "128 by cores: 8 × 16 per core",
    ):
        assert words in text, words


@pytest.mark.parametrize(
    ("hardware", "words"),
    [
        ({"winning_form": "groth16", "winning_ms": 812}, "Groth16, 812 ms each"),
        ({"winning_form": "groth16"}, "Groth16"),
        (
            {"winning_form": "vanilla", "winning_ms": 1_240},
            "containers: Groth16 takes 1.2 s, more than a quarter of an epoch",
        ),
        ({"winning_form": "vanilla"}, "containers"),
    ],
)
def test_the_page_of_a_prover_says_which_form_its_wins_have(ann, hardware, words):
    worker = factories.worker("prover", kinds=["window_post"], hardware=hardware)

    text = text_of(signed_in().get(reverse("host", args=[worker.uuid])))

    assert f"<dt>WinningPoSt</dt> <dd>{words}</dd>" in text


@pytest.mark.parametrize(
    ("trees", "words"),
    [
        (
            {"is_gpu": True, "gpu_ms": 120, "cpu_ms": 2_400},
            "RTX 9: 120 ms for a piece that takes all cores 2.4 s",
        ),
        ({"gpu_ms": 900, "cpu_ms": 100}, "CPU: 100 ms for a piece that takes RTX 9 900 ms"),
        ({"is_gpu": True}, "RTX 9, as the host&#x27;s environment says"),
        ({"gpu_ms": 9, "cpu_ms": 99, "error": "out of memory"}, "CPU: RTX 9 cannot be used: out of memory"),
    ],
)
def test_the_page_of_a_host_with_a_card_says_who_makes_its_trees_and_why(ann, trees, words):
    worker = factories.worker("box", hardware={"trees": {"gpu": "RTX 9", "memory_bytes": 24 << 30} | trees})

    text = text_of(signed_in().get(reverse("host", args=[worker.uuid])))

    assert f"<dt>Trees of PC2</dt> <dd>{words}</dd>" in text
    assert "<dt>GPU memory</dt> <dd>24 GiB</dd>" in text


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (
            {
                "kinds": [
                    {"kind": "G1", "is_gpu": True, "gpu_ms": 120, "cpu_ms": 2_400},
                    {"kind": "h", "gpu_ms": 900, "cpu_ms": 100},
                ]
            },
            "sums in G1: RTX 9: 120 ms for a piece that takes all cores 2.4 s; "
            "h: CPU: 100 ms for a piece that takes RTX 9 900 ms",
        ),
        ({"kinds": [], "error": "out of memory"}, "CPU: RTX 9 cannot be used: out of memory"),
    ],
)
def test_the_page_of_a_host_with_a_card_says_who_makes_its_proofs_and_why(ann, found, words):
    worker = factories.worker("box", hardware={"groth16": {"gpu": "RTX 9"} | found})

    text = text_of(signed_in().get(reverse("host", args=[worker.uuid])))

    assert f"<dt>Groth16 proofs</dt> <dd>{words}</dd>" in text


def test_disks_of_a_host_say_how_it_seals_there(ann):
    store = SealingFolder(sectors=3, total_bytes=1 << 40, weight=2, allow_miners=(1000,))
    disk = Disk(folder="/nvme", total_bytes=1 << 40, free_bytes=1 << 39, sealing=store)
    worker = factories.worker("box", hardware={"disks": [msgspec.to_builtins(disk)]})

    text = text_of(signed_in().get(reverse("host", args=[worker.uuid])))

    assert "sealing store, 3 sectors; weight 2, only f01000</span>" in text


def test_retire_asks_first_and_says_what_would_be_missed(ann):
    worker = factories.worker("box", stores=["only-here"])
    factories.sector(factories.miner(), state="PROVING", store="only-here")
    browser = signed_in()

    asked = text_of(browser.get(reverse("host-retire", args=[worker.uuid])))
    browser.post(reverse("host-retire", args=[worker.uuid]), {"sure": "yes"})

    assert "1: move them first" in asked
    worker.refresh_from_db()
    assert worker.retire_asked_at is not None
    assert "retires with its next heartbeat" in text_of(browser.get(reverse("host", args=[worker.uuid])))


def test_a_host_that_is_away_retires_at_once(ann):
    worker = factories.worker("box", seen_at=now() - timedelta(hours=1))
    browser, page = signed_in(), reverse("host-retire", args=[worker.uuid])

    asked = browser.get(page)
    assert "Other hosts start its sectors in progress over" in text_of(asked)
    assert 'name="away" value="1"' in asked.content.decode()
    browser.post(page, {"sure": "yes", "away": "1"})

    worker.refresh_from_db()
    assert worker.retired_at is not None


def test_a_host_that_came_back_before_the_answer_is_drained_first(ann):
    worker = factories.worker("box")

    signed_in().post(reverse("host-retire", args=[worker.uuid]), {"sure": "yes", "away": "1"})

    worker.refresh_from_db()
    assert (worker.retired_at, worker.retire_asked_at is None) == (None, False)


def test_another_tenants_host_has_no_page(ann):
    theirs = factories.worker(of="bob")

    assert signed_in().get(reverse("host", args=[theirs.uuid])).status_code == 404


def test_the_list_is_paged_and_the_address_has_its_filters(ann, monkeypatch):
    monkeypatch.setattr("apps.dashboard.pagination.ROWS", 2)
    for number in range(5):
        factories.worker(f"rack-{number}", group="east" if number < 3 else "west")
    factories.worker("zz", seen_at=now() - timedelta(hours=1))
    browser, here = signed_in(), reverse("hosts")

    first = browser.get(here, {"q": "RACK", "group": "east"})
    older = re.search(r'rel="next" href="([^"]+)"', first.content.decode())
    assert older is not None
    second = browser.get(here + older[1].replace("&amp;", "&"))

    assert names_in(first) == ["rack-0", "rack-1"]
    assert names_in(second) == ["rack-2"]
    assert names_in(browser.get(here)) == ["zz", "rack-0"]
    assert names_in(browser.get(here, {"state": "trouble"})) == ["zz"]
    assert "No matching hosts" in text_of(browser.get(here, {"state": "paused"}))
    assert names_in(browser.get(here, {"state": "trouble", "cursor": "forged"})) == ["zz"]
    assert names_in(browser.get(here, {"state": "idle", "sort": "-name"})) == ["rack-4", "rack-3"]
    assert browser.get(here, {"state": "nonsense"}).status_code == 422


def names_in(answer: Any) -> list[str]:
    """The hosts of a page, as they stand."""
    return re.findall(r'<a[^>]* href="/hosts/[0-9a-f-]{36}/"[^>]*>([^<]+)</a>', answer.content.decode())


def test_every_order_that_a_host_may_be_given_has_words():
    assert {operation for operation in Operation if not COMMAND_TEXTS.get(operation)} == set()


def test_the_page_of_a_silent_host_promises_nothing(ann):
    busy, gone = factories.worker("busy"), factories.worker("gone", seen_at=now() - timedelta(hours=1))
    factories.store(gone, "archive")
    sector = factories.sector(factories.miner(), state="TICKET_ASSIGNED", held_by=busy)

    shown = text_of(signed_in().get(reverse("host", args=[busy.uuid])))
    silent = text_of(signed_in().get(reverse("host", args=[gone.uuid])))
    acts = {
        worker.name: set(
            re.findall(
                rf"/hosts/{worker.uuid}/(?:command/)?(pause|drain|measure|upgrade|retire)/",
                signed_in().get(reverse("host", args=[worker.uuid])).content.decode(),
            )
        )
        for worker in (busy, gone)
    }

    assert f"{sector.miner.address} / {sector.number}: PC1" in shown
    assert f"F{sector.miner.address[1:]}" not in shown
    assert "host offline" in silent
    assert ">ready<" not in silent
    assert acts == {
        "busy": {"pause", "drain", "measure", "upgrade", "retire"},
        "gone": {"pause", "retire"},
    }, "what an offline host can be asked before it is back"


def test_slots_stand_on_a_hosts_page_and_not_in_the_list(ann):
    prover = factories.worker("prover", kinds=["window_post"], slots={"WINDOW_POST": 1})
    browser = signed_in()

    assert "slots" not in text_of(browser.get(reverse("hosts"))).partition("<main")[2]
    assert "WindowPoSt" in text_of(browser.get(reverse("host", args=[prover.uuid]))).partition("Slots")[2]


def test_a_row_after_an_act_has_the_columns_of_its_page(ann):
    worker = factories.worker()
    here = {"HX-Current-URL": "http://testserver/hosts/?hide=hardware&hide=pace"}

    answer = text_of(signed_in().post(reverse("host-act", args=[worker.uuid, "pause"]), headers=HTMX | here))

    assert 'data-label="Now"' in answer
    assert "Hardware" not in answer
    assert "Slowest stages" not in answer


@pytest.mark.parametrize(
    ("query", "fits"),
    [
        ("state=here", {"idle", "busy", "paused"}),
        ("state=away", {"gone"}),
        ("state=trouble", {"gone"}),
        ("state=working", {"busy"}),
        ("state=idle&state=away", {"idle", "gone"}),
        ("state=paused", {"paused"}),
        ("q=US&group=east", {"busy"}),
    ],
)
def test_page_rest_and_live_rows_have_the_same_hosts(ann, query, fits):
    rows = {
        "idle": factories.worker("idle"),
        "busy": factories.worker("busy", group="east"),
        "gone": factories.worker("gone", seen_at=now() - timedelta(hours=1)),
        "paused": factories.worker("paused", is_paused=True),
    }
    factories.sector(factories.miner(2001), held_by=rows["busy"])
    browser = signed_in()

    page = {line.row.row.name for line in browser.get(f"/hosts/?{query}").context["lines"]}
    told = {row["name"] for row in browser.get(f"/api/v1/workers?{query}").json()["results"]}
    keys = {("worker", str(row.pk)) for row in rows.values()}
    frame = fragments_render(keys, viewer=people.principal(), page=f"hosts:{query}")

    assert page == told == fits
    assert all(f'id="f-host-{row.pk}"' in frame for row in rows.values())


def test_hosts_of_different_hardware_read_the_network_once(ann):
    factories.network()
    browser, counts = signed_in(), []
    for many in (2, 6):
        for number in range(many):
            told = {"proofs": [FOREIGN_GROTH16], "kernels_done": number, "kernels_total": 100}
            factories.worker(f"h{many}-{number}", hardware=told)
        with CaptureQueriesContext(connection) as seen:
            browser.get(reverse("hosts"))
        counts.append(sum("chain_network" in query["sql"] for query in seen.captured_queries))

    assert counts[0] == counts[1]


def test_a_group_keeps_order_hidden_columns_and_scope_in_its_address(ann):
    factories.miner(2001)
    factories.worker("alpha", group="east")

    shown = signed_in().get(f"{reverse('hosts')}?sort=name&hide=pace&miner=f02001").context["bar"]["facets"]

    [east] = [one.href for one in shown if one.key == "east"]
    assert set(east.partition("?")[2].split("&")) == {"sort=name", "hide=pace", "miner=f02001", "group=east"}


def test_chips_count_all_hosts_however_many(ann, monkeypatch):
    monkeypatch.setattr("apps.dashboard.pagination.CHIP_MAX", 2)
    for number in range(4):
        factories.worker(f"h{number}", is_paused=number == 3)

    def counts(query: str) -> dict[str, str]:
        shown = signed_in().get(f"{reverse('hosts')}{query}").context["bar"]["facets"]
        return {one.key: one.count for one in shown}

    assert counts("") == {"": "4", "trouble": "0", "working": "0", "idle": "3", "paused": "1"}
    assert counts("?q=h3") == {"": "1", "trouble": "0", "working": "0", "idle": "0", "paused": "1"}


def test_a_host_with_many_jobs_says_how_many_of_each_stage(ann):
    host, miner = factories.worker("busy"), factories.miner()
    for state in ["TICKET_ASSIGNED"] * 3 + ["PC1_DONE"]:
        factories.sector(miner, state=state, held_by=host)

    shown = text_of(signed_in().get(reverse("hosts")))

    assert "3 × PC1; 1 × PC2" in shown or "1 × PC2; 3 × PC1" in shown


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({}, ("layer 2 of 11; its end is not known yet", "64 sectors, lanes empty: 3")),
        (
            {"reads_milli": 8_712, "reads_s": 1_000_000, "page_bytes": 2048, "end_s": 21_600},
            (
                "layer 2 of 11; ends in about 6 h 00",
                "64 sectors, lanes empty: 3; 8.71 reads a node;"
                " drives: 1\u202f000\u202f000 reads a second, 1.91 GiB/s",
            ),
        ),
        (
            {"layer": 12},
            ("replicas and trees are made; its end is not known yet", "64 sectors, lanes empty: 3"),
        ),
    ],
)
def test_pages_say_how_far_a_batch_on_drives_is(ann, more, words):
    """A host that is away says nothing; a sector that still waits is in no batch."""
    batch = LayerBatch(sectors=64, lanes_empty=3, layer=2, layers=11, done=5, total=99)
    batch = msgspec.structs.replace(batch, **more)
    if batch.end_s:
        batch = msgspec.structs.replace(batch, end_s=int(now().timestamp()) + batch.end_s + 20)
    hardware = {"batch": msgspec.to_builtins(batch)}
    worker = factories.worker("box", kinds=["seal"], slots={"PC1": 64}, hardware=hardware)
    sector = factories.sector(factories.miner(), state="TICKET_ASSIGNED", progress_done=5, progress_total=99)
    waiting = factories.sector(factories.miner(), state="TICKET_ASSIGNED")
    Job.objects.update(worker=worker, state="LEASED")

    def shown(page: str, *args: object) -> str:
        return text_of(signed_in().get(reverse(page, args=args)))

    brief, details = words
    assert "; ".join(words) in shown("host", worker.uuid)
    assert f"<summary>batch: {brief}</summary> {details}" in shown("sealing"), "folded there"
    assert "; ".join(words) in shown("sector", sector.uuid)
    assert brief not in shown("sector", waiting.uuid)
    type(worker).objects.update(seen_at=now() - timedelta(hours=1))
    assert brief not in shown("host", worker.uuid)
