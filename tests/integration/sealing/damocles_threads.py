"""Threads of a damocles-worker with the plans `snapup`, `rebuild` and `unseal`, with the pool's own kernels.

The order, forms and reactions are those of damocles-worker/src/sealing/sealing_thread/planner/snapup.rs,
rebuild.rs and unseal.rs.
"""

from __future__ import annotations

import base64
import shutil
from typing import Any

from django.test import Client
from msgspec.structs import replace

from poolsite.filecoin.porep.parameters import seal_parameters
from poolsite.filecoin.sha254 import sha254_zero
from poolsite.wire.job_inputs import SealInputs
from poolsite.wire.pipeline import RebuildState, UnsealStage
from tests.integration.sealing.damocles_worker import DamoclesWorker
from tests.people import bearer
from workers.agent.paths import SealingPaths, sealing_paths
from workers.storage.sector import SectorFiles

SPEC: dict[str, Any] = {"AllowedMiners": [], "AllowedProofTypes": [0, 5]}


def inputs_of(sector: dict[str, Any], **known: Any) -> SealInputs:
    """What an AllocatedSector says."""
    return SealInputs(
        miner_id=sector["ID"]["Miner"],
        number=sector["ID"]["Number"],
        seal_proof=sector["ProofType"],
        sector_size=seal_parameters(sector["ProofType"]).sector_bytes,
        **({"state": "", "stage": ""} | known),
    )


class Thread(DamoclesWorker):
    """What the three have in common."""

    def known(self) -> SealInputs:
        """Return what it knows of its sector."""
        assert self.inputs is not None
        return self.inputs

    def persisted(self, files: SectorFiles, *, is_update: bool) -> bool:
        """Put files into the store that it is given room in."""
        inputs, name = self.known(), self.world.store.name()
        found = self.call("StoreReserveSpace", self.sector["ID"], 2 * inputs.sector_size, [name])
        if found is None:
            return False
        assert found["Name"] == name
        where: dict[str, Any] = {"miner_id": inputs.miner_id, "number": inputs.number}
        self.world.store.persist(files, **where, is_update=is_update)
        return True

    def waits(self, method: str, *params: Any) -> Any:
        """Call a method that may be too early; gives its result, or None where it is."""
        answer = self.answer(method, *params)
        if "error" in answer:
            assert answer["error"]["code"] == 1, answer
            self.errors.append(answer["error"]["message"])
            told = f"rpc error: Server returned rpc error Server error: {self.errors[-1]}"
            self.report(self.state, self.state, "Persist", {"Level": "Temporary", "Desc": told})
            return None
        return answer["result"]

    def is_finished(self) -> bool:
        """Say that it is done, and wipe its folder."""
        self.go("Finished", "Finish")
        assert self.call("ReportFinalized", self.sector["ID"]) is None
        shutil.rmtree(self.folder, ignore_errors=True)
        return True

    def do_allocated(self) -> bool:
        self.add_pieces()
        self.go("PieceAdded", "AddPiece")
        return True


class OverSealed(Thread):
    """A thread that works on a sector whose sealed replica lies in the store."""

    def paths(self) -> SealingPaths:
        """It reads the sealed replica in the store."""
        return sealing_paths(self.folder, self.folder, store=self.world.store, inputs=self.known())


class SnapUp(OverSealed):
    """A thread that puts data into committed sectors."""

    def do_empty(self) -> bool:
        deals = {"MaxDeals": None, "MinUsedSpace": None}
        found = self.call("AllocateSanpUpSector", {"Sector": SPEC, "Deals": deals})
        if found is None:
            return False
        assert found["Private"]["AccessInstance"] == self.world.store.name()
        self.sector, self.deals = found["Sector"], found["Pieces"]
        pieces, old = tuple(map(self.piece_of, self.deals)), bytes(found["Public"]["CommR"])
        inputs = inputs_of(self.sector, pieces=pieces, comm_r=old, is_update=True)
        self.inputs = replace(inputs, comm_d=sha254_zero(inputs.sector_size))
        self.state = "Allocated"
        return True

    def do_pieceadded(self) -> bool:
        self.go("TreeDBuilt", "BuildTreeD")
        return True

    def do_treedbuilt(self) -> bool:
        made = self.run("snap_encode")
        self.inputs = replace(self.known(), comm_r_new=made.comm_r_new, comm_d_new=made.comm_d_new)
        self.go("SnapEncoded", "SnapEncode")
        return True

    def do_snapencoded(self) -> bool:
        self.proof = self.run("snap_prove").proof or b""
        self.go("SnapProved", "SnapProve")
        return True

    def do_snapproved(self) -> bool:
        if not self.persisted(self.paths().files, is_update=True):
            return False
        self.state = "Persisted"
        return True

    def submission(self) -> dict[str, Any]:
        """What SubmitSnapUpProof carries."""
        inputs = self.known()
        return {
            "CommR": [*(inputs.comm_r_new or b"")],
            "CommD": [*(inputs.comm_d_new or b"")],
            "AccessInstance": self.world.store.name(),
            "Pieces": [one["Piece"]["PieceCID"] for one in self.deals],
            "Proof": base64.b64encode(self.proof).decode(),
        }

    def do_persisted(self) -> bool:
        found = self.waits("SubmitSnapUpProof", self.sector["ID"], self.submission())
        if found is None:
            return False
        if found["Res"] == 5:
            self.go("SnapProved", "RePersist")
            return True
        return self.is_finished() if found["Res"] in (1, 2) else self.fails(found)


