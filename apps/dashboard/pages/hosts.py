"""Hosts: the workers that seal and prove, pause and resume."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.utils.translation import gettext as say
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST, require_safe

from apps.checks.results import Topic
from apps.core import formatting
from apps.core.formatting import plural
from apps.dashboard.cards import Action, Verdict
from apps.dashboard.fragments import FragmentContext, LivePage, fragment
from apps.dashboard.labels import JOBS, STAGES, StateLabel
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.host_filters import HostFilter, facets, group_facets, hosts_page, order_of
from apps.dashboard.registry import NavItem
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.todo import verdict_by
from apps.sectors.hardware import PINGS, disk_share, is_short_of_disk
from apps.sectors.proof_forms import parameters_error, proofs_made
from apps.sectors.selectors.hosts import is_uuid, worker_get, worker_is_away, workers_visible
from apps.sectors.selectors.jobs import hosts_of_jobs
from apps.sectors.services.hosts.workers import worker_command
from apps.users.services.people import can_manage_people
from poolsite.filecoin.policy import ProofForm
from poolsite.wire.hosts import Operation

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime
    from uuid import UUID

    from apps.sectors.models import Job, Worker
    from apps.sectors.selectors.host_speed import HostSpeed
    from apps.users.principals import Principal


DISK_FULL: Final = 0.02
STAGES_NAMED: Final = 2
"""Stages of a host's pace that a list has room for."""


@dataclass(frozen=True, slots=True)
class HostRow:
    """One worker in a list."""

    row: Worker
    label: StateLabel
    kind: str
    slots: str
    """Jobs of each stage at a time."""
    does: str
    asked: str
    """What it was told and has not done yet."""
    hardware: str
    disk: str
    """Free space of the folder in which it seals."""
    pace: str
    """Its longest stages."""
    record: str
    """How many runs that rests on, and what failed."""
    actions: tuple[Action, ...]
    other_tenant: str
    """Its tenant's name, where that is not the viewer's own; else empty."""


def worker_label(worker: Worker, *, now: datetime, pace: HostSpeed | None = None) -> StateLabel:
    """Return in words whether a worker works, and how well."""
    if worker_is_away(worker, now=now):
        return StateLabel("bad", _("offline"))
    if is_short_of_disk(worker.hardware):
        is_full = (disk_share(worker.hardware) or 0.0) < DISK_FULL
        return StateLabel("bad", _("disk full")) if is_full else StateLabel("warn", _("low disk"))
    if worker.is_paused:
        return StateLabel("idle", _("paused"), "pause")
    if worker.is_draining:
        return StateLabel("warn", _("draining"))
    if pace is not None and pace.slow is not None:
        return StateLabel("warn", _("slow"))
    if held_jobs(worker):
        return StateLabel("run", _("working"))
    done, total = kernels_ready(worker)
    if parameters_error(worker.hardware):
        return StateLabel("bad", _("no parameters"))
    return StateLabel("run", _("warming up")) if done < total else StateLabel("ok", _("idle"))


def kernels_ready(worker: Worker) -> tuple[int, int]:
    """How many of its kernels a host has compiled, and of how many; equal once it claims all stages."""
    return worker.hardware.get("kernels_done", 0), worker.hardware.get("kernels_total", 0)


def parameters_text(worker: Worker) -> str:
    """Return how far a host's Groth16 parameters are, or what is missing; empty once they are there."""
    hardware = worker.hardware
    if error := parameters_error(hardware):
        return error
    done, total = hardware.get("parameters_done", 0), hardware.get("parameters_total", 0)
    if done >= total:
        return ""
    shown = formatting.percent(done, total)
    if hardware.get("winning_form") == ProofForm.VANILLA and set(proofs_made(hardware)) > {ProofForm.VANILLA}:
        return say("preparing Groth16 parameters for WinningPoSt: {done}").format(done=shown)
    return say("preparing Groth16 parameters: {done}; until then its proofs are vanilla").format(done=shown)


def held_jobs(worker: Worker) -> list[Job]:
    """Return the jobs that `workers_visible` read along."""
    return getattr(worker, "held_jobs", [])


def job_text(job: Job) -> str:
    """`f01001 / 3: PC1`, or which deadline is proved."""
    if job.sector is not None:
        return f"{job.miner.address} / {job.sector.number}: {STAGES.get(job.stage, job.stage)}"
    far = progress_text(job)
    return f"{job.miner.address}: {kind_text(job.kind)}{', ' if far else ''}{far}"


def progress_text(job: Job) -> str:
    """How far a proof is, `5 of 20 sectors`; empty while its host has not told."""
    if not job.progress_total:
        return ""
    unit = job.progress_unit or "steps"
    return say("{progress_done} of {progress_total} {unit}").format(
        progress_done=formatting.whole(job.progress_done),
        progress_total=formatting.whole(job.progress_total),
        unit=unit,
    )


