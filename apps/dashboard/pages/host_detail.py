"""One host: what it has, what it does, the settings that it obeys and where each comes from, its log."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final

from django.urls import path, reverse
from django.utils.translation import gettext as say
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from apps.core import formatting
from apps.core.formatting import plural
from apps.dashboard.cards import Action, Event, Fact
from apps.dashboard.fragments import FragmentContext, LivePage, fragment
from apps.dashboard.html_time import time_html
from apps.dashboard.labels import STAGES
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.host_leftovers import leftovers_card
from apps.dashboard.pages.hosts import HostRow, held_jobs, host_row, job_text, kind_text
from apps.dashboard.pages.storage.rows import host_store_rows
from apps.dashboard.sessions import sign_in_required
from apps.sectors.errors import WorkerUnknown
from apps.sectors.host_record import host_record, log_watch
from apps.sectors.host_selectors import host_report, worker_get
from apps.sectors.parallel_plan import host_parallel_plan
from apps.sectors.proof_forms import update_error
from apps.sectors.services.host_settings import (
    SETTABLE,
    settings_wanted,
)
from apps.sectors.services.host_versions import versions_text
from apps.sectors.services.retirement import unfinished_jobs
from poolsite.filecoin.policy import ProofForm
from poolsite.wire.hosts import CONSOLE_LEVELS, LEVELS, VERSION
from poolsite.wire.jobs import JobKind
from poolsite.wire.sealing_rules import (
    ALL,
    LOCATION,
    PLAN,
    RULES,
    SEALING,
    THREADS,
    rule_key,
    thread_key,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from django.http import HttpRequest, HttpResponse
    from django_stubs_ext import StrOrPromise

    from apps.sectors.host_models import HostReport, Worker
    from apps.sectors.host_record import HostRecord
    from apps.sectors.models import Job
    from apps.users.principals import Principal

ORIGINS: Final = {
    "default": _("default"),
    "proposed": _("proposed for this machine"),
    "pool": _("pool"),
    "tenant": _("tenant"),
    "group": _("group"),
    "file": _("{file} of the host"),
    "command line": _("command line"),
    "host": _("set here"),
    "file of thread": _("[[sealing_thread]] in {file} of the host"),
    "thread": _("set here for the thread"),
}
RULE_LABELS: Final = {
    "allowed_miners": _("Miners whose new sectors it takes"),
    "allowed_sizes": _("Sizes of new sectors"),
    "enable_deals": _("Takes clients' data"),
    "disable_cc": _("Takes no sectors of zeros"),
    "max_deals": _("Most pieces of clients' data in a sector"),
    "min_deal_space": _("Least space of clients' data in a sector"),
    "max_retries": _("Retries of a stage that fails"),
    "recover_interval": _("Pause before a stage that failed is tried again"),
    "seal_interval": _("Pause before the next sector"),
    "verify_after_pc2": _("Verifies after PC2"),
    PLAN: _("plan"),
    LOCATION: _("folder"),
}


@dataclass(frozen=True, slots=True)
class SlotRow:
    """A stage with its slots, and what runs in them."""

    stage: str
    slots: int
    jobs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SettingRow:
    """A setting as the host obeys it."""

    key: str
    value: str
    origin: str
    pending: str
    """What it was told and does not obey yet; empty: it does."""


@dataclass(frozen=True, slots=True)
class HostDetail:
    """The whole of one host."""

    row: HostRow
    tags: tuple[str, ...]
    verdict: str
    slots: tuple[SlotRow, ...]
    settings: tuple[SettingRow, ...]
    facts: tuple[Fact, ...]
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
        disks=tuple(disk_rows(worker)),
        stores=host_store_rows(worker.attachments.select_related("store")),
        per_day=record_text(record) if JobKind.SEAL in worker.kinds else "",
        failures=tuple(failure_rows(record)),
        leftovers=leftovers_card(worker),
        log=() if report is None else tuple(report.log),
        log_at="" if report is None or report.log_at is None else str(time_html(report.log_at)),
        actions=host_actions(worker) if may_act else (),
        may_act=may_act,
        may_sign=data.viewer.may("sign"),
    )


def host_verdict(worker: Worker, row: HostRow) -> str:
    """Return the sentence below a host's name."""
    parts = [row.does, row.asked]
    if worker.retire_asked_at is not None:
        left = unfinished_jobs(worker)
        parts.append(
            say("retires once {sectors} under way {word} done").format(
                sectors=plural(left, "sector"), word="is" if left == 1 else "are"
            )
        )
    if (remedy := versions_text(worker.version)) not in row.does:
        parts.append(remedy)
    text = "; ".join(part for part in parts if part)
    return f"{text[:1].upper()}{text[1:]}." if text else ""


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
    return f"{text}, {formatting.percent(sector.progress, 1)}"


