"""What limits the farm, in words, and what one more slot would give."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from apps.core import formatting
from apps.core.formatting import plural
from apps.core.languages import clauses_text, list_text, sentence_text
from apps.dashboard.cards import Verdict
from apps.dashboard.labels import STAGES
from apps.sectors.selectors.bottleneck import GAIN_MIN, StageFigures
from apps.sectors.selectors.host_lanes import slots_of
from apps.sectors.selectors.sealing_report import SealingReport

DAY_H: Final = 24
"""Over a shorter window sectors are only counted: minutes give no rate of a day."""
NAMED: Final = 3
"""Hosts that a sentence names."""


def stage_name(stage: str) -> str:
    """Return a stage in words."""
    return str(STAGES.get(stage, stage))


def verdict_of(report: SealingReport) -> Verdict:
    """Name what limits the farm, with what that rests on."""
    limits, row = report.bottleneck, report.bottleneck.figures
    hours = round((report.at - report.since).total_seconds() / 3600)
    window = gettext("hour") if hours == 1 else plural(hours, "hour")
    made = gettext("{sectors} finished in the last {window}.").format(
        sectors=plural(report.finished, "sector"), window=window
    )
    if hours >= DAY_H and report.per_day is not None and report.hosts:
        made = gettext("{per_day:.1f} sectors a day in the last {window}.").format(
            per_day=report.per_day, window=window
        )
    if not report.hosts:
        return Verdict("", _("No sealing host has registered yet."))
    if row is None:
        return Verdict(gettext("Nothing is being sealed."), made)
    stage = stage_name(row.stage)
    if limits.kind == "missing":
        return missing_verdict(report, row)
    if limits.kind == "idle":
        share = formatting.percent(row.use or 0, 1)
        return Verdict(
            gettext("No bottleneck: no stage is full while sectors wait."),
            gettext("{stage} is busiest, {share} of its slot time. {made}").format(
                stage=stage, share=share, made=made
            ),
        )
    then = gettext("{waiting_before} at the start of the last {window}").format(
        waiting_before=row.waiting_before, window=window
    )
    grew = list_text((waiting_text(row.waiting), then))
    used = gettext("its slots were busy {queue_use} of the time").format(
        queue_use=formatting.percent(row.queue_use or 0, 1)
    )
    slots = gettext("{queue_running} of {slots}").format(
        queue_running=row.queue_running, slots=plural(row.queue_slots, "slot")
    )
    if limits.limiting not in ("", row.stage):
        return Verdict(
            gettext("{limit} is the bottleneck at measured times.").format(limit=stage_name(limits.limiting)),
            gettext("{stage} has a queue now: {slots} busy on its hosts, {grew}; {used}.").format(
                stage=stage, slots=slots, grew=grew, used=used
            ),
        )
    return Verdict(
        gettext("{stage} is the bottleneck:").format(stage=stage),
        gettext("{slots} busy on the hosts with a queue, {grew}; {used}.").format(
            slots=slots, grew=grew, used=used
        ),
    )


def missing_verdict(report: SealingReport, row: StageFigures) -> Verdict:
    """Name a queue that no host serves: those that would, and cannot now, or that there may be others."""
    stage = stage_name(row.stage)
    absent = [one.worker for one in report.hosts if one.is_absent and slots_of(one.worker).get(row.stage)]
    waiting = gettext("{waiting} for a slot").format(waiting=waiting_text(row.waiting))
    left = report.hosts_left_out
    rest = (
        ngettext(
            "; {count} more host is not shown here", "; {count} more hosts are not shown here", left
        ).format(count=left)
        if left
        else ""
    )
    if absent:
        more = ("…",) if len(absent) > NAMED else ()
        named = list_text((*(one.name for one in absent[:NAMED]), *more))
        which = (
            gettext("Every host shown with slots for {stage} is paused or offline.")
            if left
            else gettext("Every host with slots for {stage} is paused or offline.")
        )
        unavailable = ngettext("host with slots: {named}", "hosts with slots: {named}", len(absent))
        return Verdict(
            which.format(stage=stage),
            sentence_text(clauses_text((waiting, unavailable.format(named=named))) + rest),
        )
    shown = (
        gettext("No host shown has a slot for {stage}.")
        if rest
        else gettext("No host has a slot for {stage}.")
    )
    return Verdict(shown.format(stage=stage), sentence_text(waiting + rest))


def waiting_text(count: int) -> str:
    """Return `1 sector waiting`."""
    return gettext("{sectors} waiting").format(sectors=plural(count, "sector"))


def gain_text(report: SealingReport) -> str:
    """Return which host is full, and what one more slot there would give."""
    limits = report.bottleneck
    host = next((one.worker for one in report.hosts if one.worker.pk == limits.worker), None)
    if host is None or limits.figures is None:
        return ""
    stage = stage_name(limits.figures.stage)
    slots = plural(limits.worker_slots, "slot")
    text = gettext("The longest queue is on {host}: {worker_waiting} beyond its {slots} for {stage}.").format(
        host=host.name, worker_waiting=limits.worker_waiting, slots=slots, stage=stage
    )
    if limits.per_day is None or limits.more_per_day is None or limits.gain is None:
        return gettext(
            "{text} The gain from one more slot is unknown until every stage with slots has been measured."
        ).format(text=text)
    if limits.gain < GAIN_MIN:
        return gettext("{text} One more slot gains nothing: {next_stage} is the limit.").format(
            text=text, next_stage=stage_name(limits.next_stage)
        )
    after = (
        gettext("; {next_stage} would then be the limit").format(next_stage=stage_name(limits.next_stage))
        if limits.next_stage
        else ""
    )
    return gettext(
        "{text} One more slot there: {per_day:.1f} → {more_per_day:.1f} sectors a day at "
        "measured times, if its CPU and memory allow{after}."
    ).format(text=text, per_day=limits.per_day, more_per_day=limits.more_per_day, after=after)