def slots_text(slots: dict[str, int]) -> str:
    """`PC1 4, PC2 1`; stages without a slot are left out."""
    named = ((STAGES.get(stage.upper()) or kind_text(stage.lower()), count) for stage, count in slots.items())
    return ", ".join(f"{stage} {count}" for stage, count in named if count)


def kind_text(kind: str) -> str:
    """Return a kind of work in words."""
    return JOBS.get(kind.upper(), kind.replace("_", " ").lower())


def disk_text(hardware: dict[str, Any]) -> str:
    """`41.20 GiB free, 68 %`."""
    free = disk_share(hardware)
    if free is None:
        return ""
    return say("{disk_free_bytes} free, {free}").format(
        disk_free_bytes=" ".join(formatting.size(int(hardware["disk_free_bytes"]))),
        free=formatting.percent(free, 1),
    )


def pace_text(pace: HostSpeed | None) -> str:
    """`PC1 3:39:58, C2 31:10`: the longest stages of a sector, or the proof."""
    if pace is None or not pace.stages:
        return formatting.NOTHING
    return ", ".join(
        f"{STAGES.get(stage.stage) or kind_text(stage.stage)} {formatting.duration(stage.ms / 1000)}"
        for stage in pace.stages[:STAGES_NAMED]
    )


def record_text(pace: HostSpeed | None) -> str:
    """`median of 12 runs, 1 failed`; of a slow host, how far it lags behind."""
    if pace is None or not pace.stages:
        return ""
    slow = pace.slow
    if slow is not None and slow.ratio is not None:
        stage = STAGES.get(slow.stage) or kind_text(slow.stage)
        return say("{stage} takes {ratio:.1f} times as long as on other hosts").format(
            stage=stage, ratio=slow.ratio
        )
    failed = (
        say(", {failures} failed").format(failures=formatting.whole(pace.failures)) if pace.failures else ""
    )
    return say("median of {runs}{failed}").format(runs=plural(pace.stages[0].runs, "run"), failed=failed)


def hardware_text(hardware: dict[str, Any]) -> str:
    """`2 cores, 23.4 GiB RAM`; what a host did not tell is left out."""
    parts = []
    if hardware.get("cpus"):
        parts.append(say("{cpus} cores").format(cpus=hardware["cpus"]))
    if hardware.get("ram_bytes"):
        parts.append(f"{' '.join(formatting.size(int(hardware['ram_bytes'])))} RAM")
    return ", ".join(parts) or formatting.NOTHING


def idle_text(worker: Worker, *, now: datetime) -> str:
    """Why a worker has nothing to do."""
    if worker_is_away(worker, now=now):
        return say("no heartbeat for {time}").format(
            time=formatting.time_left((now - worker.seen_at).total_seconds())
        )
    if worker.is_paused:
        return "paused by operator"
    done, total = kernels_ready(worker)
    if done < total:
        return say("compiling kernels: {done} of {total} ready").format(done=done, total=total)
    if worker.is_draining and not parameters_error(worker.hardware):
        return "accepts no new sectors"
    return parameters_text(worker) or "waiting for jobs"


ASKED: Final[dict[str, str]] = {
    Operation.PAUSE: "pauses with its next heartbeat",
    Operation.RESUME: "resumes with its next heartbeat",
    Operation.DRAIN: "drains with its next heartbeat",
    Operation.SET_PLAN: "changes its settings with its next heartbeat",
    Operation.UPGRADE: "stops for an upgrade once its running stages are done",
    Operation.MEASURE: "measures its disks with its next heartbeat",
    Operation.REMOVE: "removes the files of aborted sectors",
    Operation.ATTACH: "attaches a store",
    Operation.DETACH: "detaches a store",
    Operation.SET_STORE: "changes a store",
    Operation.COPY_SECTOR: "copies sectors to another store",
    Operation.REMOVE_COPY: "removes moved sectors from their old store",
    Operation.DROP_COPY: "removes unfinished copies",
    Operation.CHECK_SECTOR: "checks sector files",
    Operation.SCAN_STORE: "scans a store",
    Operation.REMOVE_LEFTOVER: "removes leftovers from a store",
    Operation.REMOVE_SEALING: "removes leftovers from its sealing folder",
}
"""Commands that ride on the answer to a heartbeat."""


def _does(worker: Worker, jobs: list[str]) -> str:
    """Return what a host is at, or what went wrong last; two processes of its name stand before all."""
    if len(worker.hardware.get(PINGS, ())) > 1:
        return "; ".join(filter(None, (worker.last_error, *jobs)))
    return "; ".join(jobs) or worker.last_error


