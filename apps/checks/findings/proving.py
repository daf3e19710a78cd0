"""Checks of what the chain demands of sectors: no faults, sound files, no disputes lost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from apps.checks import reasons
from apps.checks.findings.acts import deadlines_dry_run
from apps.checks.findings.links import miner_link
from apps.checks.findings.parts import faults_part, store_part, window_part
from apps.checks.findings.results import Finding, Link
from apps.checks.findings.text import grouped, miner_name, miners_named, named
from apps.checks.findings.windows import sectors_expected
from apps.checks.selectors.data import CheckData
from apps.checks.selectors.exposure import first_close
from apps.core.clock import DAY_S
from apps.core.formatting import whole
from apps.core.reasons import colon, counted, lasting, listed
from apps.proving.models import Deadline, Dispute, SectorCheck
from apps.proving.selectors.settings import recover_limits


def faults(data: CheckData) -> Iterator[Finding]:
    """Sectors that count as faulty: each proving period they cost a fee, and after 42 days they end."""
    ill = sorted(
        (miner for miner in data.miners if miner.faulty_sectors),
        key=lambda miner: -data.fault_fee_per_day(miner, miner.faulty_sectors),
    )
    for group in grouped(ill):
        count = sum(miner.faulty_sectors for miner in group)
        keys = {miner.pk for miner in group}
        rows = [row for (pk, _), row in data.deadlines.items() if pk in keys and row.faulty]
        cutoff = _recovery_cutoff(rows, data)
        yield Finding(
            f"faults-{group[0].address or group[0].pk}",
            reasons.FAULTS(sectors=counted(count, "sector"), group=miners_named(group)),
            _faults_reason(rows, data),
            link=miner_link(group),
            count=count,
            per_day=sum(data.fault_fee_per_day(miner, miner.faulty_sectors) for miner in group),
            due_s=cutoff,
            due_label=reasons.TO_DECLARE() if cutoff is not None else "",
            breaks=tuple(faults_part(miner.pk) for miner in group),
            needs=tuple((window_part(row.miner_id, row.index),) for row in rows),
        )


def recoveries_capped(data: CheckData) -> Iterator[Finding]:
    """More faulty sectors in a deadline than are declared recovered for one window: the rest waits days."""
    miners = {miner.pk: miner for miner in data.miners if miner.faulty_sectors}
    rows = [row for (pk, _), row in sorted(data.deadlines.items()) if pk in miners and row.faulty > 1]
    if not rows or data.network is None:
        return
    limits = recover_limits({row.miner_id for row in rows})
    many: dict[int, list[Deadline]] = defaultdict(list)
    for row in rows:
        if row.faulty > limits[row.miner_id]:
            many[row.miner_id].append(row)
    period_days = data.network.proving_period * data.network.epoch_s / DAY_S
    for pk, found in many.items():
        miner, most = miners[pk], limits[pk]
        count = sum(row.faulty for row in found)
        left = count - len(found) * most
        days = max(-(-row.faulty // most) for row in found) * period_days
        takes = reasons.DAYS(days=days) if days >= 1 else reasons.HOURS(hours=24 * days)
        indexes = [str(row.index) for row in found]
        yield Finding(
            f"recoveries-{miner.address or pk}",
            reasons.RECOVERIES_CAPPED(miner=miner_name(miner), takes=takes),
            reasons.RECOVERIES_MOST(indexes=named(indexes), count=whole(count), most=whole(most)),
            link=Link("miner-proving-settings", (miner.address,)) if miner.address else Link("miners"),
            count=left,
            per_day=data.fault_fee_per_day(miner, left),
            is_part=True,
            needs=((faults_part(pk),),),
        )


def sector_files(data: CheckData) -> Iterator[Finding]:
    """Sectors whose files were found missing or damaged: they become faulty in their next window."""
    ill = [miner for miner in data.miners if miner.pk in data.bad_sectors]
    for group in grouped(ill):
        rows = [row for miner in group for row in data.bad_sectors[miner.pk]]
        counts = {miner.pk: len({row.number for row in data.bad_sectors[miner.pk]}) for miner in group}
        tenants = {miner.pk: miner.tenant_id for miner in group}
        first = rows[0]
        where = reasons.FILES_AT(
            number=first.number, host=first.host or reasons.A_HOST(), path=first.path or first.store
        )
        yield Finding(
            f"files-{group[0].address or group[0].pk}",
            reasons.FILES_BAD(sectors=counted(sum(counts.values()), "sector"), group=miners_named(group)),
            colon(where, first.reason),
            link=miner_link(group),
            count=sum(counts.values()),
            per_day=sum(data.fault_fee_per_day(miner, counts[miner.pk]) for miner in group),
            due_s=_cutoff_first(rows, data),
            due_label=reasons.UNTIL_DECLARED(),
            needs=tuple(
                (store_part(tenant, name),)
                for tenant, name in {(tenants[row.miner_id], row.store): None for row in rows}
            ),
        )


def disputes_lost(data: CheckData) -> Iterator[Finding]:
    """Proofs that somebody has shown to be wrong: their sectors are faulty, and the miner has paid."""
    lost = [row for row in data.disputes if row.exit_code == 0]
    by_miner: dict[int, list[Dispute]] = defaultdict(list)
    for row in lost:
        by_miner[row.miner_id].append(row)
    for rows in by_miner.values():
        miner = rows[0].miner
        indexes = sorted({row.deadline_index for row in rows})
        own = [data.deadlines[miner.pk, index] for index in indexes if (miner.pk, index) in data.deadlines]
        due = first_close(data, [miner], deadlines=indexes)
        yield Finding(
            f"dispute-{miner.address}",
            reasons.DISPUTES_LOST(proofs=counted(len(rows), "proof"), miner=miner_name(miner)),
            reasons.DISPUTE_COSTS(indexes=named(list(map(str, indexes)))),
            link=Link("proving-deadline", (miner.address, str(indexes[0]))),
            count=len(rows),
            per_day=data.fault_fee_per_day(miner, sum(row.faulty for row in own)),
            is_part=True,  # of what these sectors cost by `sectors_faulty`
            at_risk=sum(data.dispute_penalty(miner, sectors_expected(row)) for row in own),
            due_s=due,
            due_label="" if due is None else reasons.UNTIL_PROOF(),
            acts=deadlines_dry_run(miner, own),
        )


def _cutoff_first(rows: Sequence[SectorCheck], data: CheckData) -> int | None:
    """Return when the first of the windows of these sectors stops taking declarations."""
    if data.clock is None:
        return None
    keys = {(row.miner_id, row.deadline_index) for row in rows}
    cutoffs = [data.deadlines[key].cutoff_epoch for key in keys if key in data.deadlines]
    first = min((cutoff for cutoff in cutoffs if cutoff > data.clock.epoch), default=None)
    return None if first is None else data.clock.starts_at(first)


def _recovery_cutoff(rows: Sequence[Deadline], data: CheckData) -> int | None:
    """Return when the first of these deadlines stops taking declarations, of those not declared yet."""
    if data.clock is None:
        return None
    open_rows = [row for row in rows if row.faulty > row.recovering and row.cutoff_epoch > data.clock.epoch]
    first = min((row.cutoff_epoch for row in open_rows), default=None)
    return None if first is None else data.clock.starts_at(first)


def _faults_reason(rows: Sequence[Deadline], data: CheckData) -> str:
    """Return since when, how many are declared recovered, and when the chain ends the sectors."""
    declared = sum(row.recovering for row in rows)
    texts = [reasons.DECLARED(declared=declared) if declared else reasons.CHECKED_BEFORE()]
    seen = [row.faulty_since for row in rows if row.faulty_since is not None]
    if seen and data.clock is not None and data.network is not None:
        first = min(seen)
        ended = lasting(data.clock.left_s(first + data.network.fault_max_age))
        texts.insert(0, reasons.FAULTY_SINCE(first=first))
        texts.append(reasons.TERMINATED_IN(ended=ended))
    return listed(texts)
