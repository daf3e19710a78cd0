"""The overview: is everything well, what runs, what waits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.urls import reverse

from apps.dashboard import numbers
from apps.dashboard.lines.cards import Stat, Verdict, plural
from apps.dashboard.lines.deadlines import deadline_next
from apps.dashboard.lines.hosts import host_line
from apps.dashboard.lines.messages import message_line
from apps.dashboard.lines.miners import MinerLine, miner_line
from apps.dashboard.lines.processes import process_lines
from apps.dashboard.lines.sectors import sector_line
from apps.dashboard.lines.wallets import wallet_line
from apps.dashboard.regions.counts import sectors_under_way
from apps.dashboard.regions.place import Place, Regions, fragment
from apps.dashboard.regions.todo import checked_text, todo_sum, todos, verdict_by
from apps.dashboard.words import STAGES
from apps.messages.selectors import messages_visible
from apps.messages.selectors.stuck import stuck_marked
from apps.sectors.selectors import sectors_visible, worker_is_away
from poolsite.wire.pipeline import FINAL_STATES, SectorState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from apps.dashboard.regions.scene import Scene
    from apps.sectors.models import Sector
    from apps.users.principals import Principal

CHAIN_CHECKS: Final = (
    "chain_stalled",
    "head_late",
    "nodes_unreadable",
    "nodes_foreign",
    "nodes_unhealthy",
    "upgrade_unready",
)
SHOWN: Final = 8
"""Lines of each list on the overview."""


def verdict_of(scene: Scene) -> Verdict:
    """Say in one sentence how the pool stands."""
    if scene.report.found:
        return verdict_by(scene.report, Verdict("", ""))
    if scene.clock is None:
        return Verdict(
            "No chain yet.", "The console waits for its first node to answer.", checked_text(scene.report)
        )
    active = sum(miner.active_sectors for miner in scene.miners)
    under_way = sum(scene.sector_counts.values())
    if not active and not under_way:
        return verdict_by(scene.report, Verdict("All is well:", "no sector is active or in work."))
    counts = f"{plural(active, 'sector')} active, {under_way} in work, every deadline forecast to land."
    return verdict_by(scene.report, Verdict("All is well:", counts))


def tone_by(scene: Scene, *checks: str) -> str:
    """Return a tile's tone: bad or warn as the worst of its checks says, else ok."""
    failed = [found for found in scene.report.found if found.check.name in checks]
    if not failed:
        return "ok"
    return "bad" if any(found.is_critical for found in failed) else "warn"


def tone_or_none(scene: Scene, *checks: str) -> str:
    """Return the tone of a tile that shows none while all is well."""
    tone = tone_by(scene, *checks)
    return "" if tone == "ok" else tone


def stats_of(scene: Scene) -> list[Stat]:
    """The vital signs."""
    return [
        head_stat(scene),
        deadline_stat(scene),
        power_stat(scene),
        faults_stat(scene),
        sealing_stat(scene),
        messages_stat(scene),
        wallet_stat(scene),
        hosts_stat(scene),
    ]


def head_stat(scene: Scene) -> Stat:
    pulse = scene.pulse
    here = reverse("chain")
    if pulse is None:
        return Stat(
            "head",
            "Head",
            numbers.NOTHING,
            "no node has answered yet",
            href=here,
            tone="idle",
        )
    return Stat(
        "head",
        "Head",
        numbers.whole(pulse.epoch),
        f"base fee {numbers.fee_text(pulse.base_fee)}",
        href=here,
        tone=tone_by(scene, *CHAIN_CHECKS),
    )


def deadline_stat(scene: Scene) -> Stat:
    told = [row for row in scene.deadlines.values() if row.live]
    soon = deadline_next(told, scene.clock)
    tone = tone_by(scene, "windows_missed", "windows_at_risk")
    if soon is None:
        return Stat(
            "post",
            "Next deadline",
            numbers.NOTHING,
            "no sector to prove yet",
            href=reverse("miners"),
            tone="idle" if tone == "ok" else tone,
        )
    missed = scene.report.result("windows_missed")
    return Stat(
        "post",
        "Next deadline",
        soon.left,
        f"{missed.count} missed, {soon.foot}" if missed is not None and missed.count else soon.foot,
        href=reverse("miners"),
        until=soon.until,
        tone=tone,
    )


