"""A host that stores a sealed sector."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from poolsite.filecoin.porep.parameters import seal_parameters
from poolsite.wire.job_inputs import SealInputs
from poolsite.wire.job_reports import StageOutputs
from workers.agent.journal import Failure, Work, journal_open
from workers.agent.stages import StageRunner
from workers.storage import store
from workers.storage.checksums import Checksums, file_digest
from workers.storage.stores import Stores

PROOF = 5

GIVEN = SealInputs(
    miner_id=1000, number=7, seal_proof=PROOF, sector_size=2048, state="COMMIT_LANDED", stage="FINALIZE"
)


class Host:
    """A sealing host with the stores a and b; sector 7 lies in its sealing folder as it was sealed."""

    def __init__(self, folder: Path, *roots: Path) -> None:
        self.folder = folder
        self.roots = roots or (folder / "a", folder / "b")
        self.stores = Stores(folder / "worker", self.roots)
        self.stores.open()
        journal_open(folder / "worker")
        self.runner = StageRunner(folder=folder / "worker", stores=self.stores, pool=None)  # type: ignore[arg-type]  # no kernels
        self.files = self.runner.paths("job", GIVEN).files
        self.files.sealed.write_bytes(bytes(range(256)) * 8)
        self.files.p_aux.write_bytes(bytes(32) + bytes([1]) * 31 + b"\0")
        self.files.t_aux.write_bytes(b"t")
        self.files.tree_r_last(0).write_bytes(bytes(32 * self.files.tree_r_last_nodes))
        known = (self.files.sealed, self.files.p_aux, self.files.tree_r_last(0))
        Checksums(self.files.cache).record_all({path: file_digest(path) for path in known})

    def run(self, stage: str = "FINALIZE", *, token: int = 1) -> StageOutputs | Failure:
        work = Work(token=token, inputs=replace(GIVEN, stage=stage))
        self.runner.journal.work_write("job", work)
        self.runner.run("job")
        failure = self.runner.journal.failure_read("job", work.id, token=token)
        outputs = self.runner.journal.outputs_read("job", work.id)
        found = outputs or failure
        assert found is not None
        return found

    def stored_in(self, name: str) -> bool:
        """Whether a store has the sector whole."""
        root = next(root for root in self.roots if root.name == name)
        kept = seal_parameters(PROOF)
        there = store.Store(root).files(kept, miner_id=1000, number=7)
        return (
            there.comm_r is not None
            and there.sealed.read_bytes() == bytes(range(256)) * 8
            and there.tree_r_last(0).exists()
        )

    def persist_in(self, name: str) -> None:
        one = next(one for one in self.stores.attached() if one.path.endswith(name))
        one.store.persist(self.files, miner_id=1000, number=7)
