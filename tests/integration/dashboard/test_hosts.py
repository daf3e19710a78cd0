"""Hosts on the page: pause, and commands that it does not give."""

from __future__ import annotations

import pytest
from django.urls import reverse

from apps.sectors.models import WorkerCommand
from tests import factories
from tests.page_client import HTMX, signed_in, text_of

pytestmark = pytest.mark.django_db


def paced(sealer: str, *, ms: int, times: int = 3) -> None:
    """Let a host have done PC1 a few times."""
    sector = factories.sector(factories.miner())
    for _ in range(times):
        factories.events(sector, [("PC1", "PC1", ms / 1000)], actor=sealer)


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
