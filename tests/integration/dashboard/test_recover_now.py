"""*Declare recovered now* of a deadline: on its page, over REST and as a command."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

import pytest
from django.test import Client
from django.urls import reverse

from apps.chain.errors import NodeUnavailable
from apps.messages.models import Message
from apps.miners.models import Miner
from apps.proving.models import Deadline, Partition, Recovery
from apps.proving.services.recoveries import recoveries_advance
from apps.proving.states import RecoveryState
from apps.users.models import AuditEntry
from poolsite.filecoin.policy import network_by_name
from poolsite.wire.jobs import JobKind
from tests import factories, people
from tests.page_client import signed_in
from tests.people import bearer, token
from tests.unit.apps.proving.chain import OneDeadline
from tests.unit.apps.proving.rescues import look
from tests.unit.apps.proving.retries import done

pytestmark = pytest.mark.django_db

PATH = "/api/v1/miners/f02001/deadlines/5/recover"


@pytest.fixture
def north(monkeypatch: pytest.MonkeyPatch) -> Miner:
    """A miner with two faulty sectors in deadline 5, whose files were found bad a moment ago."""
    people.person("ann")
    factories.head(962)
    worker = factories.wallet().address
    of = factories.miner(2001, of="alice", name="north", proving_period_start=960, worker=worker)
    row = factories.deadline(of, 5, live=3, faulty=2, open_epoch=1010, forecast="later")
    factories.partition(row, all_sectors=[1, 2, 3], live=[1, 2, 3], active=[3], faulty=[1, 2])
    factories.worker("p", kinds=[JobKind.WINDOW_POST], stores=["store-1"])
    chain = OneDeadline(partitions=[[1, 2, 3]])
    monkeypatch.setattr("apps.proving.tasks.chain_client", lambda: chain)
    monkeypatch.setattr("apps.proving.services.recoveries.proof_check", lambda _job: None)
    network = network_by_name("localnet-poolsite-test")
    monkeypatch.setattr("apps.proving.tasks.network_current", lambda: network)
    facts: dict[str, Any] = {"deadline_index": 5, "partition_index": 0, "open_epoch": 1010}
    Recovery.objects.create(
        miner=of,
        state=RecoveryState.FAILED,
        sectors=[1, 2],
        good=[1, 2],
        randomness=b"r" * 32,
        cutoff_epoch=row.cutoff_epoch,
        error="the files cannot be read",
        **facts,
    )
    return of


def push(client: Client, *, level: str = "sign", status: int = 201, **body: Any) -> Any:
    headers = bearer(token(level, of="alice"))
    answer = client.post(PATH, body, content_type="application/json", headers=headers)
    assert answer.status_code == status, answer.content
    return answer.json()


def open_recoveries() -> list[list[int]]:
    """The sectors of the recoveries that are under way."""
    rows = Recovery.objects.exclude(state=RecoveryState.FAILED).order_by("pk")
    return [row.sectors for row in rows]


def test_the_button_checks_at_once_and_what_is_good_is_declared(north: Miner) -> None:
    ann, href = signed_in("ann"), reverse("proving-deadline", args=[north.address, 5])
    assert "Declare recovered now" in ann.get(href).content.decode()

    assert ann.post(reverse("proving-recover", args=[north.address, 5])).status_code == 302

    row = Recovery.objects.order_by("-pk")[0]
    assert (row.state, row.sectors, AuditEntry.objects.get(action="proving.recover").after) == (
        RecoveryState.CHECKING,
        [1, 2],
        {"deadline": 5, "sectors": [1, 2]},
    )
    again = ann.post(reverse("proving-recover", args=[north.address, 5]))
    assert again.status_code == 409
    assert "being recovered already" in again.content.decode()
    done(row.job)
    recoveries_advance(look(OneDeadline(partitions=[[1, 2, 3]])))
    row.refresh_from_db()
    assert row.state == RecoveryState.SENT
    assert Message.objects.get(pk=row.message_id).kind == "recover"
    assert "Declared" in ann.get(href).content.decode()


def test_a_node_that_fails_at_the_first_step_takes_nothing_back(
    client: Client, north: Miner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are on their way by then: a refusal would have the caller ask again."""
    with monkeypatch.context() as patch:
        away = Mock(side_effect=NodeUnavailable("no node answers"))
        patch.setattr("apps.proving.services.recoveries.onchain_sectors_read", away)
        [made] = push(client, sectors=[2])["results"]

    assert (made["state"], made["sectors"]) == ("CHECKING", [2])
    recoveries_advance(look(OneDeadline(partitions=[[1, 2, 3]])))
    assert Recovery.objects.get(uuid=made["uuid"]).job is not None


def test_over_rest_some_sectors_or_all(client: Client, north: Miner) -> None:
    push(client, level="write", status=403)
    refused = push(client, sectors=[2, 3], status=409)
    assert (refused["field"], "already: 3" in str(refused)) == ("sectors", True)
    assert Recovery.objects.count() == 1

    [made] = push(client, sectors=[2])["results"]

    assert (made["state"], made["sectors"], made["deadline"], made["message"]) == ("CHECKING", [2], 5, None)
    assert [row["sectors"] for row in push(client)["results"]] == [[1]]
    listed = client.get("/api/v1/miners/f02001/recoveries", headers=bearer(token("read", of="alice")))
    assert [row["sectors"] for row in listed.json()["results"]] == [[1], [2], [1, 2]]
    faults = client.get("/api/v1/miners/f02001/faults", headers=bearer(token("read", of="alice"))).json()
    assert [(row["number"], row["deadline"], row["recovering"]) for row in faults["results"]] == [
        (1, 5, False),
        (2, 5, False),
    ]
    one = client.get("/api/v1/miners/f02001/deadlines/5", headers=bearer(token("read", of="alice"))).json()
    assert one["partition_sectors"] == [
        {"index": 0, "all": [1, 2, 3], "live": [1, 2, 3], "active": [3], "faulty": [1, 2], "recovering": []}
    ]


@pytest.mark.parametrize(
    ("change", "status", "reason"),
    [
        ({"cutoff_epoch": 963}, 409, "the fault cutoff was at epoch 963"),
        ({"live": 0}, 404, "has no sectors in deadline 5"),
    ],
)
def test_refused_with_the_reason(
    client: Client, north: Miner, change: dict[str, Any], status: int, reason: str
) -> None:
    Deadline.objects.update(**change)

    assert reason in str(push(client, status=status))
    assert not open_recoveries()


def test_refused_where_nothing_is_faulty_or_another_program_proves(client: Client, north: Miner) -> None:
    Partition.objects.update(recovering=[1, 2])
    assert "no faulty sectors that are not declared recovered" in str(push(client, status=409))
    north.works_from = 5_000
    north.save()
    assert "another program proves this deadline" in str(push(client, status=409))
    assert not open_recoveries()
