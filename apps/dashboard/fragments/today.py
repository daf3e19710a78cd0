"""The overview: is everything well, what runs, what waits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.urls import reverse

from apps.core import formatting
from apps.dashboard.fragments.context import FragmentContext, FragmentsByKind, fragment
from apps.dashboard.fragments.counts import sectors_under_way
from apps.dashboard.fragments.todo import checked_text, todo_sum, todos, verdict_by
from apps.dashboard.labels import STAGES
from apps.dashboard.rows.cards import Stat, Verdict, plural
from apps.dashboard.rows.deadlines import deadline_next
from apps.dashboard.rows.hosts import host_row
from apps.dashboard.rows.messages import message_row
from apps.dashboard.rows.miners import MinerRow, miner_row
from apps.dashboard.rows.processes import process_rows
from apps.dashboard.rows.sectors import sector_row
from apps.dashboard.rows.wallets import wallet_row
from apps.messages.selectors import messages_visible
from apps.messages.selectors.stuck import stuck_marked
from apps.sectors.selectors import sectors_visible, worker_is_away
from poolsite.wire.pipeline import FINAL_STATES, SectorState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from apps.dashboard.page_data import PageData
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


def verdict_of(data: PageData) -> Verdict:
    """Return in one sentence how the pool stands."""
    if data.report.found:
        return verdict_by(data.report, Verdict("", ""))
    if data.clock is None:
        return Verdict(
            "No chain yet.", "The console waits for its first node to answer.", checked_text(data.report)
        )
    active = sum(miner.active_sectors for miner in data.miners)
    under_way = sum(data.sector_counts.values())
    if not active and not under_way:
        return verdict_by(data.report, Verdict("All is well:", "no sector is active or in progress."))
    counts = f"{plural(active, 'sector')} active, {under_way} in progress, every deadline forecast to land."
    return verdict_by(data.report, Verdict("All is well:", counts))


def tone_by(data: PageData, *checks: str) -> str:
    """Return a tile's tone: bad or warn as the worst of its checks says, else ok."""
    failed = [found for found in data.report.found if found.check.name in checks]
    if not failed:
        return "ok"
    return "bad" if any(found.is_critical for found in failed) else "warn"


def tone_or_none(data: PageData, *checks: str) -> str:
    """Return the tone of a tile that shows none while all is well."""
    tone = tone_by(data, *checks)
    return "" if tone == "ok" else tone


def stats_of(data: PageData) -> list[Stat]:
    """The vital signs."""
    return [
        head_stat(data),
        deadline_stat(data),
        power_stat(data),
        faults_stat(data),
        sealing_stat(data),
        messages_stat(data),
        wallet_stat(data),
        hosts_stat(data),
    ]


def head_stat(data: PageData) -> Stat:
    chain_status = data.chain_status
    here = reverse("chain")
    if chain_status is None:
        return Stat(
            "head",
            "Head",
            formatting.NOTHING,
            "no node has answered yet",
            href=here,
            tone="idle",
        )
    return Stat(
        "head",
        "Head",
        formatting.whole(chain_status.epoch),
        f"base fee {formatting.fee_text(chain_status.base_fee)}",
        href=here,
        tone=tone_by(data, *CHAIN_CHECKS),
    )


def deadline_stat(data: PageData) -> Stat:
    told = [row for row in data.deadlines.values() if row.live]
    soon = deadline_next(told, data.clock)
    tone = tone_by(data, "windows_missed", "windows_at_risk")
    if soon is None:
        return Stat(
            "post",
            "Next deadline",
            formatting.NOTHING,
            "no sector to prove yet",
            href=reverse("miners"),
            tone="idle" if tone == "ok" else tone,
        )
    missed = data.report.result("windows_missed")
    return Stat(
        "post",
        "Next deadline",
        soon.left,
        f"{missed.count} missed, {soon.foot}" if missed is not None and missed.count else soon.foot,
        href=reverse("miners"),
        until=soon.until,
        tone=tone,
    )


