"""Whether a host works, and why it has nothing to do."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.core import formatting
from apps.dashboard.labels import StateLabel
from apps.dashboard.pages.hosts.job_text import held_jobs
from apps.sectors.rules.hardware import DISK_FULL, disk_share, is_short_of_disk
from apps.sectors.selectors.host_speed import HostSpeed
from apps.sectors.selectors.hosts import worker_is_away
from apps.sectors.selectors.proof_forms import parameters_error, proofs_made
from poolsite.filecoin.policy import ProofForm

if TYPE_CHECKING:
    from apps.sectors.models import Worker


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
    """Return how many kernels a host has compiled, and of how many; equal once it claims all stages."""
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
        return gettext("preparing Groth16 parameters for WinningPoSt: {done}").format(done=shown)
    return gettext("preparing Groth16 parameters: {done}; until then its proofs are vanilla").format(
        done=shown
    )


def idle_text(worker: Worker, *, now: datetime) -> str:
    """Return why a worker has nothing to do."""
    if worker_is_away(worker, now=now):
        return gettext("no heartbeat for {time}").format(
            time=formatting.time_left((now - worker.seen_at).total_seconds())
        )
    if worker.is_paused:
        return gettext("paused by operator")
    done, total = kernels_ready(worker)
    if done < total:
        return gettext("compiling kernels: {done} of {total} ready").format(done=done, total=total)
    if worker.is_draining and not parameters_error(worker.hardware):
        return gettext("accepts no new sectors")
    return parameters_text(worker) or gettext("waiting for jobs")
