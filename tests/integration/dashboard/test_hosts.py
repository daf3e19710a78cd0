"""Hosts on the page: pause, and commands that it does not give."""

from __future__ import annotations

import html
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
from apps.sectors.models import HostReport, Job, SharedSettings, Worker, WorkerCommand
from apps.sectors.services.hosts.versions import unknown_field_note
from apps.users.models import AuditEntry, User
from apps.users.rules.principals import SYSTEM
from poolsite.wire.commands import Operation
from poolsite.wire.hardware import FOREIGN_GROTH16, Disk, LayerBatch, SealingFolder
from tests import factories, people
from tests.page_client import HTMX, signed_in, text_of
from tests.people import operator_person

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


def reported(worker: Worker) -> None:
    HostReport.objects.create(
        worker=worker,
        settings=[
            {"key": "slots.PC1", "value": "1", "origin": "default"},
            {"key": "sector_room_bytes", "value": str(16 << 30), "origin": "proposed"},
        ],
        log=["one <b>line</b>"],
        log_at=now(),
    )


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
    reported(worker)
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


def test_disks_of_a_host_say_how_it_seals_there(ann):
    store = SealingFolder(sectors=3, total_bytes=1 << 40, weight=2, allow_miners=(1000,))
    disk = Disk(folder="/nvme", total_bytes=1 << 40, free_bytes=1 << 39, sealing=store)
    worker = factories.worker("box", hardware={"disks": [msgspec.to_builtins(disk)]})

    text = text_of(signed_in().get(reverse("host", args=[worker.uuid])))

    assert "sealing store, 3 sectors; weight 2, only f01000</span>" in text


def form_of(answer: Any) -> dict[str, str]:
    """Return the fields that a browser submits for an unchanged settings form."""
    page = answer.content.decode()
    page = page[page.index('id="f-setting-form"') :].partition("</form>")[0]
    sent = {}
    for tag in re.findall(r"<input[^>]*>", page):
        facts = dict(re.findall(r'(\w+)="([^"]*)"', tag))
        sent[facts["name"]] = html.unescape(facts.get("value", ""))
    for name, options in re.findall(r'<select[^>]*name="([^"]+)"(.*?)</select>', page, re.DOTALL):
        chosen = re.search(r'value="([^"]*)"\s+selected', options)
        sent[name] = chosen[1] if chosen else ""
    return sent


def test_settings_are_changed_in_one_form_and_shown_as_pending(ann):
    worker = factories.worker(settings={"sector_room_bytes": 32 << 30})
    reported(worker)
    browser, here = signed_in(), reverse("host-setting", args=[worker.uuid])

    shown = browser.get(here)
    sent = form_of(shown)
    assert (sent["slots.PC1"], sent["sector_room_bytes"]) == ("", "32 GiB")
    assert "In force: 1 (default)" in words_of(shown)
    assert "In force: 16 GiB (proposed for this machine)" in words_of(shown)
    browser.post(here, sent | {"slots.PC1": "5", "sector_room_bytes": "0.5 TiB"})

    assert "5 with its next heartbeat" in text_of(browser.get(reverse("host", args=[worker.uuid])))
    worker.refresh_from_db()
    assert worker.settings == {"slots.PC1": 5, "sector_room_bytes": 512 << 30}
    line = AuditEntry.objects.get()
    assert line.after == {"slots.PC1": "5 slots", "sector_room_bytes": f"{512 << 30} bytes"}
    shown = browser.get(here)
    assert words_of(shown).count("Set by person:ann") + words_of(shown).count("Set by ann") == 2
    browser.post(here, form_of(shown))
    assert AuditEntry.objects.count() == 1, "nothing was typed, so nothing is written"
    browser.post(here, form_of(shown) | {"slots.PC1": "", "sector_room_bytes": ""})
    worker.refresh_from_db()
    assert worker.settings == {}, "what is empty is the level's above"


def test_a_form_saves_what_was_typed_and_leaves_what_others_set_since(ann):
    worker = factories.worker()
    reported(worker)
    browser, here = signed_in(), reverse("host-setting", args=[worker.uuid])
    sent = form_of(browser.get(here))
    browser.post(here, sent | {"slots.PC1": "3"})

    refused = browser.post(here, sent | {"sector_room_bytes": "much"})
    browser.post(here, form_of(refused) | {"sector_room_bytes": "64 GiB"})

    worker.refresh_from_db()
    assert worker.settings == {"slots.PC1": 3, "sector_room_bytes": 64 << 30}


