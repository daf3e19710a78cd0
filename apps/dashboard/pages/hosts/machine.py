"""What is known of a host's machine: processor, memory, disks, and how many sectors they hold at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.core import formatting
from apps.core.formatting import plural
from apps.core.languages import clauses_text, list_text
from apps.dashboard.cards import Fact
from apps.dashboard.html_time import time_html
from apps.sectors.rules.hardware import sealing_disks
from apps.sectors.selectors.parallel_plan import host_parallel_plan
from apps.sectors.selectors.proof_forms import update_error
from poolsite.filecoin.policy import ProofForm
from poolsite.wire.hosts import VERSION

if TYPE_CHECKING:
    from collections.abc import Iterable

    from apps.sectors.models import HostReport, Worker


def sectors_by_disk(worker: Worker, report: HostReport | None) -> str:
    """Return for how many new sectors a host's disk has room, with what is divided; empty while unknown."""
    reported = {} if report is None else {one["key"]: one["value"] for one in report.settings}
    free, room = (
        [free for free, _ in sealing_disks(worker.hardware, reported)],
        int(reported.get("sector_room_bytes") or 0),
    )
    if not room:
        return ""
    return gettext("{count}: {free} free, {room} each, less what sectors in progress still write").format(
        count=formatting.whole(sum(one // room for one in free)),
        free=" ".join(formatting.size(sum(free))),
        room=" ".join(formatting.size(room)),
    )


def parallel_facts(worker: Worker, report: HostReport | None) -> Iterable[Fact]:
    """Yield how many sectors of the miners' size the host can seal at once, the tightest bound first."""
    plan = host_parallel_plan(worker, report)
    if plan is None:
        return
    texts = {
        "disk": gettext("{count} by disk: {have} / {each}"),
        "threads": gettext("{count} by sealing threads"),
        "settings": gettext("{count} by its settings"),
        "slots": gettext("{count} by PC1 slots"),
        "memory": gettext("{count} by memory: {have} (90 % of RAM) / {each}"),
        "cores": gettext("{count} by cores: {have} × {each} per core"),
    }

    def text(of_labels: bool) -> str:
        return clauses_text(
            texts[one.by].format(
                count=formatting.whole(one.count),
                have=formatting.whole(one.have) if one.by == "cores" else size_text(one.have),
                each=one.each if one.by == "cores" else size_text(one.each),
            )
            for one in plan.bounds
            if one.is_of_labels is of_labels
        )

    yield Fact(
        gettext("Sectors of {size} at once").format(size=size_text(plan.sector_bytes)), text(of_labels=False)
    )
    yield Fact(gettext("Of these in PC1 at once"), text(of_labels=True))


def size_text(count: int) -> str:
    """`1.80 TiB`."""
    return " ".join(formatting.size(count))


def host_facts(worker: Worker, report: HostReport | None) -> Iterable[Fact]:
    """Yield what a host has."""
    hardware, reported = worker.hardware, () if report is None else report.settings
    yield Fact(_("Machine"), worker.host or formatting.NOTHING)
    yield Fact(
        _("Processor"),
        gettext("{model}, {cores} cores").format(
            model=hardware.get("cpu_model") or gettext("unknown"), cores=hardware.get("cpus", 0)
        ),
    )
    if nodes := hardware.get("numa_nodes"):
        yield Fact(_("NUMA nodes"), str(nodes))
    if hardware.get("l3_caches"):
        size = " ".join(formatting.size(int(hardware["l3_bytes"])))
        yield Fact(_("L3 caches"), f"{hardware['l3_caches']} × {size}")
    yield Fact(_("Memory"), " ".join(formatting.size(int(hardware.get("ram_bytes") or 0))))
    yield from parallel_facts(worker, report)
    if count := sectors_by_disk(worker, report):
        yield Fact(_("Room for new sectors"), count)
    yield Fact(_("GPUs"), list_text(hardware.get("gpus") or ()) or gettext("none"))
    yield Fact(_("Proofs"), list_text(hardware.get("proofs") or ()) or formatting.NOTHING)
    if win := winning_text(hardware):
        yield Fact(_("WinningPoSt"), win)
    if error := update_error(hardware):
        yield Fact(_("Snap-up"), error)
    if file := next((one["file"] for one in reported if one.get("file")), ""):
        yield Fact(_("Settings file"), file, mono=True)
    yield Fact(_("Version"), worker.version or formatting.NOTHING)
    yield Fact(_("Console version"), VERSION)
    yield Fact(_("Restarts"), formatting.whole(worker.restarts))
    yield Fact(_("Started"), str(time_html(worker.registered_at)))
    yield Fact(_("Last seen"), str(time_html(worker.seen_at)))
    yield Fact(_("Tenant"), worker.tenant.name)
    if removing := hardware.get("removing_bytes"):
        yield Fact(_("Bytes to free"), " ".join(formatting.size(int(removing))))
    yield Fact(_("Id"), str(worker.uuid), mono=True)


def winning_text(hardware: dict[str, Any]) -> str:
    """Return which form of WinningPoSt a host makes, and why; empty where none is ours."""
    form, ms = hardware.get("winning_form"), hardware.get("winning_ms")
    took = formatting.duration(ms / 1000) if ms else ""
    if form == ProofForm.GROTH16:
        return gettext("Groth16, {took} each").format(took=took) if took else gettext("Groth16")
    if form == ProofForm.VANILLA and took:
        return gettext("containers: Groth16 takes {took}, more than a quarter of an epoch").format(took=took)
    return gettext("containers") if form == ProofForm.VANILLA else ""


def disk_rows(worker: Worker) -> Iterable[dict[str, str]]:
    """Return the host's disks with their room and rates."""
    for disk in worker.hardware.get("disks") or ():
        measured = disk["write_bytes_s"] > 0
        yield {
            "folder": disk["folder"],
            "free": " ".join(formatting.size(disk["free_bytes"])),
            "total": " ".join(formatting.size(disk["total_bytes"])),
            "writes": rate_text(disk["write_bytes_s"]) if measured else "",
            "reads": rate_text(disk["read_bytes_s"]) if measured else "",
            "sealing": sealing_text(disk.get("sealing")),
            "fault": (disk.get("sealing") or {}).get("reason", ""),
        }


def sealing_text(one: dict[str, Any] | None) -> str:
    """`sealing store, 3 sectors; weight 2, 1 GiB kept free, only f01000`; empty for another folder.

    Of one that is away only the sectors are known.
    """
    if one is None:
        return ""
    sectors = plural(one["sectors"], "sector")
    if not one["total_bytes"]:
        return gettext("sealing folder, {sectors}").format(sectors=sectors)
    parts = [
        gettext("sealing store, {sectors}; weight {weight}").format(sectors=sectors, weight=one["weight"])
    ]
    if one["reserve_bytes"]:
        size = " ".join(formatting.size(one["reserve_bytes"]))
        parts.append(gettext("{size} kept free").format(size=size))
    if one["allow_miners"]:
        miners = " ".join(f"f0{miner}" for miner in one["allow_miners"])
        parts.append(gettext("only {miners}").format(miners=miners))
    if one["deny_miners"]:
        miners = " ".join(f"f0{miner}" for miner in one["deny_miners"])
        parts.append(gettext("except {miners}").format(miners=miners))
    return list_text(parts)


def rate_text(count: int) -> str:
    """`2.10 GiB/s`."""
    return f"{' '.join(formatting.size(count))}/s"
