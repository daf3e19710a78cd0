"""A sector's end by damocles' command line: terminated on a chain, its files removed once that is final."""

from __future__ import annotations

import pytest
from django.test import Client

from apps.chain.selectors.network import network_current
from apps.miners.models import Miner
from apps.sectors.models import Sector, WorkerCommand
from apps.users.models import AuditEntry
from tests.integration.sealing.world import PERIOD, World, fresh
from tests.people import token
from tests.unit.apps.api.rpc.damocles_line import Line, named

pytestmark = pytest.mark.xdist_group("lone")  # one worker seals the sector


def test_a_sector_is_terminated_and_removed(world: World, lone: tuple[Miner, Sector]) -> None:
    _, sector = lone
    line, name = Line(Client(), token("sign", of="alice")), named(sector)
    assert line.answer("RemoveSector", name)["error"]["message"] == "it is still live on chain"

    assert line.call("TerminateSector", name) == {"Res": 1, "Desc": None}
    assert line.call("TerminateSector", name) == {"Res": 2, "Desc": "duplicate submit"}
    told = line.call("PollTerminateSectorState", name)
    assert (told["TerminatedAt"], told["AddedHeight"] > 0) == (0, True)
    world.until(lambda: fresh(sector).state == "TERMINATED", epochs=PERIOD)

    told = line.call("PollTerminateSectorState", name)
    found = world.ask("StateSearchMsg", [], told["TerminateCid"], -1, True)
    assert found["Receipt"]["ExitCode"] == 0
    assert told["TerminatedAt"] == found["Height"] - 1, "the next tipset tells what came of it"
    assert "already terminated" in line.answer("TerminateSector", name)["error"]["message"]
    final = told["TerminatedAt"] + network_current().chain_finality
    refused = line.answer("RemoveSector", name)["error"]
    assert (refused["code"], refused["message"]) == (1, f"its termination is final at epoch {final}")
    world.epoch(final - world.height)

    answer = line.answer("RemoveSector", name)

    assert "result" not in answer
    assert "error" not in answer
    assert WorkerCommand.objects.filter(op="remove", done_at=None).exists()
    lines = AuditEntry.objects.filter(action__in=("sector.terminate", "sector.remove-files"))
    assert sorted(lines.values_list("action", flat=True)) == ["sector.remove-files", "sector.terminate"]
