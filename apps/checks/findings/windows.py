"""Checks of windows: missed, or forecast to be."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace

from apps.checks import reasons
from apps.checks.findings.links import miner_link
from apps.checks.findings.parts import missed_parts, needs_of, window_part, window_parts
from apps.checks.findings.results import Finding
from apps.checks.findings.text import grouped, miner_name, miners_named, named
from apps.checks.selectors.data import CheckData
from apps.core.reasons import ReasonKind, as_reason, colon, counted
from apps.miners.models import Miner
from apps.proving.models import Deadline
from apps.proving.selectors.posts import windows_missed
from apps.proving.states import Forecast


def windows_missed_check(data: CheckData) -> Iterator[Finding]:
    """Windows of the last proving period that closed without a proof."""
    if data.clock is None or data.network is None:
        return
    since = data.clock.epoch - data.network.proving_period
    miners = {miner.pk: miner for miner in data.miners}
    missed = {
        key: row.reason for key, row in data.deadlines.items() if row.forecast == Forecast.MISSED and row.live
    }
    needs = {key: _needs_of(miners[key[0]], data.deadlines.get(key)) for key in missed}
    seen = {key: _closed_epoch(data.deadlines[key], data) for key in missed}
    for key, found in windows_missed(list(miners), since_epoch=since).items():
        missed[key] = found.error or missed.get(key, "")
        needs[key] = (missed_parts(miners[key[0]], data.deadlines.get(key), is_proved=found.is_proved),)
        seen[key] = found.close_epoch
    for finding, keys in _deadlines_findings(missed, miners, data, key="missed", say=reasons.WINDOWS_MISSED):
        yield replace(
            finding,
            breaks=tuple(window_part(*one) for one in keys),
            needs=needs_of(parts for one in keys for parts in needs[one]),
            seen_s=data.clock.starts_at(max(seen[one] for one in keys)),
        )


def _needs_of(miner: Miner, row: Deadline | None) -> tuple[tuple[str, ...], ...]:
    return ((),) if row is None else window_parts(miner, row)


def _closed_epoch(row: Deadline, data: CheckData) -> int:
    """Return when a missed window closed; its row may be about the next one already."""
    assert data.clock is not None
    assert data.network is not None
    is_next = row.close_epoch > data.clock.epoch
    return row.close_epoch - (data.network.proving_period if is_next else 0)


def windows_at_risk(data: CheckData) -> Iterator[Finding]:
    """Windows whose proof will probably not land."""
    miners = {miner.pk: miner for miner in data.miners}
    risky = {
        key: row.reason
        for key, row in data.deadlines.items()
        if row.forecast == Forecast.AT_RISK and row.live
    }
    for finding, keys in _deadlines_findings(risky, miners, data, key="at_risk", say=reasons.WINDOWS_AT_RISK):
        parts = (_needs_of(miners[one[0]], data.deadlines.get(one)) for one in keys)
        yield replace(finding, needs=needs_of(part for some in parts for part in some))


def _deadlines_findings(
    causes: dict[tuple[int, int], str],
    miners: dict[int, Miner],
    data: CheckData,
    *,
    key: str,
    say: ReasonKind,
) -> Iterator[tuple[Finding, list[tuple[int, int]]]]:
    """Yield findings, each with its deadlines."""
    by_miner: dict[int, list[int]] = defaultdict(list)
    for miner_pk, index in sorted(causes):
        by_miner[miner_pk].append(index)
    for group in grouped(list(by_miner)):
        keys = [(pk, index) for pk in group for index in by_miner[pk]]
        rows = [data.deadlines[one] for one in keys if one in data.deadlines]
        names: dict[str, list[str]] = defaultdict(list)
        for pk, index in keys:
            name = reasons.WINDOW_OF(index=index, miner=miner_name(miners[pk]))
            names[as_reason(causes[pk, index])].append(name)
        texts = [colon(named(some), cause) if cause else named(some) for cause, some in names.items()]
        closes = [
            row.close_epoch for row in rows if data.clock is not None and row.close_epoch > data.clock.epoch
        ]
        is_ahead = key == "at_risk" and closes and data.clock is not None
        finding = Finding(
            f"deadlines-{key}-{miners[group[0]].address or group[0]}",
            say(deadlines=counted(len(keys), "deadline"), group=miners_named(miners[pk] for pk in group)),
            named(texts),
            link=miner_link([miners[pk] for pk in group]),
            count=len(keys),
            per_day=sum(_window_cost(row, miners, data) for row in rows),
            is_part=not any(map(sectors_expected, rows)),  # of what `sectors_faulty` names
            due_s=data.clock.starts_at(min(closes)) if is_ahead and data.clock is not None else None,
            due_label=reasons.UNTIL_IT_CLOSES() if is_ahead else "",
        )
        yield finding, keys


def sectors_expected(row: Deadline) -> int:
    """Return how many sectors a window proves: those that are not faulty, and those declared recovered."""
    return row.live - row.faulty + row.recovering


def _window_cost(row: Deadline, miners: dict[int, Miner], data: CheckData) -> int:
    """Return what a day without its proof costs; where all of its sectors are faulty, what they cost."""
    return data.fault_fee_per_day(miners[row.miner_id], sectors_expected(row) or row.faulty)
