"""One host as REST writes it: what it holds, its settings, its work of the last week."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.api.v1.serializers import CODE_HELP
from apps.api.v1.wire_schema import JOB_KINDS, WireDocument
from apps.core import clock
from apps.core.reasons import code_of
from apps.sectors.selectors.host_record import host_record
from apps.sectors.selectors.hosts import host_report, worker_is_away
from apps.sectors.selectors.parallel_plan import BOUNDS, host_parallel_plan
from apps.sectors.services.hosts.settings import worker_settings_resolve
from poolsite.wire.batch_model import BINDS, batch_table
from poolsite.wire.hardware import Hardware
from poolsite.wire.jobs import JobKind

if TYPE_CHECKING:
    from apps.sectors.models import HostReport, Worker


HARDWARE: Any = WireDocument(Hardware, is_part=True)


@extend_schema_field(HARDWARE)
class HardwareField(serializers.DictField):
    """A host's hardware as it reported it."""


class HeldJobOutput(serializers.Serializer[Any]):
    """A job that the host holds."""

    id = serializers.UUIDField()
    kind = serializers.ChoiceField(choices=JOB_KINDS)
    stage = serializers.CharField()
    miner = serializers.CharField()
    sector = serializers.IntegerField(allow_null=True)


class WorkerOutput(serializers.Serializer[Any]):
    """One worker."""

    uuid = serializers.UUIDField()
    name = serializers.CharField()
    host = serializers.CharField()
    version = serializers.CharField()
    tenant = serializers.CharField()
    kinds = serializers.ListField(child=serializers.ChoiceField(choices=JOB_KINDS))
    slots = serializers.DictField(child=serializers.IntegerField())
    stores = serializers.ListField(child=serializers.CharField())
    hardware = HardwareField()
    seen_at = serializers.DateTimeField()
    registered_at = serializers.DateTimeField()
    away = serializers.BooleanField()
    paused = serializers.BooleanField()
    draining = serializers.BooleanField()
    retiring = serializers.BooleanField()
    group = serializers.CharField(allow_blank=True)
    restarts = serializers.IntegerField()
    last_error = serializers.CharField()
    last_error_code = serializers.CharField(help_text=CODE_HELP)
    jobs = HeldJobOutput(many=True)


class SettingOutput(serializers.Serializer[Any]):
    """A setting in effect on the host, and the level that it comes from."""

    key = serializers.CharField()
    value = serializers.CharField()
    origin = serializers.CharField()
    file = serializers.CharField(
        required=False,
        allow_blank=True,
        help_text="The host's configuration file, if the value comes from it.",
    )


class FailureOutput(serializers.Serializer[Any]):
    """A stage that failed on the host."""

    at = serializers.DateTimeField()
    stage = serializers.CharField()
    miner = serializers.CharField()
    sector = serializers.IntegerField(allow_null=True)
    error = serializers.CharField()
    error_code = serializers.CharField(help_text=CODE_HELP)


class BoundOutput(serializers.Serializer[Any]):
    """A limit on concurrent sectors: `have` divided by `each`; for cores, `each` is sectors per core."""

    by = serializers.ChoiceField(choices=BOUNDS)
    count = serializers.IntegerField()
    have = serializers.IntegerField()
    each = serializers.IntegerField()
    is_of_pc1 = serializers.BooleanField(help_text="It limits only sectors in PC1.")


class ParallelOutput(serializers.Serializer[Any]):
    """How many sectors of the miners' size a host can seal at once."""

    sector_bytes = serializers.IntegerField()
    sectors = serializers.IntegerField()
    in_pc1 = serializers.IntegerField()
    bounds = BoundOutput(many=True, help_text="Strictest first.")


