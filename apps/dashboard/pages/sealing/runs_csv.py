"""The runs on all hosts as CSV."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from django.http import Http404, HttpRequest
from django.urls import path
from django.views.decorators.http import require_safe

from apps.core.clock import now
from apps.dashboard.csv_export import Download, csv_answer
from apps.dashboard.pages.sealing.page import SealingForm, wanted_of
from apps.dashboard.sessions import sign_in_required
from apps.sectors.selectors.host_lanes import HostLanes
from apps.sectors.selectors.sealing_report import SealingFilter, sealing_report
from apps.users.rules.principals import Principal

COLUMNS: Final = ("host", "stage", "slot", "miner", "sector", "start", "end", "seconds", "outcome", "capped")


@require_safe
@sign_in_required
def runs_csv(request: HttpRequest, viewer: Principal) -> Download:
    """Write the runs of the window as CSV.  Raises Http404 for an unknown miner or host."""
    form = SealingForm(request.GET).sent_by(viewer)
    wanted = wanted_of(form)
    if form.errors:
        raise Http404
    report = sealing_report(viewer, wanted, now=now())
    return csv_answer("sealing.csv", COLUMNS, csv_rows(report.hosts, wanted))


def csv_rows(hosts: Iterable[HostLanes], wanted: SealingFilter) -> Iterator[tuple[Any, ...]]:
    """Write each run, by host and slot."""
    for host in hosts:
        for lane in host.lanes:
            for run in lane.runs:
                if wanted.miner in ("", run.miner):
                    times = (run.start.isoformat(), run.end.isoformat(), round(run.seconds, 3))
                    how = "failed" if run.is_error else "done"
                    slot = (host.worker.name, lane.stage, lane.number)
                    yield (*slot, run.miner, run.number, *times, how, "yes" if host.is_capped else "no")


urlpatterns: Final = [
    path("sealing.csv", runs_csv, name="sealing-csv"),
]
