"""What a damocles-worker says, without a chain."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

from django.test import Client

from apps.miners.models import Miner
from apps.sectors.models import Job, Sector
from apps.sectors.rules.params import comm_d_of
from tests import factories, people

TICKET = bytes([7]) * 32
SPEC: dict[str, Any] = {"AllowedMiners": [], "AllowedProofTypes": None}


class Line:
    """A damocles-worker's way in."""

    def __init__(self, client: Client, token: str, *, address: str = "127.0.0.1") -> None:
        self.client, self.token, self.address = client, token, address

    def answer(self, method: str, *params: Any) -> dict[str, Any]:
        """Call a method; gives the whole answer."""
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": f"Venus.{method}", "params": params})
        sent = self.client.post(
            "/rpc/v0",
            body,
            content_type="application/json",
            headers=people.bearer(self.token),
            REMOTE_ADDR=self.address,
        )
        found: dict[str, Any] = sent.json()
        return found

    def call(self, method: str, *params: Any) -> Any:
        """Call a method; gives its result."""
        answer = self.answer(method, *params)
        assert "error" not in answer, answer
        return answer["result"]

    def code(self, method: str, *params: Any) -> int:
        """Call a method that is refused; gives the code."""
        return int(self.answer(method, *params)["error"]["code"])

    def report(self, sector: dict[str, Any], step: str, level: str = "", instance: str = "w1") -> Any:
        """Report a state."""
        told = {
            "Worker": {"Instance": instance, "Location": "/mnt/a"},
            "StateChange": {"Prev": "Empty", "Next": step, "Event": "X"},
            "Failure": {"Level": level, "Desc": "disk gone"} if level else None,
        }
        return self.call("ReportState", sector["ID"], told)


def named(sector: Sector) -> dict[str, int]:
    return {"Miner": sector.miner.actor_id or 0, "Number": sector.number}


def precommit(sector: Sector, comm_r: bytes = bytes([9]) * 32, ticket: bytes = TICKET) -> list[Any]:
    """What SubmitPreCommit takes."""
    given = {"Ticket": b64encode(ticket).decode(), "Epoch": 100}
    info = {"CommR": [*comm_r], "CommD": [*comm_d_of(sector)], "Ticket": given}
    return [{"ID": named(sector), "ProofType": sector.seal_proof}, info, False]


def ticketed(line: Line, miner: Miner) -> Sector:
    """A sector that a worker was given, and that has its ticket."""
    sector = factories.sector(miner)
    given = line.call("AllocateSector", SPEC)
    line.report(given, "TreeDBuilt")
    job = Job.objects.get(sector=sector)
    Sector.objects.filter(pk=sector.pk).update(state="TICKET_ASSIGNED", ticket=TICKET, ticket_epoch=100)
    Job.objects.filter(pk=job.pk).update(state="READY", stage="PC1", worker=None)
    sector.refresh_from_db()
    return sector