class DriveBatchOutput(serializers.Serializer[Any]):
    """A batch of 32 GiB sectors with its layers on drives: its needs, and what the host makes of it."""

    sectors = serializers.IntegerField()
    memory_bytes = serializers.IntegerField()
    needs_bytes = serializers.IntegerField(help_text="of all drives together")
    reads_needed_s = serializers.FloatField(
        allow_null=True, help_text="a second, so that cores never wait; null: labels were not measured"
    )
    reads_s = serializers.FloatField(allow_null=True, help_text="a second, as measured; null: not measured")
    hours = serializers.FloatField(allow_null=True, help_text="until all layers are there")
    trees_hours = serializers.FloatField(
        allow_null=True, help_text="from then until replicas and trees are made; null: not measured"
    )
    per_day = serializers.FloatField(
        allow_null=True,
        help_text="sectors, of layers alone where trees were not measured; 0: the host cannot hold one batch",
    )
    binds = serializers.ChoiceField(choices=BINDS, allow_blank=True, help_text="empty: not known")
    days = serializers.FloatField(
        allow_null=True, help_text="that the drives last; null: their endurance was not given"
    )


class WorkerDetail(WorkerOutput):
    """One worker with its settings in effect, and its work of the last week."""

    settings = SettingOutput(many=True)
    wanted = serializers.DictField(child=serializers.CharField())
    parallel = ParallelOutput(
        allow_null=True, help_text="Null: it seals nothing, or has not reported enough."
    )
    batches = DriveBatchOutput(
        many=True, help_text="By size; empty if it seals nothing. Measured by measure-disks --all."
    )
    sectors_per_day = serializers.FloatField(
        allow_null=True, help_text="Sectors a day over the last week; null until the host is a day old."
    )
    failures = FailureOutput(many=True)


def parallel_body(worker: Worker, report: HostReport | None) -> dict[str, Any] | None:
    """Return how many sectors a host can seal at once, as JSON."""
    plan = host_parallel_plan(worker, report)
    if plan is None:
        return None
    bounds = [
        {
            "by": one.by,
            "count": one.count,
            "have": one.have,
            "each": one.each,
            "is_of_pc1": one.is_of_labels,
        }
        for one in plan.bounds
    ]
    return {
        "sector_bytes": plan.sector_bytes,
        "sectors": plan.sectors,
        "in_pc1": plan.labelled,
        "bounds": bounds,
    }


def detail_body(worker: Worker) -> dict[str, Any]:
    """Return one worker with its settings and its record as JSON."""
    report, record = host_report(worker), host_record(worker, now=clock.now())
    failures = [
        {
            "at": event.at,
            "stage": event.stage,
            "miner": event.job.miner.address,
            "sector": None if event.job.sector is None else event.job.sector.number,
            "error": event.note,
            "error_code": code_of(event.note),
        }
        for event in record.failures
    ]
    return {
        **worker_body(worker),
        "settings": [] if report is None else report.settings,
        "wanted": worker_settings_resolve(worker),
        "parallel": parallel_body(worker, report),
        "batches": DriveBatchOutput(
            batch_table(worker.hardware) if JobKind.SEAL in worker.kinds else (), many=True
        ).data,
        "sectors_per_day": None if record.per_day is None else round(record.per_day, 2),
        "failures": failures,
    }


def worker_body(worker: Worker) -> dict[str, Any]:
    """Return one worker with the jobs that it holds, as JSON."""
    plain = ("name", "host", "version", "kinds", "slots", "stores", "hardware", "seen_at", "registered_at")
    held = getattr(worker, "held_jobs", ())
    return {
        "uuid": str(worker.uuid),
        "tenant": worker.tenant.name,
        "away": worker_is_away(worker, now=clock.now()),
        "paused": worker.is_paused,
        "draining": worker.is_draining,
        "retiring": worker.retire_asked_at is not None,
        "group": worker.group,
        "restarts": worker.restarts,
        "last_error": worker.last_error,
        "last_error_code": code_of(worker.last_error),
        "jobs": [
            {
                "id": str(job.uuid),
                "kind": job.kind,
                "stage": job.stage,
                "miner": job.miner.address,
                "sector": None if job.sector is None else job.sector.number,
            }
            for job in held
        ],
        **{name: getattr(worker, name) for name in plain},
    }
