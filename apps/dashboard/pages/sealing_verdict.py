"""What limits the farm, in words, and what one more slot would give."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext as say
from django.utils.translation import gettext_lazy as _

from apps.core import formatting
from apps.core.formatting import plural
from apps.dashboard.cards import Verdict
from apps.dashboard.labels import STAGES
from apps.sectors.selectors.sealing_report import slots_of

if TYPE_CHECKING:
    from apps.sectors.selectors.bottleneck import StageFigures
    from apps.sectors.selectors.sealing_report import SealingReport


NAMED: Final = 3
"""Hosts that a sentence names."""


def stage_name(stage: str) -> str:
    """Return a stage in words."""
    return STAGES.get(stage, stage)


def verdict_of(report: SealingReport) -> Verdict:
    """Name what limits the farm, with what that rests on."""
    limits, row = report.bottleneck, report.bottleneck.figures
    hours = round((report.at - report.since).total_seconds() / 3600)
    window = "hour" if hours == 1 else plural(hours, "hour")
    made = say("{per_day:.1f} sectors a day in the last {window}.").format(
        per_day=report.per_day, window=window
    )
    if not report.hosts:
        return Verdict("", _("No sealing host has registered yet."))
    if row is None:
        return Verdict(say("Nothing is being sealed."), made)
    stage = stage_name(row.stage)
    if limits.kind == "missing":
        return missing_verdict(report, row)
    if limits.kind == "idle":
        share = formatting.percent(row.use or 0, 1)
        return Verdict(
            say("No bottleneck: no stage is full while sectors wait."),
            say("{stage} is used most, {share} of its slots' time. {made}").format(
                stage=stage, share=share, made=made
            ),
        )
    then = say("{waiting_before} when the {window} began").format(
        waiting_before=row.waiting_before, window=window
    )
    grew = f"{waiting_text(row.waiting)}, {then}"
    used = say("the slots worked {queue_use} of the time").format(
        queue_use=formatting.percent(row.queue_use or 0, 1)
    )
    slots = say("{queue_running} of {slots}").format(
        queue_running=row.queue_running, slots=plural(row.queue_slots, "slot")
    )
    return Verdict(
        say("{stage} limits the farm:").format(stage=stage),
        say("{slots} run where it queues, {grew}; {used}.").format(slots=slots, grew=grew, used=used),
    )


def missing_verdict(report: SealingReport, row: StageFigures) -> Verdict:
    """Name a queue that no host serves: those that would, and cannot now, or that there may be others."""
    stage = stage_name(row.stage)
    absent = [one.worker for one in report.hosts if one.is_absent and slots_of(one.worker).get(row.stage)]
    waiting = say("{waiting} for one").format(waiting=waiting_text(row.waiting))
    left = report.hosts_left_out
    rest = (
        say("; {left} more {word} not looked at here").format(
            left=left, word="host is" if left == 1 else "hosts are"
        )
        if left
        else ""
    )
    if absent:
        named = ", ".join(one.name for one in absent[:NAMED]) + (", …" if len(absent) > NAMED else "")
        which = "Each host shown" if left else "Each host"
        gone = say("{named} {word} them").format(named=named, word="has" if len(absent) == 1 else "have")
        return Verdict(
            say("{which} with slots for {stage} is paused or away.").format(which=which, stage=stage),
            f"{waiting}: {gone}{rest}.",
        )
    shown = "No host of those shown has" if rest else "No host has"
    return Verdict(say("{shown} a slot for {stage}.").format(shown=shown, stage=stage), f"{waiting}{rest}.")


def waiting_text(count: int) -> str:
    """Return `1 sector waits`."""
    return f"{plural(count, 'sector')} {'waits' if count == 1 else 'wait'}"


def gain_text(report: SealingReport) -> str:
    """Return which host is full, and what one more slot there would give."""
    limits = report.bottleneck
    host = next((one.worker for one in report.hosts if one.worker.pk == limits.worker), None)
    if host is None or limits.figures is None:
        return ""
    stage = stage_name(limits.figures.stage)
    slots = plural(limits.worker_slots, "slot")
    text = say("Most wait for {host}: {worker_waiting} beyond its {slots} of {stage}.").format(
        host=host.name, worker_waiting=limits.worker_waiting, slots=slots, stage=stage
    )
    if limits.per_day is None or limits.more_per_day is None:
        return say(
            "{text} What one more slot gives is not known until every stage with slots has been measured."
        ).format(text=text)
    gain = limits.more_per_day - limits.per_day
    if gain < 0.05:
        return say("{text} One more slot gives nothing: {next_stage} limits it then.").format(
            text=text, next_stage=stage_name(limits.next_stage)
        )
    after = (
        say(", {next_stage} limits it then").format(next_stage=stage_name(limits.next_stage))
        if limits.next_stage
        else ""
    )
    return say(
        "{text} One more slot there: {per_day:.1f} → {more_per_day:.1f} sectors a day by "
        "measured times, as far as its CPU and memory allow{after}."
    ).format(text=text, per_day=limits.per_day, more_per_day=limits.more_per_day, after=after)
