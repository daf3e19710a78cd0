"""The vital signs of Today."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from django.urls import reverse
from django.utils.translation import gettext, pgettext

from apps.blocks.selectors.rounds import wins_count
from apps.checks.findings.results import Topic
from apps.core import formatting
from apps.core.formatting import plural
from apps.core.languages import list_text
from apps.dashboard.cards import Stat
from apps.dashboard.labels import STAGES
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.miners.deadlines import deadline_next
from apps.sectors.selectors.host_groups import hosts_here
from apps.sectors.selectors.hosts import jobs_held

WINDOWS: Final = ("windows_missed", "windows_at_risk", "roles_unheld", "checks_late")
FAULTS: Final = (
    *("sectors_faulty", "auto_terminations", "cutoffs_missed", "recoveries_capped"),
    *("sector_files", "disputes_lost", "fee_debt", "checks_late"),
)
SEALING: Final = (
    *("deposits_expiring", "seed_ready", "sectors_unclaimed", "slots_missing", "tickets_expiring"),
    *("sectors_paused", "sector_recovery", "runs_stopped", "checks_late"),
)
"""Checks of tiles that are about a part of a page's topic."""


def tone_by(data: PageData, *checks: str | Topic) -> str:
    """Return a tile's tone: bad or warn as the worst of its checks says, or of all of a topic, else ok."""
    failed = [
        found
        for found in data.report.found
        if found.check.name in checks or any(topic in checks for topic in found.check.topics)
    ]
    if not failed:
        return "ok"
    return "bad" if any(found.is_critical for found in failed) else "warn"


def tone_or_none(data: PageData, *checks: str | Topic) -> str:
    """Return the tone of a tile that shows none while all is well."""
    tone = tone_by(data, *checks)
    return "" if tone == "ok" else tone


def stats_of(data: PageData) -> list[Stat]:
    """Return the vital signs."""
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
            gettext("Head"),
            formatting.NOTHING,
            gettext("no node has answered yet"),
            href=here,
            tone="idle",
        )
    return Stat(
        "head",
        gettext("Head"),
        formatting.whole(chain_status.epoch),
        gettext("base fee {base_fee}").format(base_fee=formatting.fee_text(chain_status.base_fee)),
        href=here,
        tone=tone_by(data, Topic.CHAIN),
    )


def deadline_stat(data: PageData) -> Stat:
    soon = deadline_next(list(data.deadlines.values()), data.clock)
    tone = tone_by(data, *WINDOWS)
    if soon is None:
        return Stat(
            "post",
            gettext("Next deadline"),
            formatting.NOTHING,
            gettext("no sectors to prove yet"),
            href=reverse("miners"),
            tone="idle" if tone == "ok" else tone,
        )
    missed = data.report.result("windows_missed")
    return Stat(
        "post",
        gettext("Next deadline"),
        soon.left,
        gettext("{count} missed, {foot}").format(count=missed.count, foot=soon.foot)
        if missed is not None and missed.count
        else soon.foot,
        href=reverse("miners"),
        until=soon.until,
        tone=tone,
    )


def power_stat(data: PageData) -> Stat:
    power, unit = formatting.size(sum(miner.qa_power for miner in data.miners))
    active = sum(miner.active_sectors for miner in data.miners)
    foot = list_text((plural(active, "active sector"), plural(len(data.miners), "miner")))
    if active:
        foot += f", {blocks_text(data)}"
    return Stat(
        "power", gettext("Power"), power, foot, href=reverse("blocks" if active else "miners"), unit=unit
    )


def blocks_text(data: PageData) -> str:
    """Return how many blocks of the last day are on the chain and how many wins were lost, in words."""
    counts = wins_count(data.miners, since=data.at - timedelta(days=1))
    text = gettext("{blocks} in 24 h").format(blocks=plural(counts.included, "block"))
    return (
        gettext("{words}, {wins} lost").format(words=text, wins=plural(counts.lost, "win"))
        if counts.lost
        else text
    )


def faults_stat(data: PageData) -> Stat:
    faulty = sum(miner.faulty_sectors for miner in data.miners)
    debt = sum(miner.fee_debt for miner in data.miners)
    foot = (
        gettext("fee debt {debt} FIL").format(debt=formatting.fil(debt)) if debt else gettext("no fee debt")
    )
    return Stat(
        "faults",
        gettext("Faults"),
        formatting.whole(faulty),
        foot,
        href=reverse("miners"),
        tone=tone_by(data, *FAULTS),
    )


def sealing_stat(data: PageData) -> Stat:
    counts = dict(data.sector_counts)
    paused = counts.pop("PAUSED", 0)
    under_way = sum(counts.values())
    busiest = max(counts, key=lambda stage: counts[stage], default="")
    foot = (
        gettext("most in {stages}").format(stages=STAGES[busiest])
        if under_way
        else gettext("nothing is being sealed")
    )
    if paused:
        foot = gettext("{sectors} paused").format(sectors=plural(paused, "sector"))
    href = reverse("sectors") + ("?state=paused" if paused else "?state=work")
    return Stat(
        "sealing",
        gettext("In progress"),
        formatting.whole(under_way + paused),
        foot,
        href=href,
        tone=tone_or_none(data, *SEALING),
    )


def messages_stat(data: PageData) -> Stat:
    waiting = data.messages_waiting
    return Stat(
        "messages",
        gettext("Messages"),
        formatting.whole(waiting.signed + waiting.queued),
        messages_foot(data),
        href=reverse("messages") + "?state=open",
        tone=tone_or_none(data, Topic.MESSAGES),
    )


def messages_foot(data: PageData) -> str:
    """Return what is wrong with messages, else where those in flight are."""
    waiting, failed = data.messages_waiting, data.report.result("messages_failed")
    parts = [gettext("{stuck} stuck").format(stuck=waiting.stuck)] if waiting.stuck else []
    if failed is not None and failed.count:
        text = gettext("{count}+ failed") if failed.has_more else pgettext("messages", "{count} failed")
        parts.append(text.format(count=failed.count))
    return list_text(parts) or gettext("{signed} signed, {queued} waiting").format(
        signed=waiting.signed, queued=waiting.queued
    )


def wallet_stat(data: PageData) -> Stat:
    lowest = next(iter(data.lowest_wallets), None)
    if lowest is None:
        return Stat(
            "wallets",
            gettext("Lowest wallet"),
            formatting.NOTHING,
            gettext("no signer has connected yet"),
            href=reverse("wallets"),
            tone="idle",
        )
    foot = lowest.label or formatting.shortened(lowest.address)
    return Stat(
        "wallets",
        gettext("Lowest wallet"),
        formatting.fil_short(lowest.balance),
        foot,
        href=reverse("wallets"),
        unit="FIL",
        tone=tone_or_none(data, Topic.WALLETS),
    )


def hosts_stat(data: PageData) -> Stat:
    counts = data.host_counts
    tone = tone_by(data, Topic.HOSTS)
    held = jobs_held(data.viewer).filter(worker__in=hosts_here(data.viewer, now=data.at).order_by()).count()
    foot = gettext("{jobs} in progress").format(jobs=plural(held, "job"))
    return Stat(
        "hosts",
        gettext("Workers"),
        str(counts.all - counts.away),
        foot,
        href=reverse("hosts"),
        unit=gettext("of {workers}").format(workers=counts.all),
        tone=tone if counts.all else "idle",
    )
