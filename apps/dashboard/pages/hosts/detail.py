"""One host: what it does, its settings, disks, failures and log, and what can be done to it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.urls import path, reverse
from django.utils.text import capfirst
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from apps.core import clock, formatting
from apps.core.clock import DAY_S
from apps.core.formatting import plural
from apps.core.languages import clauses_text, colon_text, list_text, sentence_text
from apps.core.reasons import shown_text
from apps.dashboard.cards import Action, Event, Fact
from apps.dashboard.fragments import FragmentContext, LivePage, fragment
from apps.dashboard.html_time import time_html
from apps.dashboard.labels import STAGES
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.hosts.batch_sizes import host_batches
from apps.dashboard.pages.hosts.batch_text import batch_of, batch_text
from apps.dashboard.pages.hosts.job_text import held_jobs, job_text, kind_text
from apps.dashboard.pages.hosts.leftovers import leftovers_card
from apps.dashboard.pages.hosts.rows import HostRow, host_row
from apps.dashboard.pages.hosts.setting_rows import SettingRow, setting_rows
from apps.dashboard.pages.storage.attachment_rows import host_store_rows
from apps.dashboard.sessions import sign_in_required
from apps.market.selectors.deal_files import files_of_folder, folder_of_host
from apps.sectors.errors.hosts import WorkerUnknown
from apps.sectors.rules.hardware import sealing_disks
from apps.sectors.selectors.host_record import HostRecord, host_record, log_watch
from apps.sectors.selectors.hosts import host_report, worker_get, worker_is_away
from apps.sectors.selectors.parallel_plan import host_parallel_plan
from apps.sectors.selectors.proof_forms import update_error
from apps.sectors.services.hosts.retirement import unfinished_jobs_count
from apps.sectors.services.hosts.versions import versions_compare
from apps.users.rules.principals import Principal
from poolsite.filecoin.policy import ProofForm
from poolsite.wire.hosts import VERSION
from poolsite.wire.jobs import JobKind

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from apps.sectors.models import HostReport, Job, Worker


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
    if (batch := batch_of(worker, now=clock.now())) is not None:
        yield Fact(_("Batch on drives"), batch_text(batch, now=clock.now()))
    if count := sectors_by_disk(worker, report):
        yield Fact(_("Room for new sectors"), count)
    yield Fact(_("GPUs"), list_text(hardware.get("gpus") or ()) or gettext("none"))
    yield from card_facts(hardware)
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


PROOF_WORK: Final[dict[str, StrOrPromise]] = {
    "h": _("h"),
    "G1": _("sums in G1"),
    "G2": _("sums in G2"),
}
"""Kinds of work of a Groth16 proof."""


def card_facts(hardware: dict[str, Any]) -> Iterable[Fact]:
    """Yield the memory of the card that a host tried, and who makes its trees and proofs, and why."""
    trees, proofs = hardware.get("trees") or {}, hardware.get("groth16") or {}
    if memory := trees.get("memory_bytes"):
        yield Fact(_("GPU memory"), " ".join(formatting.size(memory)))
    if trees:
        yield Fact(_("Trees of PC2"), maker_text(trees))
    if proofs.get("error"):
        yield Fact(_("Groth16 proofs"), maker_text(proofs))
    elif proofs:
        texts = (
            colon_text(
                str(PROOF_WORK.get(one["kind"], one["kind"])), maker_text(one | {"gpu": proofs["gpu"]})
            )
            for one in proofs["kinds"]
        )
        yield Fact(_("Groth16 proofs"), clauses_text(texts))


def maker_text(trial: dict[str, Any]) -> str:
    """Return whether card or CPU makes what a host tried both at, and why."""
    gpu, error, gpu_ms = trial["gpu"], trial.get("error"), trial.get("gpu_ms")
    if error:
        return gettext("CPU: {gpu} cannot be used: {error}").format(gpu=gpu, error=error)
    if not gpu_ms:
        return gettext("{gpu}, as the host's environment says").format(gpu=gpu)
    card, cores = formatting.duration(gpu_ms / 1000), formatting.duration(trial.get("cpu_ms", 0) / 1000)
    if trial.get("is_gpu"):
        return gettext("{gpu}: {card} for a piece that takes all cores {cores}").format(
            gpu=gpu, card=card, cores=cores
        )
    return gettext("CPU: {cores} for a piece that takes {gpu} {card}").format(cores=cores, gpu=gpu, card=card)


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


CARDS: Final = (
    "hosts/_head.html",
    "hosts/_slots.html",
    "hosts/_settings.html",
    "hosts/_stores.html",
    "hosts/_disks.html",
    "hosts/_leftovers.html",
    "hosts/_failures.html",
    "hosts/_log.html",
)
"""What a change of a host renders anew."""


@dataclass(frozen=True, slots=True)
class SlotRow:
    """A stage with its slots, and what runs in them."""

    stage: str
    slots: int
    jobs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HostDetail:
    """The whole of one host."""

    row: HostRow
    tags: tuple[str, ...]
    verdict: str
    slots: tuple[SlotRow, ...]
    settings: tuple[SettingRow, ...]
    facts: tuple[Fact, ...]
    batches: dict[str, Any]
    disks: tuple[dict[str, str], ...]
    stores: tuple[dict[str, object], ...]
    per_day: str
    failures: tuple[Event, ...]
    leftovers: dict[str, object]
    log: tuple[str, ...]
    log_at: str
    actions: tuple[Action, ...]
    may_act: bool
    may_sign: bool
    """Whether its group and stores can be changed."""


def host_detail(worker: Worker, data: PageData) -> HostDetail:
    """Lay out the whole of one host."""
    may_act = data.viewer.may("write")
    row = host_row(worker, data=data, may_act=False, paces=data.host_speeds)
    report, record = host_report(worker), host_record(worker, now=data.at)
    return HostDetail(
        row=row,
        tags=tuple(part for part in (row.kind, worker.group) if part),
        verdict=host_verdict(worker, row),
        slots=slot_rows(worker),
        settings=setting_rows(worker, report),
        facts=tuple(host_facts(worker, report)),
        batches=host_batches(worker),
        disks=tuple(disk_rows(worker)),
        stores=host_store_rows(
            worker.attachments.select_related("store"), is_away=worker_is_away(worker, now=data.at)
        ),
        per_day=record_text(record) if JobKind.SEAL in worker.kinds else "",
        failures=tuple(failure_rows(record)),
        leftovers=leftovers_card(worker),
        log=() if report is None else tuple(report.log),
        log_at="" if report is None or report.log_at is None else str(time_html(report.log_at)),
        actions=host_actions(worker, data) if may_act else (),
        may_act=may_act,
        may_sign=data.viewer.may("sign"),
    )


def host_verdict(worker: Worker, row: HostRow) -> str:
    """Return the sentence below a host's name."""
    parts = [row.does, row.command]
    if worker.retire_asked_at is not None:
        left = unfinished_jobs_count(worker)
        parts.append(
            ngettext(
                "retires once {count} sector in progress is done",
                "retires once {count} sectors in progress are done",
                left,
            ).format(count=left)
            if left
            else gettext("retires with its next heartbeat")
        )
    if (remedy := shown_text(versions_compare(worker.version))) not in row.does:
        parts.append(remedy)
    text = clauses_text(part for part in parts if part)
    is_name = any(sign.isdigit() for sign in text.partition(" ")[0])  # a host name or address keeps its case
    return sentence_text(text if is_name else capfirst(text)) if text else ""


