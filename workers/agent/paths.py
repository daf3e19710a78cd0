"""Where a job's files lie on this host: the sealing folder, the store, the journal's folder of the job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from poolsite.filecoin.porep.parameters import ChallengeRule, seal_parameters
from poolsite.wire.pipeline import REBUILDING, UNSEAL_STAGES, Stage
from workers.processors.errors import BadInput
from workers.storage.parts import with_cache
from workers.storage.sector import SectorFiles, sector_name

if TYPE_CHECKING:
    from poolsite.filecoin.porep.parameters import SealParameters
    from poolsite.wire.job_inputs import Piece, SealInputs
    from workers.storage.store import Store

REBUILD_STATES: Final = frozenset(spec.state for spec in REBUILDING)


@dataclass(frozen=True, slots=True)
class SealingPaths:
    """Where one sector is sealed on this host."""

    parameters: SealParameters
    files: SectorFiles
    key: SectorFiles
    """Of an update: the replica that data are encoded into; otherwise `files`."""
    staged: Path
    job: Path
    """The journal's folder of the sector's job."""

    @property
    def pc1_output(self) -> Path:
        """Return what PC1 gave, for PC2."""
        return self.job / "pc1.json"

    @property
    def unsealed(self) -> Path:
        """The bytes that were unsealed, until the console has them."""
        return self.job / "unsealed"

    @property
    def ticket_mark(self) -> Path:
        """The ticket that the labels in the cache folder were made with."""
        return self.job / "ticket"

    def piece(self, piece: Piece) -> Path:
        """Return the file of a piece's raw bytes, while they are put in."""
        return self.job / f"piece-{piece.comm_p.hex()}"

    def c1_output(self, inputs: SealInputs) -> Path:
        """Return the file of the vanilla proofs for the sector's seed.  Raises BadInput."""
        return self.job / f"c1-{required(inputs.seed, 'seed').hex()[:16]}.json"


def sealing_paths(
    root: Path, job: Path, *, store: Store | None, inputs: SealInputs, others: Sequence[Path] = ()
) -> SealingPaths:
    """Return where a stage's files lie: of unsealing in the sector's store, otherwise below `root`.

    A cache that the store lacks is that of one of the `others`.
    Without a store for what begins at one that has the sector; the others need none.
    """
    parameters, number = seal_parameters(inputs.seal_proof), inputs.number
    name = sector_name(inputs.miner_id, number)
    plain = SectorFiles(parameters, root / "cache" / name, root / "sealed" / name)
    updated = SectorFiles(parameters, root / "update-cache" / name, root / "update" / name)
    stored = plain
    if store is not None:
        stored = with_cache(store.files(parameters, miner_id=inputs.miner_id, number=number), others)
    if inputs.stage in UNSEAL_STAGES:
        files = stored
        if inputs.is_update and store is not None:
            files = with_cache(
                store.updated_files(parameters, miner_id=inputs.miner_id, number=number), others
            )
        return SealingPaths(parameters, files, key=stored, staged=files.sealed, job=job)
    if not inputs.is_update:
        return SealingPaths(parameters, plain, key=plain, staged=root / "unsealed" / name, job=job)
    key = plain if inputs.state in REBUILD_STATES else stored
    return SealingPaths(parameters, updated, key=key, staged=root / "update-unsealed" / name, job=job)


def is_guest(inputs: SealInputs) -> bool:
    """Return whether a stage is done here for a sector whose files lie on another host."""
    return inputs.c1_travels and inputs.stage == Stage.C2


def is_synthetic(inputs: SealInputs, paths: SealingPaths) -> bool:
    """Return whether the sector's vanilla proofs are all made before its seed is known."""
    is_first = not inputs.is_update and inputs.state not in REBUILD_STATES
    return is_first and paths.parameters.rule is ChallengeRule.SYNTHETIC


def required(value: bytes | None, name: str) -> bytes:
    """Return an input that the stage cannot do without.  Raises BadInput."""
    if value is None:
        raise BadInput(f"the console did not send {name}")
    return value