def setting_rows(worker: Worker, report: HostReport | None) -> tuple[SettingRow, ...]:
    """Return the settings that a host obeys, with what it was told and does not obey yet."""
    told = {} if report is None else {one["key"]: one for one in report.settings}
    has_rules = any(key.startswith(SEALING) for key in told)
    wanted: dict[str, tuple[str, str]] = {}
    for name, value in settings_wanted(worker).items():
        level, _dot, key = name.partition(".")
        wanted[key] = (level, value)
    rows = []
    for key, one in told.items():
        level, value = wanted.get(key, ("", ""))
        is_overruled = not level or LEVELS.index(level) < LEVELS.index(one["origin"])
        is_stale = one["origin"] in CONSOLE_LEVELS and not level
        pending = (
            ""
            if is_overruled or value == one["value"]
            else say("{value} with its next heartbeat").format(value=value)
        )
        rows.append(
            SettingRow(
                setting_label(key),
                setting_value(key, one["value"]),
                origin_text(one),
                "taken away with its next heartbeat" if is_stale else pending,
            )
        )
    for key, (_level, value) in wanted.items():
        if has_rules and key not in told and rule_key(key) is not None:
            pending = say("{value} with its next heartbeat").format(value=setting_value(key, value))
            rows.append(SettingRow(setting_label(key), formatting.NOTHING, formatting.NOTHING, pending))
    return tuple(rows)


def origin_text(told: dict[str, str]) -> str:
    """Return where a setting that a host has told comes from; an older host tells no name of its file."""
    name = PurePath(told.get("file", "")).name or say("file")
    return str(ORIGINS.get(told["origin"], told["origin"])).format(file=name)


def setting_label(key: str) -> str:
    """Return a setting in words."""
    if key.startswith("slots."):
        stage = key.removeprefix("slots.")
        return say("Slots of {stages}").format(stages=STAGES.get(stage, stage))
    if key.startswith((SEALING, THREADS)):
        rest = key.partition(".")[2]
        number, _dot, name = rest.rpartition(".")
        rule = str(RULE_LABELS.get(name, name))
        thread = say("Thread {number}: {rule}").format(number=number, rule=f"{rule[:1].lower()}{rule[1:]}")
        return thread if number else rule
    return {
        "sectors_max": "Sectors at a time",
        "sector_room_bytes": "Disk that a new sector needs",
    }.get(key, key)


def setting_value(key: str, value: str) -> str:
    """Return a setting's value in words."""
    if key == "sector_room_bytes":
        return " ".join(formatting.size(int(value)))
    if key.startswith((SEALING, THREADS)):
        words = {"true": say("yes"), "false": say("no"), ALL: say("all")}
        return str(words.get(value, value))
    return "as many as the disk has room for" if (key, value) == ("sectors_max", "0") else value


def sectors_by_disk(worker: Worker, report: HostReport | None) -> str:
    """Return for how many new sectors a host's disk has room, with what is divided; empty while unknown."""
    told = {} if report is None else {one["key"]: one["value"] for one in report.settings}
    free, room = int(worker.hardware.get("disk_free_bytes") or 0), int(told.get("sector_room_bytes") or 0)
    if not room:
        return ""
    return say("{count}: {free} free, {room} for each, less what sectors under way still write").format(
        count=free // room,
        free=" ".join(formatting.size(free)),
        room=" ".join(formatting.size(room)),
    )


def parallel_facts(worker: Worker, report: HostReport | None) -> Iterable[Fact]:
    """Yield how many sectors of the miners' size the host can seal at once, the tightest bound first."""
    plan = host_parallel_plan(worker, report)
    if plan is None:
        return
    words = {
        "disk": say("{count} by disk: {have} / {each}"),
        "threads": say("{count} by sealing threads"),
        "settings": say("{count} by its settings"),
        "slots": say("{count} by slots of PC1"),
        "memory": say("{count} by memory: {have} / {each}, of 90 % of it"),
        "cores": say("{count} by cores: {have} × {each} on a core"),
    }

    def text(of_labels: bool) -> str:
        return "; ".join(
            words[one.by].format(
                count=formatting.whole(one.count),
                have=formatting.whole(one.have) if one.by == "cores" else size_text(one.have),
                each=one.each if one.by == "cores" else size_text(one.each),
            )
            for one in plan.bounds
            if one.is_of_labels is of_labels
        )

    yield Fact(
        say("Sectors of {size} at once").format(size=size_text(plan.sector_bytes)), text(of_labels=False)
    )
    yield Fact(say("Of these in PC1 at once"), text(of_labels=True))


def size_text(count: int) -> str:
    """`1.80 TiB`."""
    return " ".join(formatting.size(count))


