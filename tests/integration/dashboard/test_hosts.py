"""Hosts on the page: pause, and commands that it does not give."""

from __future__ import annotations

import pytest
from django.urls import reverse

from apps.core.clock import now
from apps.sectors.host_models import HostReport, Worker, WorkerCommand
from tests import factories
from tests.page_client import HTMX, signed_in, text_of

pytestmark = pytest.mark.django_db


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
    assert "PC1 takes 3.0 times as long as elsewhere" in text


def test_the_list_says_which_host_is_full(ann):
    factories.worker("full", hardware={"cpus": 2, "disk_free_bytes": 1 << 20, "disk_total_bytes": 1 << 40})

    assert "full short of disk" in text_of(signed_in().get(reverse("hosts")))


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
        settings=[{"key": "slots.PC1", "value": "1", "origin": "default"}],
        log=["one <b>line</b>"],
        log_at=now(),
    )


def test_the_page_of_a_host_says_what_it_has_and_obeys(ann):
    worker = factories.worker(
        "box",
        hardware={
            "cpus": 8,
            "numa_nodes": 2,
            "gpus": ["H200"],
            "disks": [
                {"folder": "/a", "total_bytes": 1 << 40, "free_bytes": 1 << 39, "write_bytes_s": 1 << 30}
                | {"read_bytes_s": 1 << 31}
            ],
        },
    )
    reported(worker)
    paced("box", ms=4_000)
    other = factories.worker("box", of="bob")
    for host in (worker, other):
        factories.events(factories.sector(factories.miner()), [("FINALIZE", "FINALIZE", 1)], worker=host)

    text = text_of(signed_in().get(reverse("host", args=[worker.uuid])))

    for words in ("H200", "GiB/s", "1 sector in", "Slots of PC1", "default", "one &lt;b&gt;line"):
        assert words in text, words


def test_a_setting_is_changed_on_the_page_and_shown_as_pending(ann):
    worker = factories.worker()
    reported(worker)
    browser = signed_in()

    browser.post(reverse("host-setting", args=[worker.uuid]), {"key": "slots.PC1", "value": "5"})

    assert "5 with its next heartbeat" in text_of(browser.get(reverse("host", args=[worker.uuid])))
    refused = browser.post(reverse("host-setting", args=[worker.uuid]), {"key": "slots.PC1", "value": "x"})
    assert refused.status_code == 422
    assert "takes a whole number" in text_of(refused)


def test_retire_asks_first_and_says_what_would_be_missed(ann):
    worker = factories.worker("box", stores=["only-here"])
    factories.sector(factories.miner(), state="PROVING", store="only-here")
    browser = signed_in()

    asked = text_of(browser.get(reverse("host-retire", args=[worker.uuid])))
    browser.post(reverse("host-retire", args=[worker.uuid]), {"sure": "yes"})

    assert "1: move them first" in asked
    worker.refresh_from_db()
    assert worker.retire_asked_at is not None
    assert "retires once 0 sectors" in text_of(browser.get(reverse("host", args=[worker.uuid])))


def test_another_tenants_host_has_no_page(ann):
    theirs = factories.worker(of="bob")

    assert signed_in().get(reverse("host", args=[theirs.uuid])).status_code == 404
