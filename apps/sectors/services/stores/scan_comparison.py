"""What a scan found in a store is compared with the pool's rows, and listed where they differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, Final

from django.db import transaction

from apps.chain.node.isolation import for_each_isolated
from apps.core.reasons import counted, listed
from apps.core.transitions import advance
from apps.miners.models import Miner
from apps.sectors.models import Sector, Store, StoreFinding, StoreScan
from apps.sectors.reasons import AS_RECORDED, TOO_MANY_REPORTED
from apps.sectors.selectors.store_scans import counts_list
from apps.sectors.services.stores.events import event_write
from apps.sectors.services.stores.scans import scan_fail
from apps.sectors.states import ENDED_SECTORS, FindingKind, FindingState, ScanState
from poolsite.filecoin.bitfield import BitField, bitfield_from_json, bitfield_of, portions
from poolsite.wire.codec import document_decode
from poolsite.wire.pipeline import SectorState
from poolsite.wire.store_checks import ScannedSectors, ScannedStore

FINDINGS_MAX: Final = 2_000
"""Findings of one kind that are listed; the next scan lists the others once these are seen to."""
READ_AT_ONCE: Final = 1_000
ROWS_AT_ONCE: Final = 10_000
SECTORS_MAX: Final = 1_000_000
"""Of one scan; a host that tells more is wrong."""
SCANNED: Final = "SCANNED"
"""Event of a store whose scan has ended."""
UNDER_ORDER: Final = (FindingState.CHECKING, FindingState.REMOVING)


KINDS_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class Part:
    """The files of a sector in one store."""

    size: int = 0
    kinds: str = ""
    """The folders with its files; empty: all that it needs, or a host of before told it."""


def scans_compare(*, now: datetime) -> None:
    """Compare what hosts found in stores with the rows."""
    waiting = StoreScan.objects.filter(state=ScanState.RUNNING, report__isnull=False).order_by("pk")
    keys = list(waiting.values_list("pk", flat=True))
    for_each_isolated(keys, lambda key: _report_compare(key, now=now), event="scan_not_compared")


@transaction.atomic
def _report_compare(key: int, *, now: datetime) -> None:
    rows = StoreScan.objects.select_for_update(of=("self",)).select_related("store", "worker")
    scan = rows.filter(pk=key, state=ScanState.RUNNING, report__isnull=False).first()
    if scan is None:
        return
    reported: ScannedStore = document_decode(ScannedStore, scan.report)
    StoreScan.objects.filter(pk=key).update(report=None)
    _compare(scan, reported, now=now)


def _compare(scan: StoreScan, reported: ScannedStore, *, now: datetime) -> None:
    store, found = scan.store, _Findings(scan.store)
    sector_count = sum(
        len(bitfield_from_json(list(runs))) for one in reported.miners for runs in (one.whole, one.half)
    )
    if sector_count > SECTORS_MAX:
        scan_fail(
            scan,
            error=TOO_MANY_REPORTED(count=sector_count, limit=SECTORS_MAX),
            now=now,
        )
        return
    miners = {one.actor_id: one for one in Miner.objects.filter(tenant=store.tenant_id)}
    here = {one.miner_id: one for one in reported.miners}
    for miner_id in sorted({*here, *(one for one in miners if one is not None)}):
        miner, one = miners.get(miner_id), here.get(miner_id)
        complete = BitField() if one is None else bitfield_from_json(list(one.whole))
        half = {} if one is None else _half_of(one)
        if miner is None:
            found.add_numbers(FindingKind.UNKNOWN, miner_id, complete)
            found.add_numbers(FindingKind.HALF, miner_id, bitfield_of(half), parts=half)
        else:
            scan.known += _miner_compare(found, miner, complete, half)
    for other in reported.others:
        found.add_other(other.name, other.size)
    found.save()
    scan.counts = {kind: count for kind, count in found.counts.items() if count}
    advance(scan, "END", known=scan.known, counts=scan.counts, updated_at=now)
    note = listed([AS_RECORDED(sectors=counted(scan.known, "sector")), *counts_list(scan.counts)])
    event_write(store, event=SCANNED, actor=scan.actor, note=note, now=now)


def _half_of(one: ScannedSectors) -> dict[int, Part]:
    """Return what there is of half sectors by their numbers."""
    numbers = list(bitfield_from_json(list(one.half)))
    sizes = one.half_bytes if len(one.half_bytes) == len(numbers) else (0,) * len(numbers)
    kinds = one.half_kinds if len(one.half_kinds) == len(numbers) else ("",) * len(numbers)
    return dict(zip(numbers, map(Part, sizes, kinds), strict=True))


def _miner_compare(found: _Findings, miner: Miner, whole: BitField, half: dict[int, Part]) -> int:
    """List where a miner's sectors lie otherwise than its rows say; return how many lie as they say."""
    lying, elsewhere, nowhere, ended, at_work, known = _by_rows(miner, found.store.name)
    extra = whole - lying
    found.add_of(FindingKind.MISSING, miner, lying - whole)
    # Adoptions wait for these: what others have twice leaves them no room.
    found.add_of(FindingKind.ELSEWHERE, miner, extra & nowhere, is_apart=True)
    found.add_of(FindingKind.ELSEWHERE, miner, extra & elsewhere)
    found.add_of(FindingKind.UNKNOWN, miner, (extra - known) | (extra & ended))
    # a sector that is being sealed is stored just now; one of this store is missing
    found.add_of(FindingKind.HALF, miner, bitfield_of(half) - at_work, parts=half)
    return len(lying & whole)


