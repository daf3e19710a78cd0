"""Checks of the console itself: its clock, its processes, its disk, its alert channels."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from django.conf import settings

from apps.chain.selectors.heads import heads_late_s
from apps.checks import reasons
from apps.checks.findings.acts import channels_test
from apps.checks.findings.parts import DATABASE, DISK, process_part
from apps.checks.findings.results import Finding
from apps.checks.findings.text import named
from apps.checks.selectors.alerts import channels_undelivered, ping_outage
from apps.checks.selectors.data import CheckData
from apps.core.consoles import ConsoleSeen, consoles_seen
from apps.core.database_times import LOCKS_S, database_slow
from apps.core.disk import RATE_AFTER_S, DiskLevel, DiskSpace, disk_spaces
from apps.core.models import Console
from apps.core.reasons import as_reason, clauses, colon, counted, lasting
from apps.users.selectors import guessed_factors

AHEAD_S: Final = 5.0
"""A block is sent at the time that it bears, and the quickest of many are at every node within seconds."""
AHEAD_HEADS: Final = 40
ALERTS_LATE: Final = timedelta(minutes=5)
"""They are evaluated every 15 s, and a channel that does not respond takes as long."""
PROBES_LATE: Final = timedelta(minutes=5)
"""They are read every minute."""
CHECKS_LATE: Final = timedelta(seconds=60)
"""They are evaluated every 15 s."""
EXITS_MANY: Final = 3
"""A process that ended so often within an hour does not go on by itself."""
SKEW_S: Final = 1.0
"""The drift of clocks that nodes allow.  Source: lotus build/buildconstants AllowableClockDriftSecs."""
WRITABLE: Final = 64 * 2**20
"""With fewer bytes PostgreSQL, which adds 16 MiB at once, and logs cannot be written."""
WRITERS: Final = tuple(map(process_part, ("follower", "tasks", "tasks-slow", "blocks")))
"""Processes that write to the database."""
DISK_BREAKS: Final = (DISK, *WRITERS)
"""The database takes nothing while its disk is full."""
PROCESS_TEXTS: Final = {"silent": reasons.PROCESS_SILENT, "down": reasons.PROCESS_DOWN}


def pool_clock_skew(data: CheckData) -> Iterator[Finding]:
    """This machine's clock is wrong: a block came before the time that it bears, or all long after it."""
    head, network = data.head, data.network
    if head is None or network is None or network.is_devnet:
        return  # an accelerated chain has a clock of its own
    early = head.timestamp - head.arrived_at.timestamp()
    late = heads_late_s(AHEAD_HEADS, epoch_s=network.epoch_s)
    per_day = sum(data.reward_per_day(miner) for miner in data.miners)
    if late is not None and late > AHEAD_S:
        yield Finding(
            "clock",
            reasons.CLOCK_AHEAD(late=late),
            reasons.CLOCK_AHEAD_CAUSE(count=AHEAD_HEADS),
            per_day=per_day,
        )
    if early > SKEW_S:
        yield Finding(
            "clock",
            reasons.CLOCK_BEHIND(early=early),
            reasons.CLOCK_BEHIND_CAUSE(height=head.height),
            per_day=per_day,
        )


def processes_down(data: CheckData) -> Iterator[Finding]:
    """Processes of the console that are down, send no heartbeats, or end again and again."""
    ill = [process for process in data.processes if process.state != "running"]
    if ill:
        say = reasons.PROCESSES_DOWN(
            names=named([PROCESS_TEXTS[process.state](name=process.name) for process in ill]),
            ill=len(ill),
            processes=reasons.PROCESSES(count=len(data.processes)),
        )
        why = reasons.PROCESSES_DOWN_CAUSE()
        breaks = tuple(process_part(process.name) for process in ill)
        yield Finding("processes", say, why, count=len(ill), breaks=breaks, needs=((DISK, DATABASE),))
    if often := [process for process in data.processes if process.exits_lately >= EXITS_MANY]:
        texts = [
            reasons.PROCESS_RESTARTED(name=one.name, times=counted(one.exits_lately, "time")) for one in often
        ]
        say = reasons.PROCESSES_RESTARTED(restarts=named(texts))
        why = reasons.PROCESSES_LOGS(log=named([f"{process.name}.log" for process in often]))
        yield Finding("processes-often", say, why, count=len(often), needs=((DISK, DATABASE),))


def checks_late(data: CheckData) -> Iterator[Finding]:
    """The result of the checks that is shown is old, or there is none."""
    if data.evaluated_at is None:
        yield Finding(
            "checks-late",
            reasons.CHECKS_NEVER(),
            reasons.CHECKS_NEVER_CAUSE(),
        )
    elif data.at - data.evaluated_at > CHECKS_LATE:
        yield Finding(
            "checks-late",
            reasons.CHECKS_LATE(age=lasting((data.at - data.evaluated_at).total_seconds())),
            reasons.CHECKS_LATE_CAUSE(),
            needs=((DATABASE,),),
        )


def notifications_undelivered(data: CheckData) -> Iterator[Finding]:
    """Alert channels that take no notifications, or get none because nobody evaluates alerts."""
    rows = channels_undelivered(data.at) if data.rare.channels else []
    if rows:
        say = reasons.CHANNELS_AWAY(channels=counted(len(rows), "alert channel"))
        names = named([row.name for row in rows])
        why = reasons.CHANNELS_UNTOLD(names=names)
        yield Finding("channels", say, why, count=len(rows), acts=channels_test(rows))
    last = data.alerts_last_run
    if last is not None and data.at - last > ALERTS_LATE:
        say = reasons.ALERTS_LATE(age=lasting((data.at - last).total_seconds()))
        why = reasons.ALERTS_LATE_CAUSE()
        yield Finding("alerts-late", say, why, needs=((process_part("tasks-slow"),),))
    outage = ping_outage() if settings.ALERTS_PING_URL else None
    if outage is not None and data.at - outage[0] > ALERTS_LATE:
        age = lasting((data.at - outage[0]).total_seconds())
        say = reasons.PING_FAILED(age=age)
        why = reasons.PING_SAID(reason=as_reason(outage[1]))
        yield Finding("ping-failed", say, why)


