"""The overview: is everything well, what runs, what waits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.db.models import Count
from django.urls import reverse

from apps.dashboard import numbers
from apps.dashboard.frame import pulse_now
from apps.dashboard.lines.hosts import host_line
from apps.dashboard.lines.messages import message_line
from apps.dashboard.lines.miners import MinerLine, miner_line, next_deadline
from apps.dashboard.lines.processes import process_lines
from apps.dashboard.lines.sectors import sector_line
from apps.dashboard.lines.wallets import wallet_line
from apps.dashboard.regions.place import Place, Regions, fragment
from apps.dashboard.regions.scene import Scene
from apps.dashboard.words import STAGES
from apps.messages.selectors import messages_open, messages_visible
from apps.messages.states import MessageState
from apps.proving.states import Outlook
from apps.sectors.selectors import sectors_counts, sectors_visible, worker_is_away, workers_visible
from poolsite.wire.pipeline import FINAL_STATES, SectorState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from apps.dashboard.charts import Spark
    from apps.sectors.models import Sector
    from apps.users.principals import Principal

SHOWN: Final = 8
"""Lines of each list on the overview."""


@dataclass(frozen=True, slots=True)
class Stat:
    """One vital sign."""

    key: str
    label: str
    value: str
    foot: str
    href: str
    unit: str = ""
    tone: str = ""
    word: str = ""
    until: int | None = None
    """Seconds since 1970; the page counts down to it."""
    spark: Spark | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The page's one sentence: what needs somebody, or that nothing does."""

    strong: str
    rest: str


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that needs a look, with the words for the verdict."""

    say: str
    is_costly: bool


def sectors_under_way(viewer: Principal) -> dict[int, int]:
    """Count the sectors that are being sealed, by miner."""
    rows = sectors_visible(viewer).select_related(None).order_by().exclude(state__in=FINAL_STATES)
    return dict(rows.values_list("miner_id").annotate(Count("pk")))


def messages_waiting(viewer: Principal) -> dict[str, int]:
    """Count what has not landed, by state; the index holds open messages only."""
    rows = messages_open(viewer).select_related(None).order_by()
    return dict(rows.values_list("state").annotate(Count("pk")))


def troubles(scene: Scene) -> list[Trouble]:
    """Collect what needs somebody."""
    found = []
    pulse = pulse_now(scene.at)
    if pulse is not None and pulse.tone == "bad":
        found.append(Trouble(f"the chain has not moved for {numbers.time_left(pulse.age_s)}", is_costly=True))
    faulty = sum(miner.faulty_sectors for miner in scene.miners)
    if faulty:
        found.append(Trouble(f"{plural(faulty, 'sector')} faulty", is_costly=True))
    risky = [
        row
        for row in scene.deadlines.values()
        if row.outlook in (Outlook.AT_RISK, Outlook.MISSED) and row.live
    ]
    if risky:
        found.append(Trouble(f"{plural(len(risky), 'deadline')} at risk", is_costly=True))
    paused = sectors_visible(scene.viewer).exclude(paused_at=None).count()
    if paused:
        found.append(Trouble(f"{plural(paused, 'sector')} failed and paused", is_costly=False))
    away = [w.name for w in workers_visible(scene.viewer) if worker_is_away(w, now=scene.at)]
    if away:
        found.append(Trouble(f"{', '.join(away[:3])} away", is_costly=False))
    return found


def plural(count: int, noun: str) -> str:
    """`1 sector`, `3 sectors`."""
    return f"{numbers.whole(count)} {noun}" if count == 1 else f"{numbers.whole(count)} {noun}s"


def verdict_of(scene: Scene) -> Verdict:
    """Say in one sentence how the pool stands."""
    if scene.clock is None:
        return Verdict("No chain yet.", "The console waits for its first node to answer.")
    found = troubles(scene)
    if found:
        return Verdict(f"{plural(len(found), 'thing')} to look at:", "; ".join(t.say for t in found) + ".")
    active = sum(miner.active_sectors for miner in scene.miners)
    under_way = sum(sectors_under_way(scene.viewer).values())
    return Verdict(
        "All is well:",
        f"{plural(active, 'sector')} active, {under_way} in work, every deadline forecast to land.",
    )


def stats_of(scene: Scene) -> list[Stat]:
    """The vital signs."""
    viewer = scene.viewer
    return [
        head_stat(scene),
        deadline_stat(scene),
        power_stat(scene),
        faults_stat(scene),
        sealing_stat(viewer),
        messages_stat(viewer),
        wallet_stat(scene),
        hosts_stat(scene),
    ]


def head_stat(scene: Scene) -> Stat:
    pulse = pulse_now(scene.at)
    if pulse is None:
        return Stat(
            "head",
            "Head",
            numbers.NOTHING,
            "no node has answered yet",
            href="#f-today-processes",
            tone="idle",
        )
    return Stat(
        "head",
        "Head",
        numbers.whole(pulse.epoch),
        f"base fee {numbers.fee_words(pulse.base_fee)}",
        href="#f-today-processes",
        tone=pulse.tone,
    )


def deadline_stat(scene: Scene) -> Stat:
    told = [row for row in scene.deadlines.values() if row.live]
    say, until, left = next_deadline(told, scene.clock)
    bad = [row for row in told if row.outlook in (Outlook.AT_RISK, Outlook.MISSED)]
    if until is None:
        return Stat(
            "post",
            "Next deadline",
            numbers.NOTHING,
            "no sector to prove yet",
            href=reverse("miners"),
            tone="idle",
        )
    return Stat(
        "post",
        "Next deadline",
        left,
        f"deadline {say}",
        href=reverse("miners"),
        until=until,
        tone="bad" if bad else "ok",
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
        tone="bad" if faulty else "ok",
    )


def sealing_stat(viewer: Principal) -> Stat:
    counts = sectors_counts(viewer)
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
        tone="warn" if paused else "",
    )


def messages_stat(viewer: Principal) -> Stat:
    waiting = messages_waiting(viewer)
    flight, queued = waiting.get(MessageState.FILLED, 0), waiting.get(MessageState.UNFILLED, 0)
    return Stat(
        "messages",
        "Messages",
        numbers.whole(flight + queued),
        f"{flight} signed, {queued} waiting",
        href=reverse("messages") + "?state=open",
    )


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
        "wallets", "Lowest wallet", numbers.fil(lowest.balance), foot, href=reverse("wallets"), unit="FIL"
    )


def hosts_stat(scene: Scene) -> Stat:
    workers = list(workers_visible(scene.viewer))
    here = [worker for worker in workers if not worker_is_away(worker, now=scene.at)]
    tone = "ok" if len(here) == len(workers) else "bad"
    foot = f"{sum(len(getattr(w, 'held_jobs', [])) for w in here)} jobs run"
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
        miner_line(
            miner,
            deadlines=scene.deadlines_of(miner),
            in_work=under_way.get(miner.pk, 0),
            clock=scene.clock,
            network=scene.network,
        )
        for miner in scene.miners[:SHOWN]
    ]


def recent_sectors(viewer: Principal) -> list[Sector]:
    """Those in work, newest first; then the newest that are sealed, until the list is full."""
    visible = sectors_visible(viewer)
    rows = list(visible.exclude(state__in=FINAL_STATES)[:SHOWN])
    return rows + list(visible.filter(state=SectorState.PROVING)[: SHOWN - len(rows)])


def sectors_context(scene: Scene) -> dict[str, Any]:
    lines = [
        sector_line(sector, clock=scene.clock, network=scene.network, deadlines=scene.deadlines)
        for sector in recent_sectors(scene.viewer)
    ]
    can_pledge = scene.viewer.may("sign") and any(miner.address for miner in scene.miners)
    return {
        "today_sectors": lines,
        "sector_counts": "those in work first",
        "pledge_label": "Pledge…" if can_pledge else "",
        "pledge_href": reverse("pledge"),
    }


def messages_context(scene: Scene) -> dict[str, Any]:
    rows = messages_visible(scene.viewer)[:SHOWN]
    return {
        "today_messages": [message_line(row, scene.names) for row in rows],
        "message_counts": "newest first",
    }


def wallets_context(scene: Scene) -> dict[str, Any]:
    rows = sorted(scene.wallets, key=lambda wallet: wallet.balance or 0)[:SHOWN]
    return {"today_wallets": [wallet_line(row, scene=scene) for row in rows]}


def hosts_context(scene: Scene) -> dict[str, Any]:
    workers = workers_visible(scene.viewer)[:SHOWN]
    return {"today_hosts": [host_line(row, now=scene.at, may_act=False) for row in workers]}


def processes_context(scene: Scene) -> dict[str, Any]:
    if not scene.viewer.is_operator:
        return {"processes": None}
    lines = process_lines(now=scene.at)
    working = sum(line.tone == "ok" for line in lines)
    return {"processes": lines, "process_say": f"{working} of {len(lines)} running"}


def page_context(viewer: Principal) -> dict[str, Any]:
    """Everything on the page, for its first showing."""
    scene = Scene(viewer)
    return (
        {"verdict": verdict_of(scene), "stats": stats_of(scene), "strips": strips_of(scene)}
        | sectors_context(scene)
        | messages_context(scene)
        | wallets_context(scene)
        | hosts_context(scene)
        | processes_context(scene)
    )


def vital_signs(place: Place) -> Iterable[str]:
    scene = Scene(place.viewer)
    yield fragment("dashboard/_verdict.html", verdict=verdict_of(scene))
    yield fragment("dashboard/_stats.html", stats=stats_of(scene))


def miners_region(place: Place) -> Iterable[str]:
    yield fragment("dashboard/_miners.html", strips=strips_of(Scene(place.viewer)))


def sectors_region(place: Place) -> Iterable[str]:
    yield fragment("dashboard/_sectors.html", **sectors_context(Scene(place.viewer)))


def messages_region(place: Place) -> Iterable[str]:
    yield fragment("dashboard/_messages.html", **messages_context(Scene(place.viewer)))


def wallets_region(place: Place) -> Iterable[str]:
    yield fragment("dashboard/_wallets.html", **wallets_context(Scene(place.viewer)))


def hosts_region(place: Place) -> Iterable[str]:
    yield fragment("dashboard/_hosts.html", **hosts_context(Scene(place.viewer)))


def processes_region(place: Place) -> Iterable[str]:
    context = processes_context(Scene(place.viewer))
    if context["processes"] is not None:
        yield fragment("dashboard/_processes.html", **context)


REGIONS: Final[Regions] = {
    "head": (vital_signs, miners_region, processes_region),
    "miner": (vital_signs, miners_region),
    "deadline": (vital_signs, miners_region, sectors_region),
    "sector": (vital_signs, sectors_region),
    "job": (hosts_region,),
    "worker": (hosts_region,),
    "message": (vital_signs, messages_region),
    "wallet": (vital_signs, wallets_region),
    "signer": (wallets_region,),
    "process": (processes_region,),
}
