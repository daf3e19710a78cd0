"""The table of batch sizes on a host's page and in *Planner*, and over REST."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.sectors.models import Worker
from apps.users.models import User
from poolsite.wire.batch_model import LABELLING
from tests import factories, people
from tests.factories import measured_hardware
from tests.page_client import signed_in, text_of
from tests.people import bearer, token

pytestmark = pytest.mark.django_db

GIB = 1 << 30
NEEDS = (1, 4, 16, 32, 64, 128)
NOT_MEASURED = "Not measured: "


def host(name: str = "box", **more: Any) -> Worker:
    return factories.worker(name, **{"kinds": ["seal"], **more})


def row_of(page: str, sectors: int) -> list[str]:
    """Return the cells of a batch size."""
    name = f"{sectors} sector" + "s" * (sectors > 1)
    [row] = re.findall(rf"<th[^>]*>\s*{name}\b.*?</th>(.*?)</tr>", page, re.S)
    return [re.sub(r"<[^>]*>", "", cell).strip() for cell in re.findall(r"<td.*?</td>", row, re.S)]


def shown(worker: Worker, person: str = "ann") -> str:
    return text_of(signed_in(person).get(reverse("host", args=[worker.uuid])))


def test_a_measured_host_says_what_each_size_makes_and_what_binds(ann: User, quiet: None) -> None:
    endurance = 12 * 14_016 * 10**12
    page = shown(host(hardware=measured_hardware(endurance_bytes=endurance)))

    assert row_of(page, 128) == [
        *("12.44 GiB", "44.05 TiB", "10\u202f123\u202f920", "14\u202f400\u202f000", "2 h 49", "–"),
        *("1\u202f087.1", "cores", "409 days"),
    ]
    assert row_of(page, 16)[4:7] == ["2 h 49", "–", "135.9"]
    assert row_of(page, 1)[4:7] == ["2 h 49", "–", "8.5"], "a page of one sector is as large as of sixteen"
    assert "on /mnt/nvme1, /mnt/nvme2, of which batches can take 60 TiB." in page
    assert NOT_MEASURED not in page


def test_trees_that_take_longer_than_layers_bind(ann: User, quiet: None) -> None:
    hardware = measured_hardware()
    hardware["drives_measured"]["columns_s"] = 32 * 160_000
    page = shown(host(hardware=hardware))

    assert row_of(page, 128)[4:8] == ["2 h 49", "7 h 27", "298.8", "trees"]
    assert row_of(page, 32)[4:8] == ["2 h 49", "1 h 51", "163.8", "cores"]


def test_reads_room_and_memory_bind_and_endurance_may_not_be_known(ann: User, quiet: None) -> None:
    slow = shown(host("slow", hardware=measured_hardware(reads_s=1_000_000)))
    assert row_of(slow, 128)[6:] == ["107.4", "reads", "not known"]

    full = shown(host("full", hardware=measured_hardware(room_bytes=30 << 40)))
    assert row_of(full, 128)[4:] == ["–", "–", "0.0", "room on the drives", "–"]
    assert row_of(full, 64)[7] == "cores"

    small = shown(host("small", hardware=measured_hardware() | {"ram_bytes": 13 * GIB}))
    assert row_of(small, 128)[6:] == ["0.0", "memory", "–"]


def test_a_host_that_was_not_measured_says_how_and_what_batches_need(ann: User, quiet: None) -> None:
    """As does one without drives for layers."""
    page = shown(host(hardware={"cpus": 8, "ram_bytes": 64 * GIB}))

    assert NOT_MEASURED in page
    for sectors in NEEDS:
        memory, drives, *figures = row_of(page, sectors)
        assert memory.endswith("GiB")
        assert drives.endswith("TiB")
        assert figures == ["–", "–", "–", "–", "–", "–", "not known"]
    assert "h-batches" not in shown(host("prover", kinds=["window_post"])), "it seals nothing"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"drives_measuring": True, "drives_error": "before"}, "The drives are being measured. Measured "),
        ({"drives_error": "no such drive"}, "The drives could not be measured: no such drive. Measured "),
    ],
)
def test_page_says_that_drives_are_measured_or_why_not(
    ann: User, quiet: None, more: dict[str, Any], words: str
) -> None:
    assert words in shown(host(hardware=measured_hardware() | more))


@pytest.mark.parametrize(
    ("why", "words"),
    [
        ("set", "Batches have 64 sectors, as the host&#x27;s file says."),
        ("best", "Batches have 64 sectors: smaller ones make fewer a day, larger ones no more"),
        ("unmeasured", "Batches have 64 sectors, the most that memory and slots hold, until"),
        ("least", "Batches have 64 sectors, the fewest: by what was measured it holds no batch."),
        ("begun", "Batches have 64 sectors, as those that are on the drives."),
        ("of a newer version", "Measured "),
    ],
)
def test_page_says_how_many_sectors_batches_have_and_why(
    ann: User, quiet: None, why: str, words: str
) -> None:
    page = shown(host(hardware=measured_hardware() | {"batch_size": {"sectors": 64, "why": why}}))

    assert words in page
    assert row_of(page, 64)[4:7] == ["2 h 49", "–", "543.5"]
    assert page.count("used here") == 1


def test_planner_multiplies_what_was_measured_and_says_what_is_assumed(ann: User, quiet: None) -> None:
    def planner(**query: str) -> str:
        return text_of(signed_in().get(reverse("planner"), query))

    empty = planner()
    assert NOT_MEASURED in empty
    assert row_of(empty, 128)[7] == "–"

    host("quick", hardware=measured_hardware())
    host("slow", hardware=measured_hardware(reads_s=1_000_000))
    page = planner(hosts="2")
    assert "Measured on 2 hosts. Figures are their mean, time and limit those of the slowest." in page
    assert row_of(page, 128)[3:9] == [
        *("7\u202f700\u202f000", "1 d 04 h", "–", "597.2", "1\u202f194.5", "reads"),
    ]

    host("other", hardware={"cpus": 8})
    assert "Measured on 2 of 3 hosts; the others are assumed to be alike." in planner()
    assert row_of(planner(hosts="10"), 128)[7] == "5\u202f972.3"


def test_rest_has_the_same_and_a_tenant_only_its_own(ann: User, quiet: None) -> None:
    worker = host(hardware=measured_hardware())
    factories.worker("theirs", of="bob", kinds=["seal"], hardware=measured_hardware(nodes_s=600_000))
    people.person("bill", of="bob")
    headers = bearer(token("read"))

    found = Client().get(f"/api/v1/workers/{worker.uuid}", headers=headers).json()["batches"]

    assert [size["sectors"] for size in found] == list(NEEDS)
    assert found[-1]["per_day"] == pytest.approx(1087.08, abs=0.01)
    assert (found[-1]["binds"], found[-1]["days"]) == ("cores", None)
    plan = Client().get("/api/v1/planner", headers=headers).json()
    assert (plan["batches"], plan["batches_measured_on"]) == (found, 1)
    assert signed_in("bill").get(reverse("host", args=[worker.uuid])).status_code == 404
    assert row_of(text_of(signed_in("bill").get(reverse("planner"))), 128)[6] == "561.8"
    prover = host("prover", kinds=["window_post"])
    assert Client().get(f"/api/v1/workers/{prover.uuid}", headers=headers).json()["batches"] == []


def test_both_cards_are_in_chinese(ann: User, quiet: None) -> None:
    worker = host(hardware=measured_hardware(endurance_bytes=10**18) | {"drives_error": LABELLING})
    ann.language = "zh-hans"
    ann.save()
    client = signed_in()
    for address in (reverse("host", args=[worker.uuid]), reverse("planner")):
        page = text_of(client.get(address))
        [card] = re.findall(r'<section[^>]*id="f-batches".*?</section>', page, re.S)
        words = set(re.findall(r"[A-Za-z]{3,}", re.sub(r"<[^>]*>", " ", card)))
        assert words <= {"GiB", "TiB", "UTC", "mnt", "nvme"}, words