def host_facts(worker: Worker, report: HostReport | None) -> Iterable[Fact]:
    """Yield what a host has."""
    hardware, told = worker.hardware, () if report is None else report.settings
    yield Fact(_("Machine"), worker.host or formatting.NOTHING)
    yield Fact(
        _("Processor"),
        say("{model}, {cores} cores").format(
            model=hardware.get("cpu_model") or "unknown", cores=hardware.get("cpus", 0)
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
        yield Fact(_("New sectors by disk"), count)
    yield Fact(_("GPUs"), ", ".join(hardware.get("gpus") or ()) or "none")
    yield Fact(_("Proofs"), ", ".join(hardware.get("proofs") or ()) or formatting.NOTHING)
    if win := winning_text(hardware):
        yield Fact(_("Proofs of wins"), win)
    if error := update_error(hardware):
        yield Fact(_("Data into sectors"), error)
    if file := next((one["file"] for one in told if one.get("file")), ""):
        yield Fact(_("Its file"), file, mono=True)
    yield Fact(_("Version"), worker.version or formatting.NOTHING)
    yield Fact(_("Version of this console"), VERSION)
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
        return say("Groth16, {took} each").format(took=took) if took else say("Groth16")
    if form == ProofForm.VANILLA and took:
        return say("containers: Groth16 takes {took}, more than a quarter of an epoch").format(took=took)
    return say("containers") if form == ProofForm.VANILLA else ""


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
    """`sealing store, 3 sectors; weight 2, 1 GiB kept free, only f01000`; empty for another folder."""
    if one is None:
        return ""
    parts = [
        say("sealing store, {sectors}; weight {weight}").format(
            sectors=plural(one["sectors"], "sector"), weight=one["weight"]
        )
    ]
    if one["reserve_bytes"]:
        size = " ".join(formatting.size(one["reserve_bytes"]))
        parts.append(say("{size} kept free").format(size=size))
    if one["allow_miners"]:
        miners = " ".join(f"f0{miner}" for miner in one["allow_miners"])
        parts.append(say("only {miners}").format(miners=miners))
    if one["deny_miners"]:
        miners = " ".join(f"f0{miner}" for miner in one["deny_miners"])
        parts.append(say("not {miners}").format(miners=miners))
    return ", ".join(parts)


def rate_text(count: int) -> str:
    """`2.10 GiB/s`."""
    return f"{' '.join(formatting.size(count))}/s"


def record_text(record: HostRecord) -> str:
    """`3.14 sectors a day`, over how many days."""
    span = formatting.time_left(record.days * 86_400)
    return say("{per_day:.2f} sectors a day, {sectors} in {span}").format(
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
            say("{name}: {stage} failed").format(name=name, stage=stage),
            event.note,
            href=reverse("sector", args=[sector.uuid]) if sector else "",
        )


def host_actions(worker: Worker) -> tuple[Action, ...]:
    """Return what a person can do to a host."""

    def act(op: str, label: StrOrPromise, icon: str) -> Action:
        return Action(key=op, label=label, href=reverse("host-command", args=[worker.uuid, op]), icon=icon)

    if worker.is_paused or worker.is_draining or worker.retire_asked_at is not None:
        first = [act("resume", _("Resume"), "run")]
    else:
        first = [act("pause", _("Pause"), "pause"), act("drain", _("Drain"), "wait")]
    retire = reverse("host-retire", args=[worker.uuid])
    return (
        *first,
        act("measure", _("Measure disks"), "retry"),
        act("upgrade", _("Upgrade"), "up"),
        Action(key="retire", label=_("Retire…"), href=retire, icon="close", kind="danger", asks=True),
    )


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
    for part in ("head", "slots", "settings", "stores", "disks", "leftovers", "failures", "log"):
        yield fragment(f"hosts/_{part}.html", host=host)
    yield fragment(
        "messages/_facts.html", facts=host.facts, title=_("Hardware and version"), key="host-facts"
    )


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
        status=422 if error else 200,
        host=detail,
        keys=[(name, setting_label(name)) for name in known_keys(worker)],
        error=error,
    )


def known_keys(worker: Worker) -> Iterable[str]:
    """Return the settings that can be set of a host: those that it has, and each thread's."""
    report = host_report(worker)
    told = {} if report is None else {one["key"]: None for one in report.settings}
    has_rules = any(key.startswith(SEALING) for key in told)
    yield from (key for key in SETTABLE if key in told or (has_rules and key.startswith(SEALING)))
    threads = [rule_key(key) for key in told if key.startswith(THREADS) and key.endswith(f".{PLAN}")]
    for number, _plan in filter(None, threads):
        yield from (thread_key(number, name) for name in (PLAN, *RULES))


urlpatterns: Final = [path("hosts/<uuid:key>/", host, name="host")]
LIVE: Final = {"host": LivePage(dict.fromkeys(("worker", "job"), (detail_fragments,)))}