def power_stat(data: PageData) -> Stat:
    power, unit = formatting.size(sum(miner.qa_power for miner in data.miners))
    active = sum(miner.active_sectors for miner in data.miners)
    foot = f"{plural(active, 'active sector')}, {plural(len(data.miners), 'miner')}"
    return Stat("power", "Power", power, foot, href=reverse("miners"), unit=unit)


def faults_stat(data: PageData) -> Stat:
    faulty = sum(miner.faulty_sectors for miner in data.miners)
    debt = sum(miner.fee_debt for miner in data.miners)
    foot = f"fee debt {formatting.fil(debt)} FIL" if debt else "no fee debt"
    return Stat(
        "faults",
        "Faults",
        formatting.whole(faulty),
        foot,
        href=reverse("miners"),
        tone=tone_by(data, "sectors_faulty", "fee_debt"),
    )


def sealing_stat(data: PageData) -> Stat:
    counts = dict(data.sector_counts)
    paused = counts.pop("PAUSED", 0)
    under_way = sum(counts.values())
    busiest = max(counts, key=lambda stage: counts[stage], default="")
    foot = f"most in {STAGES[busiest]}" if under_way else "nothing is being sealed"
    if paused:
        foot = f"{plural(paused, 'sector')} paused"
    href = reverse("sectors") + ("?state=paused" if paused else "?state=work")
    return Stat(
        "sealing",
        "In progress",
        formatting.whole(under_way + paused),
        foot,
        href=href,
        tone=tone_or_none(data, "sectors_paused", "deposits_expiring"),
    )


def messages_stat(data: PageData) -> Stat:
    waiting = data.messages_waiting
    return Stat(
        "messages",
        "Messages",
        formatting.whole(waiting.signed + waiting.queued),
        messages_foot(data),
        href=reverse("messages") + "?state=open",
        tone=tone_or_none(data, "messages_stuck", "messages_failed"),
    )


def messages_foot(data: PageData) -> str:
    """What is wrong with messages, else where those in flight are."""
    waiting, failed = data.messages_waiting, data.report.result("messages_failed")
    words = [f"{waiting.stuck} stuck"] if waiting.stuck else []
    words += [f"{failed.count} failed"] if failed is not None and failed.count else []
    return ", ".join(words) or f"{waiting.signed} signed, {waiting.queued} waiting"


def wallet_stat(data: PageData) -> Stat:
    lowest = min(data.wallets, key=lambda wallet: wallet.balance or 0, default=None)
    if lowest is None:
        return Stat(
            "wallets",
            "Lowest wallet",
            formatting.NOTHING,
            "no signer has come yet",
            href=reverse("wallets"),
            tone="idle",
        )
    foot = lowest.label or formatting.shortened(lowest.address)
    return Stat(
        "wallets",
        "Lowest wallet",
        formatting.fil_short(lowest.balance),
        foot,
        href=reverse("wallets"),
        unit="FIL",
        tone=tone_or_none(data, "balances_short", "signers_away"),
    )


def hosts_stat(data: PageData) -> Stat:
    workers = data.workers
    here = [worker for worker in workers if not worker_is_away(worker, now=data.at)]
    tone = tone_by(data, "hosts_away", "hosts_disk", "hosts_paused", "hosts_slow")
    held = sum(len(getattr(worker, "held_jobs", [])) for worker in here)
    foot = f"{plural(held, 'job')} in progress"
    return Stat(
        "hosts",
        "Workers",
        str(len(here)),
        foot,
        href=reverse("hosts"),
        unit=f"of {len(workers)}",
        tone=tone if workers else "idle",
    )


def strips_of(data: PageData) -> list[MinerRow]:
    """Each miner with its period."""
    under_way = sectors_under_way(data.viewer)
    return [miner_row(miner, data=data, in_work=under_way.get(miner.pk, 0)) for miner in data.miners[:SHOWN]]


def recent_sectors(viewer: Principal) -> list[Sector]:
    """Those in work, newest first; then the newest that are sealed, until the list is full."""
    visible = sectors_visible(viewer)
    rows = list(visible.exclude(state__in=FINAL_STATES)[:SHOWN])
    return rows + list(visible.filter(state=SectorState.PROVING)[: SHOWN - len(rows)])