def power_stat(scene: Scene) -> Stat:
    power, unit = numbers.size(sum(miner.qa_power for miner in scene.miners))
    active = sum(miner.active_sectors for miner in scene.miners)
    foot = f"{plural(active, 'active sector')}, {plural(len(scene.miners), 'miner')}"
    return Stat("power", "Power", power, foot, href=reverse("miners"), unit=unit)


def faults_stat(scene: Scene) -> Stat:
    faulty = sum(miner.faulty_sectors for miner in scene.miners)
    debt = sum(miner.fee_debt for miner in scene.miners)
    foot = f"fee debt {numbers.fil(debt)} FIL" if debt else "no fee debt"
    return Stat(
        "faults",
        "Faults",
        numbers.whole(faulty),
        foot,
        href=reverse("miners"),
        tone=tone_by(scene, "sectors_faulty", "fee_debt"),
    )


def sealing_stat(scene: Scene) -> Stat:
    counts = dict(scene.sector_counts)
    paused = counts.pop("PAUSED", 0)
    under_way = sum(counts.values())
    busiest = max(counts, key=lambda stage: counts[stage], default="")
    foot = f"most in {STAGES[busiest]}" if under_way else "nothing is being sealed"
    if paused:
        foot = f"{plural(paused, 'sector')} paused"
    href = reverse("sectors") + ("?state=paused" if paused else "?state=work")
    return Stat(
        "sealing",
        "In work",
        numbers.whole(under_way + paused),
        foot,
        href=href,
        tone=tone_or_none(scene, "sectors_paused", "deposits_expiring"),
    )


def messages_stat(scene: Scene) -> Stat:
    waiting = scene.messages_waiting
    return Stat(
        "messages",
        "Messages",
        numbers.whole(waiting.signed + waiting.queued),
        messages_foot(scene),
        href=reverse("messages") + "?state=open",
        tone=tone_or_none(scene, "messages_stuck", "messages_failed"),
    )


def messages_foot(scene: Scene) -> str:
    """What is wrong with messages, else where those in flight are."""
    waiting, failed = scene.messages_waiting, scene.report.result("messages_failed")
    words = [f"{waiting.stuck} stuck"] if waiting.stuck else []
    words += [f"{failed.count} failed"] if failed is not None and failed.count else []
    return ", ".join(words) or f"{waiting.signed} signed, {waiting.queued} waiting"


def wallet_stat(scene: Scene) -> Stat:
    lowest = min(scene.wallets, key=lambda wallet: wallet.balance or 0, default=None)
    if lowest is None:
        return Stat(
            "wallets",
            "Lowest wallet",
            numbers.NOTHING,
            "no signer has come yet",
            href=reverse("wallets"),
            tone="idle",
        )
    foot = lowest.label or numbers.shortened(lowest.address)
    return Stat(
        "wallets",
        "Lowest wallet",
        numbers.fil_short(lowest.balance),
        foot,
        href=reverse("wallets"),
        unit="FIL",
        tone=tone_or_none(scene, "balances_short", "signers_away"),
    )


def hosts_stat(scene: Scene) -> Stat:
    workers = scene.workers
    here = [worker for worker in workers if not worker_is_away(worker, now=scene.at)]
    tone = tone_by(scene, "hosts_away", "hosts_disk", "hosts_paused", "hosts_slow")
    held = sum(len(getattr(worker, "held_jobs", [])) for worker in here)
    foot = f"{plural(held, 'job')} in work"
    return Stat(
        "hosts",
        "Workers",
        str(len(here)),
        foot,
        href=reverse("hosts"),
        unit=f"of {len(workers)}",
        tone=tone if workers else "idle",
    )


def strips_of(scene: Scene) -> list[MinerLine]:
    """Each miner with its period."""
    under_way = sectors_under_way(scene.viewer)
    return [
        miner_line(miner, scene=scene, in_work=under_way.get(miner.pk, 0)) for miner in scene.miners[:SHOWN]
    ]


