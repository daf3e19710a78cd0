"""A plan set on a host is kept by the console and sent again when the host starts."""

from __future__ import annotations

import pytest

from apps.core.clock import now
from apps.core.errors import BadValue
from apps.sectors.models import Worker, WorkerCommand
from apps.sectors.services.hosts import worker_command, worker_heartbeat, worker_register
from poolsite.wire.hosts import Heartbeat, Operation, Register, Registered
from poolsite.wire.jobs import JobKind
from tests.people import tenant

pytestmark = pytest.mark.django_db


def registered(boot: str, **slots: int) -> tuple[Worker, Registered]:
    register = Register(
        boot_id=boot,
        slots=slots or {"PC1": 1, "PC2": 1},
        uid="uid",
        name="sealer",
        host="h",
        version="1",
        kinds=(JobKind.SEAL,),
    )
    return worker_register(register, tenant_id=tenant("alice").pk, now=now())


def plan(worker: Worker, **slots: str) -> WorkerCommand:
    return worker_command(worker, op=Operation.SET_PLAN, args=slots, actor="ann")


def test_the_row_shows_the_plan_as_the_host_obeys_it():
    worker, _ = registered("b1")

    plan(worker, pc1="3")

    worker.refresh_from_db()
    assert worker.slots == {"PC1": 3, "PC2": 1}


def test_a_restarted_host_gets_its_plan_again():
    worker, _ = registered("b1")
    command = plan(worker, PC1="3")
    worker_heartbeat(worker, Heartbeat(boot_id="b1", done_commands=(str(command.uuid),)), now=now())

    worker, answer = registered("b2")

    assert [(one.op, one.args) for one in answer.commands] == [("set_plan", {"PC1": "3"})]
    assert worker.slots == {"PC1": 3, "PC2": 1}
    assert registered("b2")[1].commands == answer.commands, "asked once only"


def test_a_host_that_already_has_its_plan_is_not_told_again():
    worker, _ = registered("b1")
    command = plan(worker, PC1="3")
    worker_heartbeat(worker, Heartbeat(boot_id="b1", done_commands=(str(command.uuid),)), now=now())

    assert registered("b1", PC1=3, PC2=1)[1].commands == ()


def test_a_later_plan_wins_over_an_earlier_one():
    worker, _ = registered("b1")
    plan(worker, PC1="3")
    plan(worker, PC1="0", PC2="2")

    worker, answer = registered("b2")

    assert worker.slots == {"PC1": 0, "PC2": 2}
    assert answer.commands[-1].args == {"PC1": "0", "PC2": "2"}


@pytest.mark.parametrize("slots", [{"C9": "1"}, {"PC1": "-1"}, {"PC1": "many"}, {"PC1": "10001"}, {}])
def test_a_bad_plan_is_refused_and_changes_nothing(slots):
    worker, _ = registered("b1")

    with pytest.raises(BadValue) as refused:
        plan(worker, **slots)

    assert refused.value.field == "args"
    assert not WorkerCommand.objects.exists()
    worker.refresh_from_db()
    assert worker.slots == {"PC1": 1, "PC2": 1}