def sectors_context(data: PageData) -> dict[str, Any]:
    rows = [sector_row(sector, data=data) for sector in recent_sectors(data.viewer)]
    can_pledge = data.viewer.may("sign") and any(miner.address for miner in data.miners)
    return {
        "today_sectors": rows,
        "sector_counts": "those in progress first",
        "pledge_label": "Pledge…" if can_pledge else "",
        "pledge_href": reverse("pledge"),
    }


def messages_context(data: PageData) -> dict[str, Any]:
    rows = stuck_marked(messages_visible(data.viewer), head=data.head, network=data.network)[:SHOWN]
    return {
        "today_messages": [message_row(row, data.names) for row in rows],
        "message_counts": "newest first",
    }


def wallets_context(data: PageData) -> dict[str, Any]:
    rows = sorted(data.wallets, key=lambda wallet: wallet.balance or 0)[:SHOWN]
    return {"today_wallets": [wallet_row(row, data=data) for row in rows]}


def hosts_context(data: PageData) -> dict[str, Any]:
    return {"today_hosts": [host_row(row, data=data, may_act=False) for row in data.workers[:SHOWN]]}


def processes_context(data: PageData) -> dict[str, Any]:
    """The console's processes, for the operator; hidden while all of them run."""
    if not data.viewer.is_operator:
        return {"processes": None}
    rows = process_rows(data.processes)
    working = sum(row.tone == "ok" for row in rows)
    if working == len(rows):
        return {"processes": []}
    return {"processes": rows, "process_say": f"{working} of {len(rows)} running"}


def page_context(data: PageData) -> dict[str, Any]:
    """Everything on the page, for its first showing."""
    return (
        {
            "verdict": verdict_of(data),
            "todos": todos(data),
            "todo_sum": todo_sum(data),
            "stats": stats_of(data),
            "strips": strips_of(data),
        }
        | sectors_context(data)
        | messages_context(data)
        | wallets_context(data)
        | hosts_context(data)
        | processes_context(data)
    )


def vital_signs(context: FragmentContext) -> Iterable[str]:
    data = context.data
    yield fragment("dashboard/_verdict.html", verdict=verdict_of(data))
    yield fragment("dashboard/_todo.html", todos=todos(data), todo_sum=todo_sum(data))
    yield fragment("dashboard/_stats.html", stats=stats_of(data))


def miners_fragment(context: FragmentContext) -> Iterable[str]:
    yield fragment("dashboard/_miners.html", strips=strips_of(context.data))


def sectors_fragment(context: FragmentContext) -> Iterable[str]:
    yield fragment("dashboard/_sectors.html", **sectors_context(context.data))


def messages_fragment(context: FragmentContext) -> Iterable[str]:
    yield fragment("dashboard/_messages.html", **messages_context(context.data))


def wallets_fragment(context: FragmentContext) -> Iterable[str]:
    yield fragment("dashboard/_wallets.html", **wallets_context(context.data))


def hosts_fragment(context: FragmentContext) -> Iterable[str]:
    yield fragment("dashboard/_hosts.html", **hosts_context(context.data))


def processes_fragment(context: FragmentContext) -> Iterable[str]:
    if context.viewer.is_operator:
        yield fragment("dashboard/_processes.html", **processes_context(context.data))


FRAGMENTS: Final[FragmentsByKind] = {
    "head": (vital_signs, miners_fragment, processes_fragment),
    "node_state": (vital_signs,),
    "miner": (vital_signs, miners_fragment),
    "deadline": (vital_signs, miners_fragment, sectors_fragment),
    "sector": (vital_signs, sectors_fragment),
    "job": (hosts_fragment,),
    "worker": (vital_signs, hosts_fragment),
    "message": (vital_signs, messages_fragment),
    "messages": (vital_signs, messages_fragment),
    "wallet": (vital_signs, wallets_fragment),
    "signer": (vital_signs, wallets_fragment),
    "process": (vital_signs, processes_fragment),
}