def recent_sectors(viewer: Principal) -> list[Sector]:
    """Those in work, newest first; then the newest that are sealed, until the list is full."""
    visible = sectors_visible(viewer)
    rows = list(visible.exclude(state__in=FINAL_STATES)[:SHOWN])
    return rows + list(visible.filter(state=SectorState.PROVING)[: SHOWN - len(rows)])


def sectors_context(scene: Scene) -> dict[str, Any]:
    lines = [sector_line(sector, scene=scene) for sector in recent_sectors(scene.viewer)]
    can_pledge = scene.viewer.may("sign") and any(miner.address for miner in scene.miners)
    return {
        "today_sectors": lines,
        "sector_counts": "those in work first",
        "pledge_label": "Pledge…" if can_pledge else "",
        "pledge_href": reverse("pledge"),
    }


def messages_context(scene: Scene) -> dict[str, Any]:
    rows = stuck_marked(messages_visible(scene.viewer), head=scene.head, network=scene.network)[:SHOWN]
    return {
        "today_messages": [message_line(row, scene.names) for row in rows],
        "message_counts": "newest first",
    }


def wallets_context(scene: Scene) -> dict[str, Any]:
    rows = sorted(scene.wallets, key=lambda wallet: wallet.balance or 0)[:SHOWN]
    return {"today_wallets": [wallet_line(row, scene=scene) for row in rows]}


def hosts_context(scene: Scene) -> dict[str, Any]:
    return {"today_hosts": [host_line(row, scene=scene, may_act=False) for row in scene.workers[:SHOWN]]}


def processes_context(scene: Scene) -> dict[str, Any]:
    """The console's processes, for the operator; hidden while all of them run."""
    if not scene.viewer.is_operator:
        return {"processes": None}
    lines = process_lines(scene.processes)
    working = sum(line.tone == "ok" for line in lines)
    if working == len(lines):
        return {"processes": []}
    return {"processes": lines, "process_say": f"{working} of {len(lines)} running"}


def page_context(scene: Scene) -> dict[str, Any]:
    """Everything on the page, for its first showing."""
    return (
        {
            "verdict": verdict_of(scene),
            "todos": todos(scene),
            "todo_sum": todo_sum(scene),
            "stats": stats_of(scene),
            "strips": strips_of(scene),
        }
        | sectors_context(scene)
        | messages_context(scene)
        | wallets_context(scene)
        | hosts_context(scene)
        | processes_context(scene)
    )


def vital_signs(place: Place) -> Iterable[str]:
    scene = place.scene
    yield fragment("dashboard/_verdict.html", verdict=verdict_of(scene))
    yield fragment("dashboard/_todo.html", todos=todos(scene), todo_sum=todo_sum(scene))
    yield fragment("dashboard/_stats.html", stats=stats_of(scene))


def miners_region(place: Place) -> Iterable[str]:
    yield fragment("dashboard/_miners.html", strips=strips_of(place.scene))


def sectors_region(place: Place) -> Iterable[str]:
    yield fragment("dashboard/_sectors.html", **sectors_context(place.scene))


def messages_region(place: Place) -> Iterable[str]:
    yield fragment("dashboard/_messages.html", **messages_context(place.scene))


def wallets_region(place: Place) -> Iterable[str]:
    yield fragment("dashboard/_wallets.html", **wallets_context(place.scene))


def hosts_region(place: Place) -> Iterable[str]:
    yield fragment("dashboard/_hosts.html", **hosts_context(place.scene))


def processes_region(place: Place) -> Iterable[str]:
    if place.viewer.is_operator:
        yield fragment("dashboard/_processes.html", **processes_context(place.scene))


REGIONS: Final[Regions] = {
    "head": (vital_signs, miners_region, processes_region),
    "node_state": (vital_signs,),
    "miner": (vital_signs, miners_region),
    "deadline": (vital_signs, miners_region, sectors_region),
    "sector": (vital_signs, sectors_region),
    "job": (hosts_region,),
    "worker": (vital_signs, hosts_region),
    "message": (vital_signs, messages_region),
    "messages": (vital_signs, messages_region),
    "wallet": (vital_signs, wallets_region),
    "signer": (vital_signs, wallets_region),
    "process": (vital_signs, processes_region),
}