@pytest.mark.parametrize(
    ("key", "typed", "words"),
    [
        ("slots.PC1", "x", "must be a whole number from 0 to"),
        ("sector_room_bytes", "2 PiB", "enter a size of at most 1 PiB"),
        ("sealing.allowed_miners", "bob", "enter miners, such as f01000"),
        ("sealing.enable_deals", "maybe", "choose one of the options"),
        ("sealing.recover_interval", "8d", "enter a duration of at most 7 days"),
        ("threads.2.plan", "wdpost", "choose one of the options"),
    ],
)
def test_a_wrong_setting_is_refused_beside_its_field_and_nothing_is_lost(ann, key, typed, words):
    worker = factories.worker()
    rules = ("sealing.enable_deals", "threads.2.plan")
    HostReport.objects.create(
        worker=worker,
        settings=[{"key": "slots.PC1", "value": "1", "origin": "default"}]
        + [{"key": "sector_room_bytes", "value": "1", "origin": "default"}]
        + [{"key": rule, "value": "true", "origin": "default"} for rule in rules],
    )
    browser, here = signed_in(), reverse("host-setting", args=[worker.uuid])

    refused = browser.post(here, form_of(browser.get(here)) | {"sealing.max_retries": "7", key: typed})

    assert refused.status_code == 422
    [said] = re.findall(r'<span class="error" id="([^"]+)"', refused.content.decode())
    assert said == f"{key}-error"
    assert words in words_of(refused)
    assert form_of(refused)["sealing.max_retries"] == "7"
    worker.refresh_from_db()
    assert worker.settings == {}
    assert not AuditEntry.objects.exists()


def test_a_level_that_was_set_before_one_above_it_is_still_pending(ann):
    """Whatever the order in which the rows of levels were written."""
    worker = factories.worker()
    settings = [{"key": "slots.PC1", "value": "1", "origin": "tenant"}]
    HostReport.objects.create(worker=worker, settings=settings)
    SharedSettings.objects.create(tenant=worker.tenant, values={"slots.PC1": 4})
    SharedSettings.objects.create(tenant=None, values={"slots.PC1": 9})

    shown = text_of(signed_in().get(reverse("host", args=[worker.uuid])))

    assert "4 with its next heartbeat" in shown
    assert "9 with its next heartbeat" not in shown


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


def test_shared_settings_are_set_and_taken_away(db):
    operator_person()
    worker = factories.worker("one", group="east")
    browser, here = signed_in("olga"), reverse("host-settings")
    tenant = worker.tenant
    places = {"pool": "|", "tenant": f"{tenant.pk}|", "group": f"{tenant.pk}|east"}

    for number, place in enumerate(places.values(), start=1):
        browser.post(here, {"place": place, "slots.PC1": str(number)})
    shown = text_of(browser.get(here))

    rows = SharedSettings.objects.order_by("pk").values_list("tenant_id", "group", "values")
    assert [tuple(row) for row in rows] == [
        (None, "", {"slots.PC1": 1}),
        (tenant.pk, "", {"slots.PC1": 2}),
        (tenant.pk, "east", {"slots.PC1": 3}),
    ]
    assert "Pool: all hosts" in shown
    assert f"east, {tenant.name}" in shown
    told = WorkerCommand.objects.get(worker=worker, op="set_plan").args
    assert told == {"pool.slots.PC1": "1", "tenant.slots.PC1": "2", "group.slots.PC1": "3"}
    sent = form_of(browser.get(here, {"place": "|"}))
    assert (sent["place"], sent["slots.PC1"]) == ("|", "1")
    browser.post(here, sent | {"slots.PC1": ""})
    assert SharedSettings.objects.get(tenant=None).values == {}


