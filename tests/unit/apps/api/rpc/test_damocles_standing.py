"""What damocles' command line asks of workers, settings and sectors that could be proved; one's own alone."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from apps.chain.selectors.network import network_current
from apps.core import clock
from apps.miners.models import Miner
from apps.sectors.models import Sector, SectorCopy, Store
from poolsite.filecoin.cids import cid_to_json, commr_cid
from tests import factories, people
from tests.unit.apps.api.rpc.damocles_line import Line

pytestmark = pytest.mark.django_db

COMM_R = bytes([9]) * 31 + b"\0"


@pytest.fixture
def line(client: Client) -> Line:
    return Line(client, people.token("read", of="alice"))


@pytest.fixture
def miner() -> Miner:
    factories.network()
    factories.head(1000)
    return factories.miner(2001, of="alice")


def test_workers_are_shown_as_they_pinged_last(client: Client, line: Line) -> None:
    summary = {"Threads": 3, "Empty": 1, "Paused": 0, "Running": 2, "Waiting": 0, "Errors": 1}
    ping = {"Name": "w1", "Dest": "10.0.0.1:17890", "Version": "v0.13.1", "Summary": summary}
    Line(client, people.token("write", of="alice", scopes=["sealer"])).call("WorkerPing", ping)
    factories.worker("sealer-1", of="alice")

    found = line.call("WorkerGetPingInfo", "w1")

    assert (found["Info"]["Name"], found["Info"]["Dest"]) == ("w1", "10.0.0.1:17890")
    assert found["Info"]["Summary"] == summary
    assert abs(found["LastPing"] - clock.now().timestamp()) < 600
    assert line.call("WorkerPingInfoList") == [found], "hosts of the pool's own ping otherwise"
    assert line.call("WorkerGetPingInfo", "w2") is None
    assert Line(client, people.token("read", of="bob")).call("WorkerPingInfoList") == []


def proving(miner: Miner, number: int, **data: Any) -> Sector:
    return factories.sector(miner, number=number, state="PROVING", comm_r=COMM_R, **data)


def copied(sector: Sector, condition: str) -> None:
    store = Store.objects.get(name=sector.store)
    SectorCopy.objects.create(sector=sector, store=store, condition=condition, found_at=clock.now())


def asked(*numbers: int, comm_r: bytes = COMM_R) -> list[dict[str, Any]]:
    cid = cid_to_json(commr_cid(comm_r))
    return [{"SealProof": 5, "SectorNumber": one, "SectorKey": None, "SealedCID": cid} for one in numbers]


def test_sectors_that_could_not_be_proved_are_named_with_why(
    client: Client, line: Line, miner: Miner
) -> None:
    factories.store(factories.worker("prover-1", of="alice", kinds=["window_post"]), "cold")
    factories.store(factories.worker("sealer-1", of="alice"), "warm")
    copied(proving(miner, 1, store="cold"), "GOOD")
    copied(proving(miner, 2, store="cold"), "BAD")
    proving(miner, 3, store="cold")
    proving(miner, 4, store="warm")
    proving(miner, 5)
    factories.sector(miner, number=6, state="PC1_DONE")
    every = asked(1, 2, 3, 4, 5, 6, 7)

    plain = line.call("CheckProvable", 2001, 10, every, False, True)
    strict = line.call("CheckProvable", 2001, "StackedDrgWindow2KiBV1_2", every, True)

    assert set(plain) == {"2", "4", "5", "6", "7"}
    assert ("warm" in plain["4"], "pc1_done" in plain["6"], plain["7"]) == (
        True,
        True,
        "sector state not found",
    )
    assert set(strict) == {*plain, "3"}, "nobody has looked at its files"
    other = asked(1, comm_r=bytes([8]) * 31 + b"\0")
    assert "comm_r" in line.call("CheckProvable", 2001, 10, other, False, True)["1"]
    assert line.call("CheckProvable", 2001, 10, other, False, False) == {}
    assert Line(client, people.token("read", of="bob")).code("CheckProvable", 2001, 10, every, False) == 1


def test_a_whole_partition_is_asked_for_at_once(line: Line, miner: Miner) -> None:
    proving(miner, 2349)

    found = line.call("CheckProvable", 2001, 10, asked(*range(1, 2350)), False)

    assert (len(found), found["2349"]) == (2349, "no store has its files")


def test_a_miners_settings_are_shown_in_the_managers_words(client: Client, line: Line, miner: Miner) -> None:
    headers = people.bearer(people.token("sign", of="alice"))
    body = {"precommit_batch_max": 17, "precommit_wait_epochs": 240, "send_funds": False}
    path = "/api/v1/miners/f02001/batches"
    sent = client.patch(path, body, content_type="application/json", headers=headers)
    assert sent.status_code == 200, sent.content

    found = line.call("GetMinerConfig", 2001)

    pre = found["Commitment"]["Pre"]
    epoch_s = 240 * network_current().epoch_s
    hours, minutes, seconds = epoch_s // 3600, epoch_s % 3600 // 60, epoch_s % 60
    parts = f"{hours}h{minutes}m{seconds}s" if hours else f"{minutes}m{seconds}s"
    assert (found["Actor"], pre["Batch"]["Threshold"], pre["Batch"]["MaxWait"]) == (2001, 17, parts)
    assert (pre["SendFund"], pre["Senders"][-1]) == (False, miner.owner)
    assert Line(client, people.token("read", of="bob")).code("GetMinerConfig", 2001) == 1
