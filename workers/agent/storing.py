"""Bringing finished sectors from a sealing folder into stores, and clearing the folder after that.

A store that is dead, silent or not to be written holds no sector up while another one takes it.
"""

from __future__ import annotations

import errno
import json
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import structlog

from poolsite.filecoin.porep.parameters import seal_parameters
from poolsite.wire.codec import BadWire, document_decode, document_encode
from poolsite.wire.job_reports import StageOutputs
from poolsite.wire.pipeline import UNSEAL_STAGES, WORKER_STAGES, SnapStage, StoreUse
from workers.agent.paths import REBUILD_STATES, is_synthetic, required
from workers.processors.errors import BadFile, BadInput
from workers.storage.answers import COPY_S, answered
from workers.storage.files import (
    DamagedCopy,
    DamagedFile,
    NotEnoughSpace,
    TruncatedFile,
    is_complete,
    write_fault,
    write_file,
)
from workers.storage.parts import lender_of, whole_files
from workers.storage.promises import RoomPromised
from workers.storage.store import StoreAway, path_remove, stored_files
from workers.storage.store_condition import FULL_ERRORS, READ_ONLY_ERRORS
from workers.storage.store_mark import BadMark, StoreRefuses
from workers.storage.sums import SectorSums

if TYPE_CHECKING:
    from poolsite.wire.job_inputs import SealInputs
    from workers.agent.journal import Journal
    from workers.agent.paths import SealingPaths
    from workers.agent.places import SealingPlaces
    from workers.storage.attachment import Attachment
    from workers.storage.sector import SectorFiles
    from workers.storage.store import Store
    from workers.storage.stores import Stores

log = structlog.get_logger(__name__)

PUTTING: Final = frozenset(
    stage for stage, spec in WORKER_STAGES.items() if spec.store in (StoreUse.WRITES, StoreUse.CLEARS)
)
"""Stages that may copy a sector into a store."""
AWAY_S: Final = 60.0
"""How long a store that may have a sector is waited for before the sector goes to another one."""
PROMISED_WAIT_S: Final = 120.0
"""How long one attempt waits for room that is promised to other sectors.

Before a sector is paused, after five of them, the promises of a host that was killed have ended.
"""
PROMISED_CHECK_S: Final = 5.0
AWAY_SINCE: Final = "away-since"
"""In a job's folder: when a store was missed first."""
PERSISTED: Final = "persisted.json"
"""In a job's folder: the store that PERSIST put the sector into; what lies in others may be older."""
STORED_ANEW: Final = "stored-anew.json"
"""In a job's folder: the store that FINALIZE puts the sector into, as a kill would leave nobody who knows."""


