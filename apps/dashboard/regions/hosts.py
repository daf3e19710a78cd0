"""Hosts: the workers that seal and prove."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Q

from apps.checks.results import Topic
from apps.dashboard.lines.cards import Verdict, plural
from apps.dashboard.lines.hosts import HostLine, host_line
from apps.dashboard.regions.place import Place, fragment
from apps.dashboard.regions.todo import verdict_by
from apps.sectors.models import Job
from apps.sectors.selectors import is_uuid, worker_is_away, workers_visible

if TYPE_CHECKING:
    from collections.abc import Iterable

    from apps.dashboard.regions.scene import Scene
    from apps.sectors.models import Worker


def host_lines(workers: Iterable[Worker], scene: Scene) -> list[HostLine]:
    """Lay out workers, those that need somebody first."""
    may_act = scene.viewer.may("sign")
    lines = [host_line(worker, scene=scene, may_act=may_act, paces=scene.host_speeds) for worker in workers]
    return sorted(lines, key=lambda line: ({"bad": 0, "warn": 1}.get(line.tone, 2), line.name))


def list_verdict_of(scene: Scene) -> Verdict:
    """Say in one sentence who is there."""
    workers, report = scene.workers, scene.report_of(Topic.HOSTS)
    if not workers:
        return verdict_by(report, Verdict("", "No worker has registered yet."))
    away = sum(worker_is_away(worker, now=scene.at) for worker in workers)
    here = f"{plural(len(workers) - away, 'worker')} online, {away} offline."
    return verdict_by(report, Verdict(here, "" if report.found else "None is slow, none is short of disk."))


def list_verdict(place: Place) -> Iterable[str]:
    yield fragment("dashboard/_verdict.html", verdict=list_verdict_of(place.scene))


def rows(place: Place, keys: list[str]) -> Iterable[str]:
    """Render the changed workers by pk or uuid."""
    scene = place.scene
    known = Q(pk__in=[key for key in keys if key.isdigit()]) | Q(
        uuid__in=[key for key in keys if is_uuid(key)]
    )
    for line in host_lines(workers_visible(place.viewer).filter(known), scene):
        yield fragment("hosts/_row.html", host=line)


def rows_of_jobs(place: Place, keys: list[str]) -> Iterable[str]:
    """Render the workers whose jobs changed."""
    known = Q(pk__in=[key for key in keys if key.isdigit()]) | Q(
        uuid__in=[key for key in keys if is_uuid(key)]
    )
    jobs = Job.objects.filter(known).exclude(worker=None)
    return rows(place, [str(pk) for pk in jobs.values_list("worker_id", flat=True).distinct()])
