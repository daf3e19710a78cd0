"""What a heartbeat writes."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from msgspec import to_builtins
from msgspec.structs import replace

from apps.core import clock
from apps.sectors.models import Worker
from apps.sectors.services.hosts.heartbeats import worker_heartbeat
from poolsite.wire.hardware import Disk, Hardware
from poolsite.wire.hosts import Heartbeat
from tests import factories

pytestmark = pytest.mark.django_db


def test_a_machine_is_written_only_when_it_changed() -> None:
    host = factories.worker(boot_id="boot")
    machine = Hardware(cpus=8, gpus=("one",), disks=(Disk(folder="/a", total_bytes=10, free_bytes=5),))
    later = replace(machine, ram_bytes=1)

    def is_written(told: Hardware) -> bool:
        row = Worker.objects.get(pk=host.pk)
        with CaptureQueriesContext(connection) as seen:
            worker_heartbeat(row, heartbeat=Heartbeat(boot_id="boot", hardware=told), now=clock.now())
        (heard,) = (query["sql"] for query in seen if "EXECUTE worker_heard" in query["sql"])
        return '"cpus": 8' in heard

    assert [is_written(told) for told in (machine, machine, later, later)] == [True, False, True, False]
    stored = Worker.objects.get(pk=host.pk).hardware
    assert (stored["gpus"], stored["disks"][0]["folder"], stored["ram_bytes"]) == (["one"], "/a", 1)
    assert stored.keys() == to_builtins(later).keys()