def test_a_level_says_what_holds_without_it_and_where_it_is_overridden(db):
    operator_person()
    worker = factories.worker("one", group="east")
    factories.worker("two", group="east")
    browser, here = signed_in("olga"), reverse("host-settings")
    place = f"{worker.tenant_id}|east"
    browser.post(here, {"place": f"{worker.tenant_id}|", "slots.PC1": "3", "sealing.max_deals": "2"})
    browser.post(here, {"place": place, "slots.PC2": "2"})
    told = [("slots.PC1", "4", "file"), ("slots.PC2", "2", "group"), ("threads.1.max_deals", "1", "thread")]
    settings = [{"key": key, "value": value, "origin": origin} for key, value, origin in told]
    HostReport.objects.create(worker=worker, settings=settings)

    shown = words_of(browser.get(here, {"place": place, "key": "slots.PC1"}))
    tenants = words_of(browser.get(here, {"place": f"{worker.tenant_id}|"}))

    assert "If empty: 3 (tenant) Overridden on 1 host by the host's file" in shown
    assert "If empty: 2 (tenant) Overridden on 1 host by a sealing thread" in shown
    assert shown.count("Set by ") == 1
    assert "Overridden on 1 host by group settings" in tenants


def test_a_wrong_shared_setting_is_refused_beside_its_field(ann):
    worker = factories.worker("one")
    browser, here = signed_in(), reverse("host-settings")

    refused = browser.post(here, {"place": f"{worker.tenant_id}|", "slots.PC1": "many"})

    assert refused.status_code == 422
    assert "must be a whole number from 0 to" in text_of(refused)
    assert browser.post(here, {"place": "7777|", "slots.PC1": "1"}).status_code == 404
    assert not SharedSettings.objects.exists()


def test_a_tenant_sets_its_own_hosts_alone(bill):
    mine, other = factories.worker("mine", of="bob"), factories.worker("other")
    browser, here = signed_in("bill"), reverse("host-settings")

    shown = text_of(browser.get(here))

    assert "Pool: all hosts" not in shown
    assert f"Tenant {mine.tenant.name}" in shown
    for place in ("|", f"{other.tenant_id}|"):
        assert browser.post(here, {"place": place, "slots.PC1": "1"}).status_code == 404
    assert not SharedSettings.objects.exists()


def test_every_order_that_a_host_may_be_given_has_words():
    assert {operation for operation in Operation if not COMMAND_TEXTS.get(operation)} == set()


def words_of(answer: Any) -> str:
    """The words of a page alone."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", answer.content.decode())).split())


def test_a_threads_rules_are_shown_with_where_they_come_from_and_changed(ann):
    worker = factories.worker()
    told = (
        ("sealing.enable_deals", "true", "default"),
        ("threads.2.plan", "snapup", "file of thread"),
        ("threads.2.location", "/nvme2", "file of thread"),
        ("threads.2.allowed_miners", "f01000", "thread"),
        ("slots.PC1", "3", "file"),
    )
    files = {"file": "/srv/farm/worker.toml", "file of thread": "/srv/farm/worker.toml"}
    settings = [
        {"key": key, "value": value, "origin": origin, "file": files.get(origin, "")}
        for key, value, origin in told
    ]
    HostReport.objects.create(worker=worker, settings=settings)
    browser, here = signed_in(), reverse("host", args=[worker.uuid])

    text = words_of(browser.get(here))
    for words in (
        "Accept client data yes default",
        "Thread 2: plan snapup [[sealing_thread]] in worker.toml on the host",
        "PC1 slots 3 worker.toml on the host",
        "Settings file /srv/farm/worker.toml",
        "Thread 2: folder /nvme2",
        "Thread 2: miners for new sectors f01000 set here for the thread",
    ):
        assert words in text, words
    form = browser.get(reverse("host-setting", args=[worker.uuid]))
    assert "threads.2.location" not in form_of(form)
    assert "Overridden by thread 2" in words_of(form)

    browser.post(reverse("host-setting", args=[worker.uuid]), form_of(form) | {"threads.2.max_retries": "1"})

    text = words_of(browser.get(here))
    assert "Thread 2: retries of a failed stage – – 1 with its next heartbeat" in text
    worker.refresh_from_db()
    assert worker.settings == {"threads.2.max_retries": "1"}


def test_a_threads_setting_is_not_shared(db):
    operator_person()

    signed_in("olga").post(reverse("host-settings"), {"place": "|", "threads.1.plan": "snapup"})

    assert not SharedSettings.objects.exists()


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
