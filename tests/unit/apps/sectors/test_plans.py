"""Settings of hosts: levels, what a host is told and when, what is shown is what it tells."""

from __future__ import annotations

import pytest

from apps.core.clock import now
from apps.core.errors import BadValue
from apps.sectors.models import HostReport, Worker, WorkerCommand
from apps.sectors.services.hosts.commands import worker_command_enqueue
from apps.sectors.services.hosts.heartbeats import worker_heartbeat
from apps.sectors.services.hosts.registration import worker_register
from apps.sectors.services.hosts.settings import (
    shared_settings_set,
    values_read,
    worker_group_set,
    worker_settings_resolve,
    worker_settings_set,
)
from poolsite.wire.commands import Operation
from poolsite.wire.host_settings import Setting
from poolsite.wire.hosts import Heartbeat, Register, Registered
from poolsite.wire.jobs import JobKind
from tests import factories
from tests.people import tenant

pytestmark = pytest.mark.django_db


def registered(
    boot: str, *, configured: dict[str, str] | None = None, uid: str = "uid", of: str = "alice"
) -> tuple[Worker, Registered]:
    register = Register(
        boot_id=boot,
        slots={"PC1": 1, "PC2": 1},
        uid=uid,
        name="sealer",
        host="h",
        version="1",
        kinds=(JobKind.SEAL,),
        configured=configured or {},
        settings=(Setting(key="slots.PC1", value="1", origin="default"),),
    )
    return worker_register(register, tenant_id=tenant(of).pk, now=now())


def plan(worker: Worker, **slots: str) -> WorkerCommand:
    return worker_command_enqueue(worker, op=Operation.SET_PLAN, args=slots, actor="ann")


def test_what_is_shown_is_what_the_host_obeys():
    worker, _ = registered("b1")

    plan(worker, pc1="3")

    worker.refresh_from_db()
    assert worker.slots == {"PC1": 1, "PC2": 1}, "not before the host says so"
    obeyed = (Setting(key="slots.PC1", value="3", origin="file", file="/srv/worker.toml"),)
    worker_heartbeat(worker, heartbeat=Heartbeat(boot_id="b1", settings=obeyed), now=now())
    worker.refresh_from_db()
    assert worker.slots == {"PC1": 3, "PC2": 1}
    (told,) = HostReport.objects.get().settings
    assert told == {"key": "slots.PC1", "value": "3", "origin": "file", "file": "/srv/worker.toml"}


def test_a_host_that_lost_its_plan_gets_it_again():
    worker, _ = registered("b1")
    command = plan(worker, PC1="3")
    worker_heartbeat(worker, heartbeat=Heartbeat(boot_id="b1", done_commands=(str(command.uuid),)), now=now())

    answer = registered("b2")[1]

    assert [(one.op, one.args) for one in answer.commands] == [("set_plan", {"host.slots.PC1": "3"})]
    assert registered("b2")[1].commands == answer.commands, "asked once only"


def test_a_host_that_already_has_its_plan_is_not_told_again():
    worker, _ = registered("b1")
    command = plan(worker, PC1="3")
    worker_heartbeat(worker, heartbeat=Heartbeat(boot_id="b1", done_commands=(str(command.uuid),)), now=now())

    assert registered("b1", configured={"host.slots.PC1": "3"})[1].commands == ()


def test_only_the_newest_of_several_plans_is_told():
    worker, _ = registered("b1")
    plan(worker, PC1="3")
    plan(worker, PC1="0", PC2="2")

    answer = registered("b2")[1]

    assert [one.args for one in answer.commands] == [{"host.slots.PC1": "0", "host.slots.PC2": "2"}]


def test_a_setting_that_is_taken_away_is_told_too():
    worker, _ = registered("b1")
    worker_settings_set(worker, values=values_read({"slots.pc1": "3", "sectors_max": 2}), actor="ann")

    worker_settings_set(worker, values=values_read({"slots.PC1": ""}), actor="ann")

    answer = registered("b1", configured={"host.slots.PC1": "3", "host.sectors_max": "2"})[1]
    assert [one.args for one in answer.commands] == [{"host.sectors_max": "2"}]