class Storing:
    """The stages of a sector that only move files."""

    def __init__(self, stores: Stores, *, places: SealingPlaces, journal: Journal) -> None:
        self.stores, self.places, self.journal = stores, places, journal

    def store_of(self, inputs: SealInputs) -> Store:
        """Return the store that has the replica that a stage needs.  Raises StoreAway, BadFile.

        Of several that have the sector, one may have it as it was before its update.
        """
        found = self.stores.holding(miner_id=inputs.miner_id, number=inputs.number)
        unread: list[str] = []
        for one in found if len(found) > 1 else ():
            others = self.stores.roots_beside(one.store.root)
            try:
                if _has_replica(one, inputs, others):
                    return one.require()
            except (OSError, BadMark) as error:
                unread.append(f"{one.name} cannot be read ({error})")
        if unread:
            raise StoreAway(f"store {unread[0]} and may have the sector: see page Storage")
        if found:
            return found[0].require()
        if away := self.stores.away():
            raise StoreAway(
                f"the sector is in no available store; {away[0].name} is unavailable: see page Storage"
            )
        raise BadFile("no store of this host contains the sector")

    def persist(self, job_id: str, inputs: SealInputs, paths: SealingPaths) -> StageOutputs:
        """Store a sealed sector, and return where."""
        one = self._put(job_id, inputs, paths)
        _note(self.journal.folder(job_id) / PERSISTED, one)
        return StageOutputs(store=one.name, store_uid=one.uid)

    def finalize(self, job_id: str, inputs: SealInputs, paths: SealingPaths) -> StageOutputs:
        """Clear the sealing folder of a proven sector, once its files are whole in a store.

        Where they were in none, the outputs name the one that has them now.  Raises DamagedFile where a
        store has the sealing folder's files, OSError.
        """
        files, note = paths.files, self.journal.folder(job_id) / STORED_ANEW
        # One of a store that was linked here would count as stored, and be gone with the sealing folder's.
        self.stores.apart_check(self.places.root(job_id, inputs), files.sealed.name)
        if files.p_aux.exists():
            stored_in = self._stored_in(job_id, inputs, files)
            if not stored_in:
                if away := self.stores.away():
                    self._wait(job_id, away[0], inputs)
                self._put(job_id, inputs, paths, note=note)
            elif _noted(note).store_uid not in stored_in:  # it was begun, and is in one that came back
                note.unlink(missing_ok=True)
            # p_aux goes first: a kill in between leaves a folder that is known to be done with.
            files.p_aux.unlink()
        sector_files_remove(files)
        paths.staged.unlink(missing_ok=True)
        if inputs.state in REBUILD_STATES:
            sector_files_remove(paths.key)
            path_remove(self.places.root(job_id, inputs) / "unsealed" / files.sealed.name)
        for spent in paths.job.glob("c1-*.json"):
            spent.unlink(missing_ok=True)
        return _noted(note)

    def key_clear(self, job_id: str, inputs: SealInputs, paths: SealingPaths) -> StageOutputs:
        """Clear the replica that data were encoded into, once the updated one is whole in the store."""
        self.finalize(job_id, inputs, paths)
        store = self.store_of(inputs)
        stored = store.updated_files(paths.parameters, miner_id=inputs.miner_id, number=inputs.number)
        if stored.comm_r != inputs.comm_r_new or not is_complete(stored.sealed, inputs.sector_size):
            raise BadFile("the updated replica is not in the store: the old replica is kept")
        try:
            sector_files_remove(paths.key)
            for root in {store.root, lender_of(paths.key)}:
                SectorSums(root, paths.key.sealed.name).forget(folders=("sealed", "cache"))
        except OSError as error:
            if error.errno not in READ_ONLY_ERRORS:
                raise
            raise StoreAway(
                f"{store.root} is not writable, so the old replica cannot be removed: "
                "allow writing (page Storage), then retry"
            ) from None
        return StageOutputs()

    def _stored_in(self, job_id: str, inputs: SealInputs, files: SectorFiles) -> list[str]:
        """Return the identities of the stores that answer and have all that proving needs.

        Of those that this job stored it in, where that is known: another may have files of the same sizes,
        of a ticket before this one, or those that are damaged and rebuilt for.
        """
        found: list[str] = []
        folder = self.journal.folder(job_id)
        own_uids = {_noted(folder / name).store_uid for name in (PERSISTED, STORED_ANEW)}
        is_known = _noted(folder / PERSISTED).store_uid != ""
        sector: dict[str, Any] = {"miner_id": inputs.miner_id, "number": inputs.number}
        for one in self.stores.holding(**sector):
            if is_known and one.uid not in own_uids:
                continue
            try:
                if one.read(lambda store: store.has(files, **sector, is_update=inputs.is_update)):
                    found.append(one.uid)
            except (OSError, BadMark) as error:  # it died since: another one may have the sector
                log.warning("store_not_read", store=one.name, reason=str(error)[:200])
        return found

    def _wait(self, job_id: str, away: Attachment, inputs: SealInputs) -> None:
        """Raise StoreAway until a store that may have the sector was missed for a while.

        An update lies beside what it was encoded over, and waits for that.
        """
        may = f"the sector may be in store {away.name}, which is unavailable"
        if inputs.is_update and inputs.state not in REBUILD_STATES:
            raise StoreAway(f"{may}: mount its disk (page Storage), then retry")
        path, now = self.journal.folder(job_id) / AWAY_SINCE, time.time()
        try:
            since = float(path.read_text())
        except (FileNotFoundError, ValueError):
            since = now
            write_file(path, f"{since:.3f}".encode())
        if abs(now - since) < AWAY_S:
            raise StoreAway(f"{may}: mount its disk; after {AWAY_S:.0f} s another store is used")
        log.warning("stored_anew", job=job_id, sector=inputs.number, away=away.name)

    def _put(
        self, job_id: str, inputs: SealInputs, paths: SealingPaths, *, note: Path | None = None
    ) -> Attachment:
        """Store a sealed sector in the store that fits best, and in the next one where that fails.

        An update goes beside what it was encoded over.  The file `note` names the store before it is written.
        """
        sector: dict[str, Any] = {"miner_id": inputs.miner_id, "number": inputs.number}
        files = [paths.files.sealed, *stored_files(paths.files)]
        size = sum(file.stat().st_size for file in files if file.exists())
        failed: dict[str, OSError] = {}
        until = time.monotonic() + PROMISED_WAIT_S
        while True:
            unfinished_remove(self.stores, inputs)
            one = self._chosen(job_id, inputs, size, failed, until=until)
            if note is not None:
                _note(note, one)
            try:
                with self.stores.reserved(job_id, one, size):
                    stored_in_time(one, paths.files, **sector, is_update=inputs.is_update)
                break
            except NotEnoughSpace:  # others were promised it meanwhile: that is seen by the next choice
                continue
            except OSError as error:
                if not _is_stores_fault(one, error):
                    raise
                log.warning("not_stored", store=one.name, sector=inputs.number, reason=str(error)[:200])
                failed[one.path] = error
        if is_synthetic(inputs, paths) and paths.files.synthetic_proofs.exists():
            for spent in paths.files.spent_by_synthetic:
                spent.unlink(missing_ok=True)
        return one

    def _chosen(
        self, job_id: str, inputs: SealInputs, size: int, failed: dict[str, OSError], *, until: float
    ) -> Attachment:
        """Return the store for a sector, and wait a while for room that is promised to others.

        Raises BadInput, StoreAway, NotEnoughSpace.
        """
        while True:
            try:
                return self._choose(job_id, inputs, size, failed)
            except RoomPromised:
                if time.monotonic() >= until or self.journal.is_removed(job_id):
                    raise
                time.sleep(PROMISED_CHECK_S)
            except (StoreRefuses, BadMark, StoreAway, NotEnoughSpace) as error:
                for path, fault in failed.items():
                    text = fault.strerror or str(fault)
                    raise StoreAway(
                        f"{path}: {text}, and no other store accepts the sector: see page Storage"
                    ) from None
                if isinstance(error, StoreRefuses | BadMark):
                    raise BadInput(str(error)) from None
                raise

    def _choose(self, job_id: str, inputs: SealInputs, size: int, failed: dict[str, OSError]) -> Attachment:
        """Return the store for a sector: the one that has it, where it is to replace what lies there.

        Raises StoreRefuses, StoreAway, NotEnoughSpace, BadMark.
        """
        wanted: dict[str, Any] = {"miner_id": inputs.miner_id, "is_update": inputs.is_update, "job": job_id}
        holding = self.stores.holding(miner_id=inputs.miner_id, number=inputs.number)
        if here := [one for one in holding if one.path not in failed]:
            try:
                return self.stores.choose(**wanted, needs_bytes=size, among=here)
            except (StoreRefuses, StoreAway, NotEnoughSpace):
                if inputs.is_update or inputs.state in REBUILD_STATES:
                    raise
        elif inputs.is_update and inputs.state not in REBUILD_STATES:
            raise StoreAway(
                "the updated replica must be stored with the old one, which is in no available store: "
                "mount its disk (page Storage), then retry"
            )
        among = [one for one in self.stores.attached() if one.path not in failed]
        return self.stores.choose(**wanted, needs_bytes=size, among=among)