def console_disk(data: CheckData) -> Iterator[Finding]:
    """The disk of the console is nearly full, or another one on which it stores data is full."""
    for space in disk_spaces():
        is_full = space.level is DiskLevel.FULL
        if space.place is not None and is_full:
            say = reasons.DISK_FULL(place=space.place)
            yield Finding(f"console-disk-{space.place}", say, as_reason(space.advice))
        elif space.place is None and space.level is not DiskLevel.OK:
            hours = space.hours_left
            left = (
                reasons.DISK_LASTS(span=lasting(space.measured_s), hours=hours)
                if hours is not None
                else reasons.DISK_LASTS_UNKNOWN(left=lasting(max(RATE_AFTER_S - space.measured_s, 0.0)))
                if space.measured_s < RATE_AFTER_S
                else ""
            )
            say = reasons.CONSOLE_FULL() if is_full else reasons.CONSOLE_NEARLY_FULL()
            breaks = DISK_BREAKS if space.free < WRITABLE else ()
            yield Finding("console-disk", say, clauses(as_reason(space.advice), left), breaks=breaks)
    for seen in _consoles(data):
        if seen.works and seen.row.machine != settings.MACHINE_NAME:
            yield from _disk_elsewhere(seen.row)


def database_is_slow(data: CheckData) -> Iterator[Finding]:
    """Each statement and its commit, or the wait for a lock, takes long for two minutes: not a short peak."""
    slow = database_slow()
    if slow is not None:
        span = lasting(max(data.at.timestamp() - slow.since, 0.0))
        is_locked = slow.locks_s > LOCKS_S / 2
        say = reasons.DATABASE_SLOW(ms=round(slow.ms), span=span)
        if is_locked:
            say = reasons.DATABASE_LOCKED(locks=lasting(slow.locks_s), span=span)
        why = reasons.DATABASE_LOCKED_CAUSE() if is_locked else reasons.DATABASE_SLOW_CAUSE()
        yield Finding("database-slow", say, why, breaks=(DATABASE, *WRITERS), needs=((DISK,),))


def _consoles(data: CheckData) -> list[ConsoleSeen]:
    """Return the console's machines for the operator, where there are several."""
    return consoles_seen() if data.viewer.sees_pool and data.rare.consoles else []


def _disk_elsewhere(row: Console) -> Iterator[Finding]:
    """Report the disk of another console machine, as that one has measured it."""
    space = DiskSpace(row.disk_free, row.disk_total)
    if space.level is not DiskLevel.OK:
        is_full = space.level is DiskLevel.FULL
        text = reasons.DISK_FULL if is_full else reasons.DISK_NEARLY_FULL
        why = reasons.DISK_LEFT(left=space.free // 2**20, share=space.share)
        yield Finding(f"console-disk-of-{row.machine}", text(place=row.machine), why)


def consoles_unshared(data: CheckData) -> Iterator[Finding]:
    """A console machine does not read what another wrote into the folders that all share."""
    for seen in _consoles(data):
        row = seen.row
        if not seen.works or row.started_at is None:
            continue
        by_folder: dict[tuple[str, str], list[dict[str, str]]] = {}
        for one in row.unread:
            by_folder.setdefault((one["setting"], one["folder"]), []).append(one)
        for (setting, folder), unread in by_folder.items():
            say = reasons.UNSHARED(
                machine=row.machine, others=named([one["machine"] for one in unread]), setting=setting
            )
            why = colon(folder, unread[0]["reason"])
            advice = reasons.UNSHARED_CAUSE()
            yield Finding(f"unshared-{row.machine}-{setting}", say, clauses(why, advice), count=len(unread))
        since = row.probed_at or row.started_at
        if data.at - since > PROBES_LATE:
            say = reasons.UNREAD(machine=row.machine, age=lasting((data.at - since).total_seconds()))
            why = reasons.UNREAD_CAUSE()
            yield Finding(f"unshared-late-{row.machine}", say, why)


def backups_old(data: CheckData) -> Iterator[Finding]:
    """No backup for longer than the operator wants, of a pool that has something to lose."""
    limit, network = timedelta(hours=settings.BACKUP_WITHIN_H), data.network
    if not limit or network is None or network.is_devnet:
        return
    last = data.backup_last
    advice = reasons.BACKUP_ADVICE()
    if last is None and settings.EMBEDDED and any(miner.qa_power for miner in data.miners):
        yield Finding("backup", reasons.BACKUP_NEVER(), advice)
    if last is not None and data.at - last > limit:
        say = reasons.BACKUP_OLD(age=lasting((data.at - last).total_seconds()))
        yield Finding("backup", say, advice)


def factors_guessed(data: CheckData) -> Iterator[Finding]:
    """Somebody who has a person's password, or an open session, tries to guess their second factor."""
    if not data.rare.codes_wrong:
        return
    for guessed in guessed_factors.factors_guessed(data.viewer, now=data.at):
        yield Finding(
            f"factor-{guessed.username}",
            reasons.CODES_WRONG(count=guessed.count, name=guessed.username),
            reasons.CODES_FROM(sources=named(guessed.sources), name=guessed.username),
            count=guessed.count,
        )
