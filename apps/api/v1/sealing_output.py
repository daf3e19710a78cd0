"""The sealing report as REST writes it."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from apps.sectors.selectors.bottleneck import KINDS, Bottleneck, StageFigures
from apps.sectors.selectors.host_lanes import Lane
from apps.sectors.selectors.sealing_report import SealingFilter, SealingReport


class StageRunOutput(serializers.Serializer[Any]):
    """One run of a stage; a failed one is reported when it ends."""

    miner = serializers.CharField(allow_blank=True)
    sector = serializers.IntegerField(allow_null=True)
    uuid = serializers.CharField(allow_blank=True)
    start = serializers.DateTimeField()
    end = serializers.DateTimeField(allow_null=True)
    failed = serializers.BooleanField()


class LaneOutput(serializers.Serializer[Any]):
    """One slot; the current run is the last one, without an end."""

    stage = serializers.CharField()
    slot = serializers.IntegerField()
    runs = StageRunOutput(many=True)


class HostLanesOutput(serializers.Serializer[Any]):
    """One host's slots."""

    uuid = serializers.UUIDField()
    name = serializers.CharField()
    capped = serializers.BooleanField()
    lanes = LaneOutput(many=True)


class StageFiguresOutput(serializers.Serializer[Any]):
    """One stage across these hosts."""

    stage = serializers.CharField()
    slots = serializers.IntegerField()
    running = serializers.IntegerField()
    waiting = serializers.IntegerField()
    waiting_before = serializers.IntegerField()
    oldest = serializers.DateTimeField(allow_null=True)
    done = serializers.IntegerField()
    failed = serializers.IntegerField()
    use = serializers.FloatField(allow_null=True)
    queue_slots = serializers.IntegerField()
    queue_running = serializers.IntegerField()
    queue_use = serializers.FloatField(allow_null=True)
    p50_s = serializers.FloatField(allow_null=True)
    p90_s = serializers.FloatField(allow_null=True)
    of_runs = serializers.IntegerField()


class BottleneckOutput(serializers.Serializer[Any]):
    """What limits the farm; sectors per day by measured times, now and with one more slot on that host."""

    kind = serializers.ChoiceField(choices=KINDS)
    stage = serializers.CharField(allow_blank=True)
    host = serializers.CharField(allow_blank=True)
    host_waiting = serializers.IntegerField()
    host_slots = serializers.IntegerField()
    per_day = serializers.FloatField(allow_null=True)
    more_per_day = serializers.FloatField(allow_null=True)
    next_stage = serializers.CharField(allow_blank=True)


class SectorEtaOutput(serializers.Serializer[Any]):
    """A sector in progress, and when it will be proving."""

    uuid = serializers.CharField()
    miner = serializers.CharField()
    number = serializers.IntegerField()
    stage = serializers.CharField()
    since = serializers.DateTimeField()
    host = serializers.CharField(allow_blank=True)
    paused = serializers.BooleanField()
    late = serializers.BooleanField()
    eta = serializers.DateTimeField(allow_null=True)


class SealingOutput(serializers.Serializer[Any]):
    """The complete report at one moment."""

    at = serializers.DateTimeField()
    since = serializers.DateTimeField()
    finished = serializers.IntegerField()
    per_day = serializers.FloatField(
        allow_null=True, help_text="By what was finished in the window; null while no host is as old as it."
    )
    bottleneck = BottleneckOutput()
    stages = StageFiguresOutput(many=True)
    hosts = HostLanesOutput(many=True)
    hosts_left_out = serializers.IntegerField()
    sectors = SectorEtaOutput(many=True)


def lane_body(lane: Lane, filters: SealingFilter) -> dict[str, Any]:
    """Return one slot as JSON."""
    runs: list[dict[str, Any]] = [
        {
            "miner": run.miner,
            "sector": run.number,
            "uuid": run.sector,
            "start": run.start,
            "end": run.end,
            "failed": run.is_error,
        }
        for run in lane.runs
        if filters.miner in ("", run.miner)
    ]
    now = lane.running
    if now is not None and filters.miner in ("", now.miner):
        names = {"miner": now.miner, "sector": now.number, "uuid": now.sector}
        runs.append(names | {"start": lane.since, "end": None, "failed": False})
    return {"stage": lane.stage, "slot": lane.number, "runs": runs}


def stage_body(row: StageFigures) -> dict[str, Any]:
    """Return one stage's figures as JSON."""
    same = (
        *("stage", "slots", "running", "waiting", "waiting_before", "oldest", "failed", "use"),
        *("queue_slots", "queue_running", "queue_use", "p50_s", "p90_s"),
    )
    return {name: getattr(row, name) for name in same} | {"done": row.runs, "of_runs": row.history}


def bottleneck_body(limits: Bottleneck, report: SealingReport) -> dict[str, Any]:
    """Return what limits the farm, as JSON."""
    host = next((one.worker.name for one in report.hosts if one.worker.pk == limits.worker), "")
    return {
        "kind": limits.kind,
        "stage": "" if limits.figures is None else limits.figures.stage,
        "host": host,
        "host_waiting": limits.worker_waiting,
        "host_slots": limits.worker_slots,
        "per_day": limits.per_day,
        "more_per_day": limits.more_per_day,
        "next_stage": limits.next_stage,
    }


def report_body(report: SealingReport, filters: SealingFilter) -> dict[str, Any]:
    """Return the report as JSON."""
    return {
        "at": report.at,
        "since": report.since,
        "finished": report.finished,
        "per_day": report.per_day,
        "bottleneck": bottleneck_body(report.bottleneck, report),
        "stages": [stage_body(row) for row in report.stages],
        "hosts": [
            {
                "uuid": host.worker.uuid,
                "name": host.worker.name,
                "capped": host.is_capped,
                "lanes": [lane_body(lane, filters) for lane in host.lanes],
            }
            for host in report.hosts
        ],
        "hosts_left_out": report.hosts_left_out,
        "sectors": [
            {
                "uuid": one.sector.uuid,
                "miner": one.sector.miner,
                "number": one.sector.number,
                "stage": one.stage,
                "since": one.sector.since,
                "host": one.sector.host,
                "paused": one.sector.is_paused,
                "late": one.is_late,
                "eta": one.eta,
            }
            for one in report.sectors
        ],
    }