def half_copies_remove(stores: Stores, journal: Journal) -> None:
    """Remove half copies that a killed host left: what they take may be the space that sectors wait for."""
    for job_id in journal.unfinished_jobs():
        # One folder that cannot be read keeps no room of the others.
        with suppress(OSError), journal.at_work(job_id) as is_own:
            work = journal.work_read(job_id) if is_own else None
            if work is not None and work.inputs.stage in PUTTING:
                unfinished_remove(stores, work.inputs)


def unfinished_remove(stores: Stores, inputs: SealInputs) -> None:
    """Remove from folders what copies of a sector that failed or were killed take there.

    An upload to a bucket goes on with its parts.  A removal may take long; no other waits for one that hangs.
    """
    for one in stores.attached():
        if not one.is_bucket and one.is_here:
            with suppress(OSError, BadMark):
                _unfinished_remove(one, inputs)


def _unfinished_remove(one: Attachment, inputs: SealInputs) -> None:
    """Raise StoreAway, BadMark, OSError."""
    sector: dict[str, Any] = {"miner_id": inputs.miner_id, "number": inputs.number}
    parameters = seal_parameters(inputs.seal_proof)
    answered(
        one.path,
        lambda _: one.require().unfinished_remove(parameters, **sector, is_update=inputs.is_update),
        patience_s=COPY_S,
        what="remove half copies",
    )


