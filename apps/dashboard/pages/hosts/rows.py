"""One host in a list: what it does, what it was told, its hardware and speed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.chain.selectors.read_cache import chain_read_once
from apps.core import formatting
from apps.core.formatting import plural
from apps.core.languages import clauses_text, list_text
from apps.core.reasons import shown_text
from apps.dashboard.cards import Action
from apps.dashboard.labels import STAGES, StateLabel
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.hosts.job_text import held_jobs, jobs_texts, kind_text
from apps.dashboard.pages.hosts.state import idle_text, worker_label
from apps.sectors.rules.hardware import PINGS, disk_share, disk_space
from apps.sectors.selectors.host_speed import HostSpeed
from apps.sectors.selectors.hosts import worker_is_away
from poolsite.wire.commands import Operation

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from apps.sectors.models import Worker

STAGES_NAMED: Final = 2
"""Stages of a host's pace that a list has room for."""


def pace_text(pace: HostSpeed | None) -> str:
    """`PC1 3:39:58, C2 31:10`: the longest stages of a sector, or the proof."""
    if pace is None or not pace.stages:
        return formatting.NOTHING
    return list_text(
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
        return gettext("{stage} takes {ratio:.1f} times as long as on other hosts").format(
            stage=stage, ratio=slow.ratio
        )
    failed = (
        gettext(", {failures} failed").format(failures=formatting.whole(pace.failures))
        if pace.failures
        else ""
    )
    return gettext("median of {runs}{failed}").format(runs=plural(pace.stages[0].runs, "run"), failed=failed)


COMMAND_TEXTS: Final[dict[str, StrOrPromise]] = {
    Operation.PAUSE: _("pauses with its next heartbeat"),
    Operation.RESUME: _("resumes with its next heartbeat"),
    Operation.DRAIN: _("drains with its next heartbeat"),
    Operation.SET_PLAN: _("changes its settings with its next heartbeat"),
    Operation.UPGRADE: _("stops for an upgrade once its running stages are done"),
    Operation.MEASURE: _("measures its disks with its next heartbeat"),
    Operation.REMOVE: _("removes the files of aborted sectors"),
    Operation.ATTACH: _("attaches a store"),
    Operation.DETACH: _("detaches a store"),
    Operation.SET_STORE: _("changes a store"),
    Operation.COPY_SECTOR: _("copies sectors to another store"),
    Operation.REMOVE_COPY: _("removes moved sectors from their old store"),
    Operation.DROP_COPY: _("removes unfinished copies"),
    Operation.CHECK_SECTOR: _("checks sector files"),
    Operation.SCAN_STORE: _("scans a store"),
    Operation.REMOVE_LEFTOVER: _("removes leftovers from a store"),
    Operation.END_STAGE: _("ends a stage of a sector"),
    Operation.REMOVE_SEALING: _("removes leftovers from its sealing folder"),
    Operation.RESET_DRIVES: _("begins anew on its drives"),
}
"""Commands that ride on the answer to a heartbeat."""


def command_text(worker: Worker, command: str) -> str:
    """Return `removes the files of aborted sectors, 384.00 GiB`: the command that is not done yet."""
    removing = worker.hardware.get("removing_bytes", 0) if command == Operation.REMOVE else 0
    size = f", {' '.join(formatting.size(int(removing)))}" if removing else ""
    return f"{COMMAND_TEXTS.get(command, '')}{size}"


@dataclass(frozen=True, slots=True)
class HostRow:
    """One worker in a list."""

    row: Worker
    label: StateLabel
    kind: str
    does: str
    command: str
    """The command that it has not carried out yet."""
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


def disk_text(hardware: dict[str, Any]) -> str:
    """`41.20 GiB free, 68 %`."""
    free = disk_share(hardware)
    if free is None:
        return ""
    return gettext("{disk_free_bytes} free, {free}").format(
        disk_free_bytes=" ".join(formatting.size(disk_space(hardware)[0])),
        free=formatting.percent(free, 1),
    )


def hardware_text(hardware: dict[str, Any]) -> str:
    """`2 cores, 23.4 GiB RAM`; what a host did not tell is left out."""
    parts = []
    if hardware.get("cpus"):
        parts.append(gettext("{cpus} cores").format(cpus=hardware["cpus"]))
    if hardware.get("ram_bytes"):
        parts.append(f"{' '.join(formatting.size(int(hardware['ram_bytes'])))} RAM")
    return list_text(parts) or formatting.NOTHING


def _does(worker: Worker, jobs: list[str]) -> str:
    """Return what a host is at, or what went wrong last; two processes of its name stand before all."""
    if len(worker.hardware.get(PINGS, ())) > 1:
        return clauses_text(filter(None, (shown_text(worker.last_error), *jobs)))
    return clauses_text(jobs) or shown_text(worker.last_error)


def _does_text(worker: Worker, jobs: list[str], *, now: datetime) -> str:
    """Return what a host is at; of one that is offline first since when."""
    does = _does(worker, jobs)
    if worker_is_away(worker, now=now):
        return clauses_text(filter(None, (idle_text(worker, now=now), does)))
    return does or idle_text(worker, now=now)


def host_actions(worker: Worker, command: str) -> tuple[Action, ...]:
    """Return what can be done: the opposite of what holds, or was asked for already."""
    is_paused = (
        command == Operation.PAUSE if command in (Operation.PAUSE, Operation.RESUME) else worker.is_paused
    )
    key, label, icon = (
        ("resume", gettext("Resume"), "run") if is_paused else ("pause", gettext("Pause"), "pause")
    )
    return (Action(key=key, label=label, href=reverse("host-act", args=[worker.uuid, key]), icon=icon),)


def host_row(
    worker: Worker, *, data: PageData, may_act: bool, paces: Mapping[int, HostSpeed] = MappingProxyType({})
) -> HostRow:
    """Lay out one worker of `workers_visible`; without `paces` nothing is said of its speed."""
    pace = paces.get(worker.pk)
    jobs = jobs_texts(held_jobs(worker))
    command = data.pending_commands.get(worker.pk, "")
    return HostRow(
        row=worker,
        label=worker_label(worker, now=data.at, pace=pace),
        kind=list_text(kind_text(kind) for kind in worker.kinds),
        does=_does_text(worker, jobs, now=data.at),
        command=command_text(worker, command),
        hardware=hardware_text(worker.hardware),
        disk=disk_text(worker.hardware),
        pace=pace_text(pace),
        record=record_text(pace),
        actions=host_actions(worker, command) if may_act else (),
        other_tenant=worker.tenant.name if worker.tenant_id != data.viewer.own_id else "",
    )


@chain_read_once()
def host_rows(workers: Iterable[Worker], data: PageData) -> list[HostRow]:
    """Lay out workers."""
    may_act = data.viewer.may("write")
    return [host_row(worker, data=data, may_act=may_act, paces=data.host_speeds) for worker in workers]