def asked_text(worker: Worker, asked: str) -> str:
    """Return `removes the files of aborted sectors, 384.00 GiB`: what a host was told and has yet to do."""
    removing = worker.hardware.get("removing_bytes", 0) if asked == Operation.REMOVE else 0
    size = f", {' '.join(formatting.size(int(removing)))}" if removing else ""
    return f"{ASKED.get(asked, '')}{size}"


def host_actions(worker: Worker, asked: str) -> tuple[Action, ...]:
    """Return what can be done: the opposite of what holds, or was asked for already."""
    is_paused = asked == Operation.PAUSE if asked in (Operation.PAUSE, Operation.RESUME) else worker.is_paused
    key, label, icon = ("resume", "Resume", "run") if is_paused else ("pause", "Pause", "pause")
    return (Action(key=key, label=label, href=reverse("host-act", args=[worker.uuid, key]), icon=icon),)


def host_row(
    worker: Worker, *, data: PageData, may_act: bool, paces: Mapping[int, HostSpeed] = MappingProxyType({})
) -> HostRow:
    """Lay out one worker of `workers_visible`; without `paces` nothing is said of its speed."""
    pace = paces.get(worker.pk)
    jobs = [job_text(job) for job in held_jobs(worker)]
    asked = data.asked.get(worker.pk, "")
    return HostRow(
        row=worker,
        label=worker_label(worker, now=data.at, pace=pace),
        kind=", ".join(kind_text(kind) for kind in worker.kinds),
        slots=slots_text(worker.slots),
        does=_does(worker, jobs) or idle_text(worker, now=data.at),
        asked=asked_text(worker, asked),
        hardware=hardware_text(worker.hardware),
        disk=disk_text(worker.hardware),
        pace=pace_text(pace),
        record=record_text(pace),
        actions=host_actions(worker, asked) if may_act else (),
        other_tenant=worker.tenant.name if worker.tenant_id != data.viewer.own_id else "",
    )


def host_rows(workers: Iterable[Worker], data: PageData) -> list[HostRow]:
    """Lay out workers, those that need somebody first."""
    may_act = data.viewer.may("write")
    rows = [host_row(worker, data=data, may_act=may_act, paces=data.host_speeds) for worker in workers]
    return sorted(rows, key=lambda row: order_of((row.row, row.label)))


def list_verdict_of(data: PageData) -> Verdict:
    """Return in one sentence who is there."""
    workers, report = data.workers, data.report_of(Topic.HOSTS)
    if not workers:
        return verdict_by(report, Verdict("", _("No worker has registered yet.")))
    away = sum(worker_is_away(worker, now=data.at) for worker in workers)
    here = say("{workers} online, {away} offline.").format(
        workers=plural(len(workers) - away, "worker"), away=away
    )
    return verdict_by(report, Verdict(here, "" if report.found else _("None is slow or low on disk space.")))


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
    return rows(context, [str(pk) for pk in hosts_of_jobs(known)])


@require_safe
@sign_in_required
def hosts(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Return the list, those that need somebody first."""
    data, wanted = PageData(viewer), HostFilter.of(request.GET)
    labelled = [
        (worker, worker_label(worker, now=data.at, pace=data.host_speeds.get(worker.pk)))
        for worker in data.workers
    ]
    shown, pager = hosts_page(labelled, wanted)
    return page_render(
        request,
        "hosts/list.html",
        title=_("Hosts"),
        section="hosts",
        page_key="hosts",
        data=data,
        hosts=host_rows(shown, data),
        has_any=bool(labelled),
        pager=pager,
        wanted=wanted,
        facets=facets(labelled, wanted),
        groups=group_facets(labelled, wanted),
        verdict=list_verdict_of(data),
        may_join=can_manage_people(viewer),
    )


@require_POST
@sign_in_required
def action(request: HttpRequest, viewer: Principal, key: UUID, op: str) -> HttpResponse:
    """Pause a worker or let it go on; the command rides on its next heartbeat."""
    if op not in (Operation.PAUSE, Operation.RESUME) or not viewer.may("write"):
        raise Http404
    worker = worker_get(viewer, str(key))
    worker_command(worker, op=Operation(op), args={}, actor=viewer.actor, by=viewer)
    if not getattr(request, "htmx", False):
        return redirect("hosts")
    [row] = host_rows([worker_get(viewer, str(key))], PageData(viewer))
    return render(request, "hosts/_row.html", {"host": row})


NAV: Final = NavItem("hosts", _("Hosts"), "hosts", place=(1, 13))
urlpatterns: Final = [
    path("hosts/", hosts, name="hosts"),
    path("hosts/<uuid:key>/<str:op>/", action, name="host-act"),
]
LIVE: Final = {
    "hosts": LivePage(
        {"worker": (list_verdict,), "head": (list_verdict,)},
        rows={"worker": rows, "job": rows_of_jobs},
        findings=list_verdict,
    )
}