def _has_replica(one: Attachment, inputs: SealInputs, others: Sequence[Path]) -> bool:
    """Return whether a store has the replica that a stage needs: the updated one once it has been stored.

    Raises OSError, BadMark where it cannot be read.
    """
    is_new = inputs.is_update and inputs.stage in (SnapStage.KEY_CLEAR, *UNSEAL_STAGES)
    comm_r = required(inputs.comm_r_new if is_new else inputs.comm_r, "comm_r")
    parameters = seal_parameters(inputs.seal_proof)

    def has(store: Store) -> bool:
        named = {"miner_id": inputs.miner_id, "number": inputs.number}
        files = whole_files(store, others, parameters, **named, comm_r=comm_r)
        return files.comm_r == comm_r and files.sealed.exists()

    return one.read(has)


def stored_in_time(
    one: Attachment, files: SectorFiles, *, miner_id: int, number: int, is_update: bool
) -> None:
    """Copy a sector into a store that must not stand still over it.  Raises StoreAway, OSError."""
    answered(
        one.path,
        lambda beat: one.require().persist(
            files, miner_id=miner_id, number=number, is_update=is_update, beat=beat
        ),
        patience_s=COPY_S,
        what=f"copy {files.sealed}",  # the sealing disk may be what hangs: the store is still looked at
    )


def _is_stores_fault(one: Attachment, error: OSError) -> bool:
    """Return whether a copy failed for its target, not for what was to be copied."""
    if isinstance(error, StoreAway | DamagedCopy) or error.errno in (*FULL_ERRORS, errno.EROFS):
        return True
    if isinstance(error, TruncatedFile | DamagedFile | FileNotFoundError):
        return not one.is_here
    try:
        return answered(one.path, lambda _: write_fault(one.store.root)) != 0
    except OSError:
        return True


def _note(note: Path, one: Attachment) -> None:
    """Write which store a sector is put into, where a kill leaves it."""
    outputs = StageOutputs(store=one.name, store_uid=one.uid)
    write_file(note, json.dumps(document_encode(outputs)).encode())


def _noted(note: Path) -> StageOutputs:
    """Return what names the store that a sector was put into, if it was."""
    try:
        outputs: StageOutputs = document_decode(StageOutputs, json.loads(note.read_text()))
    except (FileNotFoundError, ValueError, BadWire):
        return StageOutputs()
    return outputs


def sector_files_remove(files: SectorFiles) -> None:
    """Remove a sector's replica and cache folder."""
    # Beside the cache folder lie its checksums and what was put aside; the dot keeps sector 50 out of 5.
    for path in (files.cache, *files.cache.parent.glob(f"{files.cache.name}.*")):
        path_remove(path)
    files.sealed.unlink(missing_ok=True)
