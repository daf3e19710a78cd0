"""New sectors that no host begins: the to-do says of each host what to change."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from apps.checks.findings.results import Finding
from apps.checks.report.evaluate import evaluate_some
from apps.checks.selectors.data import CheckData
from apps.core.clock import now
from apps.miners.models import Miner
from apps.miners.states import RoleKind
from apps.sectors.models import DAMOCLES, HostReport, Job, Sector, Store, Worker
from apps.users.rules.principals import SYSTEM
from poolsite.wire.stores import StoreCondition
from tests import factories
from tests.unit.apps.sectors.stores import beat, told

pytestmark = pytest.mark.django_db
SLOTS = {"ADD_PIECE": 1}


def waiting(miner: Miner | None = None, **data: Any) -> Sector:
    """A new sector that has waited for an hour."""
    row = factories.sector(miner or factories.miner(actor_id=1000), **data)
    Job.objects.filter(pk=row.job.pk).update(updated_at=now() - timedelta(hours=1))
    return row


def settings_told(host: Worker, **settings: str) -> None:
    values = [{"key": key.replace("__", "."), "value": value} for key, value in settings.items()]
    HostReport.objects.create(worker=host, settings=values)


def found() -> list[Finding]:
    factories.head()
    [result] = evaluate_some(["sectors_unclaimed"], CheckData(SYSTEM)).results
    return list(result.findings)


def why() -> str:
    [one] = found()
    return one.reason


def role_of_another(host: Worker, miner: Miner) -> None:
    factories.role(miner, "another-machine", RoleKind.SEAL)


def rule_against_the_miner(host: Worker, _: Miner) -> None:
    settings_told(host, sealing__allowed_miners="f01001 f01002")


def rule_against_zeros(host: Worker, _: Miner) -> None:
    settings_told(host, sealing__disable_cc="true")


def rule_of_its_only_thread(host: Worker, _: Miner) -> None:
    settings_told(
        host, threads__1__plan="sealer", threads__1__allowed_sizes="32GiB", threads__2__plan="snapup"
    )


def threads_that_begin_none(host: Worker, _: Miner) -> None:
    settings_told(host, threads__1__plan="snapup")


NO_RULE = "host accepts no sectors of zeros of f01000 with 2 KiB: change allowed_miners, allowed_sizes"


@pytest.mark.parametrize(
    ("bar", "text"),
    [
        (role_of_another, "host does not hold the role seal of f01000: see Roles on the miner's page"),
        (rule_against_the_miner, NO_RULE),
        (rule_against_zeros, NO_RULE),
        (rule_of_its_only_thread, NO_RULE),
        (threads_that_begin_none, NO_RULE),
    ],
)
def test_role_or_rule_that_bars_each_host_is_named_while_others_are_sealed(
    bar: Callable[[Worker, Miner], None], text: str
) -> None:
    host, miner = factories.worker("host", slots=SLOTS), factories.miner(actor_id=1000)
    factories.sector(factories.miner(actor_id=1001), held_by=host)
    waiting(miner)
    assert found() == [], "it waits for its turn"

    bar(host, miner)

    assert text in why()


def test_sectors_wait_for_their_turn_where_a_host_or_thread_may_begin_them() -> None:
    host = factories.worker("host", slots=SLOTS)
    factories.sector(factories.miner(), held_by=host)
    settings_told(host, threads__1__plan="sealer", threads__1__disable_cc="true", threads__2__plan="sealer")
    waiting()

    assert found() == []


def test_damocles_worker_may_begin_what_no_other_host_takes() -> None:
    host = factories.worker("host", slots=SLOTS)
    factories.sector(factories.miner(), held_by=host)
    rule_against_zeros(host, factories.miner())
    factories.worker("other", kinds=[DAMOCLES])
    waiting()

    assert found() == []


def test_paused_and_draining_hosts_are_told_apart() -> None:
    waiting()
    factories.worker("a", is_paused=True)
    factories.worker("b", is_draining=True)

    assert why() == "a is paused: resume it; b is draining: resume it"


def test_limit_on_sectors_is_named_with_its_setting() -> None:
    host = factories.worker("host", slots=SLOTS)
    settings_told(host, sectors_max="1")
    begun = factories.sector(factories.miner(), state="PC1_DONE", held_by=host)
    Job.objects.filter(pk=begun.job.pk).update(state="WAITING", worker=None)
    waiting()

    assert why() == "host has 1 sector unfinished, its setting sectors_max allows 1"


@pytest.mark.parametrize(
    "told_values",
    [
        {"sectors_max": "²"},
        {"sector_room_bytes": "9" * 5000},
        {"sectors_max": "-1"},
        {"sealing__recover_interval": "9" * 400 + "d"},
    ],
    ids=["no-number", "too-long", "negative", "endless"],
)
def test_setting_that_cannot_be_read_breaks_no_check(told_values: dict[str, str]) -> None:
    settings_told(factories.worker("host", slots=SLOTS), **told_values)
    waiting()

    assert why() == "host claims none: see its log, and whether its sealing threads are free"


def test_stores_that_accept_no_sector_are_named() -> None:
    host = factories.worker("host", slots=SLOTS)
    beat(host, told("nas", condition=StoreCondition.FULL), at=now())
    waiting()

    assert why() == "host has no store that accepts sectors: see Storage"


def test_store_whose_room_other_hosts_will_need_is_named() -> None:
    nas = told("nas", free_bytes=4096, total_bytes=1 << 20)
    hosts = [beat(factories.worker(name, slots=SLOTS), nas, at=now()) for name in ("one", "two")]
    begun = factories.sector(factories.miner(), held_by=hosts[0])
    Job.objects.filter(pk=begun.job.pk).update(state="WAITING", worker=None)
    waiting()

    assert "two shares nas with other hosts: 4 KiB free, and 1 sector in progress will need 4 KiB" in why()


def test_room_that_another_store_of_the_disk_was_promised_is_named() -> None:
    """Seen on a host whose stores share a disk: it stood idle, and nothing said why."""
    waiting()
    host = factories.worker("one", slots=SLOTS)
    for name, reserved in (("fast", 1 << 40), ("long", 0)):
        store = factories.store(host, name, reserved_bytes=reserved, free_bytes=0 if reserved else 1 << 39)
        store.attachments.update(disk="8:1")

    assert "one has 0 B free in its stores besides 1 TiB that is promised to copies" in why()
    Store.objects.update(reserved_bytes=0, free_bytes=1 << 39)
    assert "promised" not in why()


def test_last_error_of_a_host_that_claims_none_is_shown() -> None:
    waiting()
    factories.worker("host", slots=SLOTS, last_error="claim: disk I/O error")

    assert why() == "host claims none; its last error: claim: disk I/O error"