def test_each_level_reaches_the_hosts_that_it_is_for():
    ours, ours_grouped = registered("b1", uid="u1")[0], registered("b1", uid="u2")[0]
    theirs = registered("b1", uid="u3", of="bob")[0]
    worker_group_set(ours_grouped, group="gpu", actor="ann")

    shared_settings_set({"slots.PC1": 1}, tenant=None, actor="olga")
    shared_settings_set({"slots.PC1": 2}, tenant=tenant("alice"), actor="ann")
    shared_settings_set({"slots.PC1": 3}, tenant=tenant("alice"), group="gpu", actor="ann")

    wanted = [worker_settings_resolve(Worker.objects.get(pk=one.pk)) for one in (ours, ours_grouped, theirs)]
    assert wanted == [
        {"pool.slots.PC1": "1", "tenant.slots.PC1": "2"},
        {"pool.slots.PC1": "1", "tenant.slots.PC1": "2", "group.slots.PC1": "3"},
        {"pool.slots.PC1": "1"},
    ]
    told = [one.commands.get(op="set_plan", done_at=None).args for one in (ours, ours_grouped, theirs)]
    assert told == wanted


def test_settings_of_a_group_leave_the_others_of_the_pool_alone():
    host = factories.worker("alone")

    shared_settings_set({"slots.PC1": 3}, tenant=tenant("alice"), group="gpu", actor="ann")

    assert not host.commands.exists()


@pytest.mark.parametrize("slots", [{"C9": "1"}, {"PC1": "-1"}, {"PC1": "many"}, {"PC1": "10001"}, {}])
def test_a_bad_plan_is_refused_and_changes_nothing(slots):
    worker, _ = registered("b1")

    with pytest.raises(BadValue) as refused:
        plan(worker, **slots)

    assert refused.value.field == "values"
    assert not WorkerCommand.objects.exists()
    worker.refresh_from_db()
    assert worker.settings == {}


def threads_tell(worker: Worker, *numbers: int) -> None:
    told = [{"key": f"threads.{one}.plan", "value": "sealer", "origin": "file of thread"} for one in numbers]
    HostReport.objects.update_or_create(worker=worker, defaults={"settings": told})


def test_a_thread_that_the_host_has_not_is_refused():
    worker, _ = registered("b1")
    values = values_read({"threads.1.plan": "snapup"}, is_shared=False)

    words = r"sealer has no sealing thread 1: its configuration file has 0 \[\[sealing_thread"
    with pytest.raises(BadValue, match=words):
        worker_settings_set(worker, values=values, actor="ann")

    threads_tell(worker, 1)
    worker_settings_set(worker, values=values, actor="ann")
    threads_tell(worker)
    worker_settings_set(worker, values={"threads.1.plan": None}, actor="ann")  # what was set before goes


def test_a_threads_settings_are_its_hosts_alone():
    worker, _ = registered("b1")
    threads_tell(worker, 1, 2)
    given = {"threads.2.allowed_miners": "t01000, 1001", "sealing.max_retries": "3"}
    values = values_read(given, is_shared=False)

    worker_settings_set(worker, values=values, actor="ann")

    worker.refresh_from_db()
    assert worker_settings_resolve(worker) == {
        "host.sealing.max_retries": "3",
        "thread.threads.2.allowed_miners": "f01000 f01001",
    }
    with pytest.raises(BadValue, match=r"unknown setting threads\.2\.max_retries"):
        values_read({"threads.2.max_retries": "3"})


@pytest.mark.parametrize(
    ("key", "text", "words"),
    [
        ("sealing.enable_deals", "maybe", "use true or false"),
        ("threads.1.allowed_sizes", "3GiB", "use sizes of 2KiB"),
        ("threads.1.plan", "wdpost", "use one of sealer"),
        ("sealing.seal_interval", "5", "use a duration"),
        ("sealing.max_retries", "-1", "use a whole number from 0"),
        ("sealing.most_deals", "1", "unknown setting sealing.most_deals"),
        ("sealing.max_deals", "0", "use a whole number from 1"),
        ("sealing.min_deal_space", "16 Gi", "use a size of at most 64GiB"),
        ("threads.1.min_deal_space", "65GiB", "use a size of at most 64GiB"),
        ("sealing.recover_interval", "8d", "use a duration of at most 7d"),
    ],
)
def test_a_rule_that_is_none_is_refused_with_what_to_write(key, text, words):
    with pytest.raises(BadValue, match=words):
        values_read({key: text}, is_shared=False)


def test_a_rule_that_is_taken_away_is_no_longer_told():
    worker, _ = registered("b1")
    worker_settings_set(worker, values={"sealing.enable_deals": "false"}, actor="ann")

    worker_settings_set(worker, values=values_read({"sealing.enable_deals": ""}), actor="ann")

    worker.refresh_from_db()
    assert worker_settings_resolve(worker) == {}
