"""A client that does what a damocles-worker's planner does, call by call, with the pool's own kernels.

The order, forms and reactions are those of damocles-worker/src/sealing/sealing_thread/planner/sealer.rs.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from django.test import Client
from msgspec.structs import replace

from poolsite.filecoin.cids import cid_parse, commd_cid
from poolsite.filecoin.porep.parameters import seal_parameters
from poolsite.wire.job_inputs import Piece, SealInputs
from tests import people
from tests.integration.sealing.world import World
from workers.agent.paths import SealingPaths, sealing_paths
from workers.agent.task_fields import outputs_of, task_of
from workers.processors import pc1_output
from workers.processors.post_tasks import Replica, WindowPostTask
from workers.storage.files import write_file

NAME = "damocles-1"


class DamoclesWorker:
    """One sealing thread; `state` is what its own database keeps."""

    enable_deals = True
    """Of its settings; without it a worker asks for no pieces."""

    def __init__(self, world: World, token: str, *, name: str = NAME, location: str = "/mnt/nvme1") -> None:
        self.world, self.token, self.name, self.location = world, token, name, location
        self.folder: Path = world.folder / "damocles" / location.strip("/").replace("/", "-")
        self.state = "Empty"
        self.sector: dict[str, Any] = {}
        self.inputs: SealInputs | None = None
        self.deals: list[dict[str, Any]] = []
        self.ticket: dict[str, Any] = {}
        self.proof = b""
        self.resubmits = False
        self.errors: list[str] = []
        self.calls = 0

    # The line to the manager

    def answer(self, method: str, *params: Any) -> Any:
        """Call a method; gives the whole answer."""
        self.calls += 1
        body = json.dumps({"jsonrpc": "2.0", "id": self.calls, "method": f"Venus.{method}", "params": params})
        headers = people.bearer(self.token)
        return Client().post("/rpc/v0", body, content_type="application/json", headers=headers).json()

    def call(self, method: str, *params: Any) -> Any:
        """Call a method; gives its result."""
        answer = self.answer(method, *params)
        assert "error" not in answer, (method, answer)
        return answer["result"]

    def ping(self) -> None:
        """Say that it lives."""
        summary = {"Threads": 1, "Empty": 0, "Paused": 0, "Running": 1, "Waiting": 0, "Errors": 0}
        info = {"Name": self.name, "Dest": "127.0.0.1:17890", "Version": "v0.13.1", "Summary": summary}
        assert self.call("WorkerPing", info) is None

    def go(self, state: str, event: str, failure: dict[str, str] | None = None) -> dict[str, Any]:
        """Come into a state and report it."""
        before, self.state = self.state, state
        return self.report(before, state, event, failure)

    def report(
        self, before: str, state: str, event: str, failure: dict[str, str] | None = None
    ) -> dict[str, Any]:
        """Report a step."""
        told = {
            "Worker": {"Instance": self.name, "Location": self.location},
            "StateChange": {"Prev": before, "Next": state, "Event": event},
            "Failure": failure,
        }
        found: dict[str, Any] = self.call("ReportState", self.sector["ID"], told)
        return found

    # The kernels

    def run(self, task: str, **known: Any) -> Any:
        """Run a stage over what the worker knows by now."""
        assert self.inputs is not None
        self.inputs = replace(self.inputs, **known)
        paths = self.paths()
        for folder in (paths.files.cache, paths.files.sealed.parent, paths.staged.parent):
            folder.mkdir(parents=True, exist_ok=True)
        output = self.world.pool.call(task, task_of(task, self.inputs, paths))
        if task == "pc1":
            write_file(paths.pc1_output, json.dumps(pc1_output.output_value(output)).encode())
        return output if task == "snap_encode" else outputs_of(output)

    def paths(self) -> SealingPaths:
        """Where its files lie."""
        assert self.inputs is not None
        return sealing_paths(self.folder, self.folder, store=None, inputs=self.inputs)

    # Its plan

    def step(self) -> bool:
        """Do what comes next; False while it waits."""
        return bool(getattr(self, f"do_{self.state.lower()}")())

    def work(self, until: str = "") -> None:
        """Go on until it waits, or is in a state."""
        while self.state != until and self.step():
            pass

    def do_empty(self) -> bool:
        found = self.call("AllocateSector", {"AllowedMiners": [], "AllowedProofTypes": []})
        if found is None:
            return False
        self.sector = found
        number, miner = found["ID"]["Number"], found["ID"]["Miner"]
        size = seal_parameters(found["ProofType"]).sector_bytes
        self.inputs = SealInputs(
            miner_id=miner,
            number=number,
            seal_proof=found["ProofType"],
            sector_size=size,
            state="",
            stage="",
        )
        self.go("Allocated", "Allocate")
        return True

    def do_allocated(self) -> bool:
        spec = {"MaxDeals": None, "MinUsedSpace": None}
        found = self.call("AcquireDeals", self.sector["ID"], spec) if self.enable_deals else None
        self.deals = found or []
        if self.go("DealsAcquired", "AcquireDealsV2")["Finalized"]:
            self.state = "Empty"
        return self.state != "Empty"

    def do_dealsacquired(self) -> bool:
        assert self.inputs is not None
        pieces = tuple(map(self.piece_of, self.deals))
        self.inputs = replace(self.inputs, pieces=pieces)
        self.add_pieces()
        self.go("PieceAdded", "AddPiece")
        return True

    def add_pieces(self) -> None:
        """Fetch the bytes and put them in."""
        assert self.inputs is not None
        for piece in self.inputs.pieces:
            if piece.payload_size:
                path = self.paths().piece(piece)
                path.parent.mkdir(parents=True, exist_ok=True)
                write_file(path, self.fetched(str(commd_cid(piece.comm_p))))
        self.run("add_piece")

    def piece_of(self, deal: dict[str, Any]) -> Piece:
        """Read a SectorPieceV2 as the worker does: what has no number is zeros."""
        info = deal["DealInfo"]
        number = info["DealID"] if info["IsBuiltinMarket"] else info["AllocationID"]
        comm_p = cid_parse(deal["Piece"]["PieceCID"]["/"]).digest
        payload = info["PayloadSize"] if number else 0
        return Piece(size=deal["Piece"]["Size"], comm_p=comm_p, payload_size=payload)

    def fetched(self, cid: str) -> bytes:
        """Fetch a piece: without a token, and with it where that sends to."""
        client = Client()
        sent = client.get(f"/piecestore/{cid}")
        assert sent.status_code == 302, sent.content
        assert client.get(sent["Location"]).status_code == 401
        found = client.get(sent["Location"], headers=people.bearer(self.token))
        assert found.status_code == 200, found.content
        return b"".join(found.streaming_content)  # type: ignore[attr-defined]

    def do_pieceadded(self) -> bool:
        self.run("tree_d")
        self.go("TreeDBuilt", "BuildTreeD")
        return True

    def do_treedbuilt(self) -> bool:
        self.go("TicketAssigned", "AssignTicket")
        return True

    def do_ticketassigned(self) -> bool:
        self.ticket = self.call("AssignTicket", self.sector["ID"])
        ticket = base64.b64decode(self.ticket["Ticket"])
        self.run("pc1", ticket=ticket, ticket_epoch=self.ticket["Epoch"])
        self.go("PC1Done", "PC1")
        return True

    def do_pc1done(self) -> bool:
        outputs = self.run("pc2")
        assert self.inputs is not None
        self.inputs = replace(self.inputs, comm_r=outputs.comm_r, comm_d=outputs.comm_d)
        self.go("PC2Done", "PC2")
        return True

    def precommit(self) -> dict[str, Any]:
        """What SubmitPreCommit carries."""
        assert self.inputs is not None
        assert self.inputs.comm_r is not None
        assert self.inputs.comm_d is not None
        return {"CommR": [*self.inputs.comm_r], "CommD": [*self.inputs.comm_d], "Ticket": self.ticket}

    def do_pc2done(self) -> bool:
        found = self.call("SubmitPreCommit", self.sector, self.precommit(), self.resubmits)
        if found["Res"] not in (1, 2):
            return self.fails(found)
        self.go("PCSubmitted", "SubmitPC")
        return True

    def do_pcsubmitted(self) -> bool:
        found = self.call("PollPreCommitState", self.sector["ID"])
        if found["State"] in (1, 2):
            return False
        if found["State"] != 3:
            return self.fails(found)
        self.go("PCLanded", "CheckPC")
        return True

    def do_pclanded(self) -> bool:
        assert self.inputs is not None
        paths = self.paths()
        name = self.world.store.name()
        found = self.call("StoreReserveSpace", self.sector["ID"], 2 * self.inputs.sector_size, [name])
        if found is None:
            return False
        assert found["Name"] == name
        where: dict[str, Any] = {"miner_id": self.inputs.miner_id, "number": self.inputs.number}
        self.world.store.persist(paths.files, **where)
        self.go("Persisted", "Persist")
        return True

    def do_persisted(self) -> bool:
        assert self.call("SubmitPersistedEx", self.sector["ID"], self.world.store.name(), False) is True
        self.go("PersistanceSubmitted", "SubmitPersistance")
        return True

    def do_persistancesubmitted(self) -> bool:
        found = self.call("WaitSeed", self.sector["ID"], self.sector["ProofType"])
        if found["ShouldWait"]:
            assert found["Delay"] > 0
            assert found["Seed"] is None
            return False
        seed = base64.b64decode(found["Seed"]["Seed"])
        assert self.inputs is not None
        self.inputs = replace(self.inputs, seed=seed, seed_epoch=found["Seed"]["Epoch"])
        self.go("SeedAssigned", "AssignSeed")
        return True

    def do_seedassigned(self) -> bool:
        self.run("c1")
        self.go("C1Done", "C1")
        return True

    def do_c1done(self) -> bool:
        self.proof = self.run("c2").proof or b""
        self.go("C2Done", "C2")
        return True

    def do_c2done(self) -> bool:
        proof = {"Proof": base64.b64encode(self.proof).decode()}
        found = self.call("SubmitProof", self.sector["ID"], proof, self.resubmits)
        if found["Res"] not in (1, 2):
            return self.fails(found)
        self.go("ProofSubmitted", "SubmitProof")
        return True

    def do_proofsubmitted(self) -> bool:
        found = self.call("PollProofState", self.sector["ID"])
        if found["State"] in (1, 2):
            return False
        if found["State"] != 3:
            return self.fails(found)
        assert self.call("ReportFinalized", self.sector["ID"]) is None
        self.state = "Finished"
        return True

    def do_finished(self) -> bool:
        return False

    def fails(self, found: dict[str, Any]) -> bool:
        """Stop, as a thread that waits for somebody does."""
        self.errors.append(f"{found}")
        return False

    # The plan wdpost

    def prove_windows(self) -> int:
        """Prove what is due, by the files that the answer names; gives how many proofs it sent."""
        spec = {"AllowedMiners": None, "AllowedProofTypes": ["StackedDrgWindow2KiBV1_2"]}
        jobs = self.call("WdPoStAllocateJobs", spec, 1, self.name)
        for job in jobs:
            assert self.call("WdPoStHeartbeatJobs", [job["Id"]], self.name) is None
            output = self.world.pool.call("window_post", self.window_task(job["Input"]))
            proofs = [base64.b64encode(bytes(one)).decode() for one in output.proofs]
            told = {"proofs": proofs, "faults": [*output.faults]}
            assert self.call("WdPoStFinishJob", job["Id"], told, "") is None
        return len(jobs)

    def window_task(self, asked: dict[str, Any]) -> WindowPostTask:
        """Return the task of a proof; stores are found by their names."""
        assert asked["ProofType"] == "StackedDrgWindow2KiBV1_2"
        replicas = []
        for sector in asked["Sectors"]:
            number, store = sector["SectorId"], self.world.store
            assert sector["Accesses"] == {"SealedFile": store.name(), "CacheDir": store.name()}
            where = store.updated_files if sector["Upgrade"] else store.files
            files = where(seal_parameters(5), miner_id=asked["MinerId"], number=number)
            comm_r = bytes(sector["CommR"])
            replicas.append(Replica(number, comm_r, str(files.cache), str(files.sealed)))
        return WindowPostTask(asked["MinerId"], 10, tuple(replicas), bytes(asked["Seed"]))