class Rebuild(Thread):
    """A thread that makes lost replicas again."""

    zeros_r = b""
    """comm_r of the replica of zeros, of an updated sector."""

    def do_empty(self) -> bool:
        found = self.call("AllocateRebuildSector", SPEC)
        if found is None:
            return False
        assert found["Pieces"] is None
        self.sector, self.deals = found["Sector"], found["PiecesV2"] or []
        assert found["IsSnapUp"] == (found["UpgradePublic"] is not None)
        self.zeros_r = bytes(found["UpgradePublic"]["CommR"]) if found["IsSnapUp"] else b""
        ticket = base64.b64decode(found["Ticket"]["Ticket"])
        inputs = inputs_of(self.sector, ticket=ticket, ticket_epoch=found["Ticket"]["Epoch"])
        pieces = () if self.zeros_r else tuple(map(self.piece_of, self.deals))
        self.inputs = replace(inputs, state=RebuildState.LOST, pieces=pieces)
        self.state = "Allocated"
        return True

    def do_pieceadded(self) -> bool:
        self.run("tree_d")
        self.go("TreeDBuilt", "BuildTreeD")
        return True

    def do_treedbuilt(self) -> bool:
        self.run("pc1")
        self.go("PC1Done", "PC1")
        return True

    def do_pc1done(self) -> bool:
        made = self.run("pc2")
        self.inputs = replace(self.known(), comm_r=made.comm_r, comm_d=made.comm_d)
        self.go("PC2Done", "PC2")
        return True

    def do_pc2done(self) -> bool:
        self.go("SealedChecked", "CheckSealed")
        return True

    def do_sealedchecked(self) -> bool:
        if self.zeros_r:
            assert self.known().comm_r == self.zeros_r
            pieces = tuple(map(self.piece_of, self.deals))
            self.inputs = replace(self.known(), pieces=pieces, is_update=True)
            self.add_pieces()
            self.run("snap_encode")
        self.go("SnapDone", "SkipSnap")
        return True

    def do_snapdone(self) -> bool:
        if not self.persisted(self.paths().files, is_update=bool(self.zeros_r)):
            return False
        self.state = "Persisted"
        return True

    def do_persisted(self) -> bool:
        name = self.world.store.name()
        found = self.waits("SubmitPersistedEx", self.sector["ID"], name, bool(self.zeros_r))
        if found is None:
            return False
        return self.is_finished() if found else self.fails({"persisted": found})


class Unseal(OverSealed):
    """A thread that unseals pieces."""

    def do_empty(self) -> bool:
        found = self.call("AllocateUnsealSector", SPEC)
        if found is None:
            return False
        assert found["PrivateInfo"] == {"AccessInstance": self.world.store.name()}
        self.sector, self.piece = found["Sector"], found["PieceCid"]
        self.inputs = inputs_of(
            self.sector,
            stage=UnsealStage.UNSEAL,
            ticket=base64.b64decode(found["Ticket"]["Ticket"]),
            comm_d=bytes(found["CommD"]),
            offset=found["Offset"],
            num_bytes=found["Size"],
        )
        self.state = "Allocated"
        return True

    def do_allocated(self) -> bool:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.run("unseal")
        self.go("Unsealed", "Unsealed")
        return True

    def upload(self, data: bytes, *, token: str = "") -> int:
        """Bring bytes as to the manager's piece store; gives the status of the answer."""
        path, headers = f"/piecestore/{self.piece['/']}", bearer(token or self.token)
        return Client().put(path, data, content_type="", headers=headers).status_code

    def do_unsealed(self) -> bool:
        places = self.call("AcquireUnsealDest", self.sector["ID"], self.piece)
        if places:
            assert places == [f"store:///{self.piece['/']}"]
            assert self.upload(self.paths().unsealed.read_bytes()) == 204
        assert self.call("AchieveUnsealSector", self.sector["ID"], self.piece, "") is None
        return self.is_finished()