def slot_rows(worker: Worker) -> tuple[SlotRow, ...]:
    """Return each stage with its slots and what runs in them; jobs of no such stage stand by themselves."""
    jobs: dict[str, list[str]] = {}
    for job in held_jobs(worker):
        jobs.setdefault(job.stage.upper() or job.kind.upper(), []).append(job_full_text(job))
    slots = {stage.upper(): count for stage, count in worker.slots.items()}
    named = dict.fromkeys((*(stage for stage in STAGES if stage in slots or stage in jobs), *slots, *jobs))
    return tuple(
        SlotRow(str(STAGES.get(stage, kind_text(stage))), slots.get(stage, 0), tuple(jobs.get(stage, ())))
        for stage in named
    )


def job_full_text(job: Job) -> str:
    """`f01001 / 3: PC1, 45 %`."""
    text, sector = job_text(job), job.sector
    if sector is None or sector.progress is None:
        return text
    return list_text((text, formatting.percent(sector.progress, 1)))


def record_text(record: HostRecord) -> str:
    """Return `3.14 sectors a day`, and over how many days; of a host younger than a day the sectors."""
    span = formatting.time_left(record.days * DAY_S)
    if record.per_day is None:
        return gettext("{sectors} in {span}").format(sectors=plural(record.sectors, "sector"), span=span)
    return gettext("{per_day:.2f} sectors a day, {sectors} in {span}").format(
        per_day=record.per_day, sectors=plural(record.sectors, "sector"), span=span
    )