def _by_rows(miner: Miner, store: str) -> tuple[BitField, ...]:
    """Return the numbers whose rows say that they lie in a store, of proving ones those that lie elsewhere
    and those that lie nowhere, of ended ones those that no host was told to remove, those that may be
    written there now, and all.
    """
    numbers: tuple[list[int], ...] = ([], [], [], [], [], [])
    lying, elsewhere, nowhere, ended, at_work, known = numbers
    rows = Sector.objects.filter(miner=miner).order_by()
    facts = rows.values_list("number", "state", "store", "removal_asked_at")
    for number, state, named, removal_at in facts.iterator(chunk_size=ROWS_AT_ONCE):
        known.append(number)
        if named == store or state not in (*ENDED_SECTORS, SectorState.PROVING):
            at_work.append(number)
        if state == SectorState.PROVING and named != store:
            (elsewhere if named else nowhere).append(number)
        elif state == SectorState.PROVING and removal_at is None:
            lying.append(number)
        elif state in ENDED_SECTORS and removal_at is None:  # else its host removes the file
            ended.append(number)
    return tuple(map(bitfield_of, numbers))


class _Findings:
    """What a scan lists: those of before go, but for what a host was told to do with them."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.rows: list[StoreFinding] = []
        self.counts: dict[str, int] = dict.fromkeys(FindingKind.values, 0)
        self.listed = dict(self.counts)
        """Those that share the room of their kind."""
        store.findings.exclude(state__in=UNDER_ORDER).delete()
        self._ordered_names = set(store.findings.values_list("name", flat=True))

    def add_of(
        self,
        kind: FindingKind,
        miner: Miner,
        numbers: BitField,
        *,
        parts: Mapping[int, Part] | None = None,
        is_apart: bool = False,
    ) -> None:
        """Add sectors of a miner, in room of their own or the kind's; rows are read of listed ones alone."""
        for portion in self._listed(kind, numbers, is_apart=is_apart):
            rows = Sector.objects.filter(miner=miner, number__in=portion).only("pk", "number")
            by_number = {row.number: row for row in rows}
            for number in portion:
                part = Part(miner.sector_size) if parts is None else parts[number]
                self._add(kind, miner.actor_id or 0, number, sector=by_number.get(number), part=part)

    def add_numbers(
        self,
        kind: FindingKind,
        miner_id: int,
        numbers: BitField,
        *,
        parts: Mapping[int, Part] | None = None,
    ) -> None:
        """Add sectors of a miner that is none of the pool's."""
        for portion in self._listed(kind, numbers):
            for number in portion:
                self._add(kind, miner_id, number, part=(parts or {}).get(number, Part()))

    def _listed(self, kind: FindingKind, numbers: BitField, *, is_apart: bool = False) -> Iterator[list[int]]:
        """Count numbers, and return in portions those that are listed."""
        room = FINDINGS_MAX if is_apart else max(FINDINGS_MAX - self.listed[kind], 0)
        self.counts[kind] += len(numbers)
        if not is_apart:
            self.listed[kind] += len(numbers)
        return portions(bitfield_of(islice(numbers, room)), READ_AT_ONCE)

    def _add(
        self, kind: FindingKind, miner_id: int, number: int, *, part: Part, sector: Sector | None = None
    ) -> None:
        facts: dict[str, Any] = {"miner_id": miner_id, "number": number, "sector": sector}
        facts |= {"size": part.size, "kinds": part.kinds[:KINDS_MAX]}
        self._append(kind, f"s-t0{miner_id}-{number}", facts)

    def add_other(self, name: str, size: int) -> None:
        """Add what is no sector's."""
        self.counts[FindingKind.OTHER] += 1
        if self.counts[FindingKind.OTHER] <= FINDINGS_MAX:
            self._append(FindingKind.OTHER, name, {"size": size})

    def _append(self, kind: FindingKind, name: str, facts: dict[str, Any]) -> None:
        if name not in self._ordered_names:
            self._ordered_names.add(name)
            self.rows.append(StoreFinding(store=self.store, kind=kind, name=name, **facts))

    def save(self) -> None:
        StoreFinding.objects.bulk_create(self.rows, batch_size=1_000)
