"""Hosts: the workers that seal and prove."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Q

from apps.checks.results import Topic
from apps.dashboard.fragments.context import FragmentContext, fragment
from apps.dashboard.fragments.todo import verdict_by
from apps.dashboard.rows.cards import Verdict, plural
from apps.dashboard.rows.hosts import HostRow, host_row
from apps.sectors.models import Job
from apps.sectors.selectors import is_uuid, worker_is_away, workers_visible

if TYPE_CHECKING:
    from collections.abc import Iterable

    from apps.dashboard.page_data import PageData
    from apps.sectors.models import Worker


def host_rows(workers: Iterable[Worker], data: PageData) -> list[HostRow]:
    """Lay out workers, those that need somebody first."""
    may_act = data.viewer.may("sign")
    rows = [host_row(worker, data=data, may_act=may_act, paces=data.host_speeds) for worker in workers]
    return sorted(rows, key=lambda row: ({"bad": 0, "warn": 1}.get(row.tone, 2), row.name))


def list_verdict_of(data: PageData) -> Verdict:
    """Return in one sentence who is there."""
    workers, report = data.workers, data.report_of(Topic.HOSTS)
    if not workers:
        return verdict_by(report, Verdict("", "No worker has registered yet."))
    away = sum(worker_is_away(worker, now=data.at) for worker in workers)
    here = f"{plural(len(workers) - away, 'worker')} online, {away} offline."
    return verdict_by(report, Verdict(here, "" if report.found else "None is slow, none is short of disk."))


def list_verdict(context: FragmentContext) -> Iterable[str]:
    yield fragment("dashboard/_verdict.html", verdict=list_verdict_of(context.data))


def rows(context: FragmentContext, keys: list[str]) -> Iterable[str]:
    """Render the changed workers by pk or uuid."""
    data = context.data
    known = Q(pk__in=[key for key in keys if key.isdigit()]) | Q(
        uuid__in=[key for key in keys if is_uuid(key)]
    )
    for row in host_rows(workers_visible(context.viewer).filter(known), data):
        yield fragment("hosts/_row.html", host=row)


def rows_of_jobs(context: FragmentContext, keys: list[str]) -> Iterable[str]:
    """Render the workers whose jobs changed."""
    known = Q(pk__in=[key for key in keys if key.isdigit()]) | Q(
        uuid__in=[key for key in keys if is_uuid(key)]
    )
    jobs = Job.objects.filter(known).exclude(worker=None)
    return rows(context, [str(pk) for pk in jobs.values_list("worker_id", flat=True).distinct()])