def failure_rows(record: HostRecord) -> Iterable[Event]:
    """Yield the newest failures."""
    for event in record.failures:
        sector = event.job.sector
        name = f"{event.job.miner.address} / {sector.number}" if sector else event.job.miner.address
        stage = STAGES.get(event.stage) or kind_text(event.stage)
        yield Event(
            str(time_html(event.at)),
            "bad",
            "bad",
            gettext("{name}: {stage} failed").format(name=name, stage=stage),
            shown_text(event.note),
            href=reverse("sector", args=[sector.uuid]) if sector else "",
        )


def host_actions(worker: Worker, data: PageData) -> tuple[Action, ...]:
    """Return what a person can do to a host; of one that is offline what matters before it is back."""
    is_away = worker_is_away(worker, now=data.at)

    def act(op: str, label: StrOrPromise, icon: str) -> Action:
        return Action(key=op, label=label, href=reverse("host-command", args=[worker.uuid, op]), icon=icon)

    if worker.is_paused or worker.is_draining or worker.retire_asked_at is not None:
        first = [act("resume", _("Resume"), "run")]
    else:
        first = [act("pause", _("Pause"), "pause")]
        if not is_away:
            first.append(act("drain", _("Drain"), "wait"))
    if not is_away:
        first += [act("measure", _("Measure disks"), "retry"), act("upgrade", _("Upgrade"), "up")]
        if data.viewer.may("sign") and worker.hardware.get("batch_size") is not None:
            first.append(_page_action(worker, "drives", _("Reset drives…"), "retry"))
    return (*first, _page_action(worker, "retire", _("Retire…"), "close"))


def _page_action(worker: Worker, key: str, label: StrOrPromise, icon: str) -> Action:
    """Return what a page of its own asks before."""
    href = reverse(f"host-{key}", args=[worker.uuid])
    return Action(key=key, label=label, href=href, icon=icon, kind="danger", opens_page=True)


def detail_fragments(context: FragmentContext) -> Iterable[str]:
    """All that changes on a host's page."""
    try:
        worker = worker_get(context.viewer, context.key)
    except WorkerUnknown:
        return
    if not (context.has_changed("worker", worker.pk, worker.uuid) or "job" in context.changed):
        return
    log_watch(worker)
    host = host_detail(worker, context.data)
    for template in CARDS:
        yield fragment(template, host=host)
    yield fragment(
        "messages/_facts.html", facts=host.facts, title=_("Hardware and version"), key="host-facts"
    )
    if host.batches:
        yield fragment("hosts/_batches.html", batches=host.batches)


@require_safe
@sign_in_required
def host(request: HttpRequest, viewer: Principal, key: UUID) -> HttpResponse:
    """One host."""
    return host_page(request, viewer, key)


def host_page(request: HttpRequest, viewer: Principal, key: UUID, *, error: str = "") -> HttpResponse:
    """Render a host's page; `error` is what was refused a moment ago."""
    data, worker = PageData(viewer), worker_get(viewer, str(key))
    log_watch(worker)
    detail = host_detail(worker, data)
    return page_render(
        request,
        "hosts/detail.html",
        title=worker.name,
        section="hosts",
        page_key=f"host:{key}",
        data=data,
        act_error=error,
        page_href=reverse("host", args=[key]),
        host=detail,
        **deal_folder(worker, viewer),
    )


def deal_folder(worker: Worker, viewer: Principal) -> dict[str, Any]:
    """Return the host's folder of offline deals with its files; nothing for whoever sees some miners only."""
    folder = None if viewer.miners else folder_of_host(worker)
    return {} if folder is None else {"deal_folder": folder, "deal_files": files_of_folder(folder)}


urlpatterns: Final = [path("hosts/<uuid:key>/", host, name="host")]
LIVE: Final = {"host": LivePage(dict.fromkeys(("worker", "job"), (detail_fragments,)))}
