"""Steps of the way into the pool: provers, stores, and the sectors in them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final

from apps.checks.findings.results import Link
from apps.core.formatting import plural, whole
from apps.core.languages import clauses_text, colon_text, list_text
from apps.core.local_time import clock_text
from apps.core.marked_texts import gettext
from apps.miners.models import Miner
from apps.moves.rules.steps import Step
from apps.moves.selectors.readings import NUMBERS_MAX, MoveReadings, SectorFiles
from apps.proving.services.preconditions import Readiness
from apps.sectors.services.reservations import numbers_format
from poolsite.filecoin.bitfield import BitField

PARTS_NAMED: Final = 5
"""Incomplete sectors of which the kinds are named."""
REPLICAS: Final = (("sealed", "cache"), ("update", "update-cache"))
"""Folders of a replica and of its cache."""


def sectors_steps(read: MoveReadings, ready: Readiness, files: SectorFiles) -> Iterator[Step]:
    """Yield the steps about the sectors' stores and files."""
    miner = read.miner
    is_counted = files.counted_at is not None  # until then a miner that was just imported has no sectors
    yield Step(
        key="provers",
        title=gettext("A prover can read the stores"),
        is_done=bool(ready.provers) and not files.unread,
        figure=_provers_text(ready, files),
        risk=gettext("Windows are missed if no prover can read the files."),
        command=f".venv/bin/poolsite stores create --worker-id HOST --path /PATH  # "
        f"{gettext('each storage folder')}",
        link=Link("stores"),
        button=gettext("Attach a store…"),
    )
    yield Step(
        key="rows",
        title=gettext("Sectors adopted"),
        # rows include sectors that expired, but no live one without a row
        is_done=is_counted and files.rows >= miner.live_sectors and not miner.unlisted_sectors,
        figure=_rows_text(files, miner),
        risk=gettext(
            "Sectors that are not adopted are still proven, but cannot be checked, moved, extended or "
            "terminated here."
        ),
        command=f".venv/bin/poolsite miners adoptions-create {miner.address} --dry-run",
        link=Link("miner-adopt", (miner.address,)),
        button=gettext("Adopt sectors…"),
    )
    yield Step(
        key="files",
        title=gettext("Files found in stores"),
        is_done=is_counted and ((files.rows > 0 and not files.unplaced) or not miner.live_sectors),
        figure=_unplaced_text(files),
        risk=gettext("A sector whose files are not found is left out of its proof and becomes faulty."),
        needs=("provers", "rows"),
        command=f".venv/bin/poolsite sectors places {miner.address}-{files.unplaced.first}"
        if files.unplaced
        else "",
        link=Link("stores"),
        button=gettext("Stores"),
    )
    yield Step(
        key="looks",
        title=gettext("Files opened by a prover"),
        # nothing is expected before its deadlines are read
        is_done=is_counted
        and not files.bad
        and files.checked >= files.expected
        and (files.expected > 0 or miner.live_sectors <= miner.faulty_sectors),
        figure=_checked_text(files),
        risk=gettext(
            "Each deadline's sectors are checked two windows ahead, whoever proves them, so all are "
            "checked within a proving period. Repair damaged ones while lotus-miner still has its "
            "sealing tools."
        ),
        needs=("files",),
        link=Link("proving"),
        button=gettext("Proving"),
    )


def _unplaced_text(files: SectorFiles) -> str:
    if files.unplaced:
        texts = [
            gettext("{count} without a store: {numbers}").format(
                count=_at_most(files.unplaced), numbers=numbers_format(files.unplaced)
            )
        ]
        texts += [
            gettext("a scan found {numbers} in {store}: adopt them there").format(
                numbers=numbers_format(numbers), store=store
            )
            for store, numbers in islice(files.found.items(), PARTS_NAMED)
        ]
        if files.parted:
            texts.append(gettext("scans found only parts of {count}").format(count=whole(len(files.parted))))
        texts += [_part_text(*one) for one in islice(files.parted.items(), PARTS_NAMED)]
        if max(len(files.found), len(files.parted)) > PARTS_NAMED:
            texts.append("…")
        return clauses_text(texts)
    return gettext("every sector has a store") if files.rows else gettext("no sector adopted yet")


def _part_text(number: int, parts: dict[str, str]) -> str:
    """Return which kinds of a sector's files lie in which stores, and what is missing."""
    sector = gettext("sector {number}").format(number=number)
    where = list_text(
        gettext("{kinds} in {store}").format(kinds=list_text(kinds.split()), store=store) if kinds else store
        for store, kinds in parts.items()
    )
    kinds = {kind for one in parts.values() for kind in one.split()}
    if not all(parts.values()):  # told by a host of before
        return colon_text(sector, where)
    missing_kinds: list[str] = []
    if not any(kinds.issuperset(one) for one in REPLICAS):  # beside an update the old cache may be left
        missing_kinds += [replica for replica, cache in REPLICAS if cache in kinds and replica not in kinds]
        missing_kinds += [cache for replica, cache in REPLICAS if replica in kinds and cache not in kinds]
    elif len(parts) == 1:
        missing_kinds = ["p_aux"]  # without it a cache is none
    if not missing_kinds:
        say = gettext("{where} (attach these stores to one host)")
        return colon_text(sector, say.format(where=where))
    missing = gettext("{where} ({kinds} missing)").format(where=where, kinds=list_text(missing_kinds))
    return colon_text(sector, missing)


def _checked_text(files: SectorFiles) -> str:
    text = gettext("files opened for {checked} of {sectors} that must be proven").format(
        checked=whole(files.checked), sectors=plural(files.expected, "sector")
    )
    if not files.bad:
        return text
    bad = gettext("{count} missing or damaged: {numbers}").format(
        count=_at_most(files.bad), numbers=numbers_format(files.bad)
    )
    return clauses_text([text, bad])


def _rows_text(files: SectorFiles, miner: Miner) -> str:
    if files.counted_at is None:
        return gettext("counting sectors; done within a minute")
    live = miner.live_sectors
    return gettext("{rows} of {sectors} on the chain adopted, counted {time}").format(
        rows=whole(max(min(files.rows, live - miner.unlisted_sectors), 0)),
        sectors=plural(live, "live sector"),
        time=clock_text(files.counted_at),
    )


def _at_most(numbers: BitField) -> str:
    """Return how many numbers these are, where no more than `NUMBERS_MAX` are read."""
    count = len(numbers)
    return whole(count) if count < NUMBERS_MAX else gettext("{count} or more").format(count=whole(count))


def _provers_text(ready: Readiness, files: SectorFiles) -> str:
    if not ready.provers:
        return ready.unmet["host"]
    stores = sorted({store for prover in ready.provers for store in prover.stores})
    text = gettext("{provers} with {stores}").format(
        provers=plural(len(ready.provers), "prover"), stores=plural(len(stores), "store")
    )
    if not files.unread:
        return text
    return clauses_text([text, gettext("none can read {stores}").format(stores=list_text(files.unread))])
