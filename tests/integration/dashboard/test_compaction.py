"""Compaction of a deadline by page, REST and command: what leaves, what the chain refuses, one message."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.messages.models import Message
from apps.miners.models import Miner
from apps.proving.models import Partition
from apps.proving.services import compaction
from apps.sectors.onchain.sectors import TrialRun
from apps.users.models import AuditEntry, IdempotentAnswer
from poolsite.filecoin.actors.miner import Method
from poolsite.filecoin.actors.miner_proving import CompactPartitionsParams
from poolsite.filecoin.codec import from_cbor
from tests import factories, people
from tests.integration.dashboard.withdrawals import signer_says
from tests.page_client import signed_in, text_of

pytestmark = pytest.mark.django_db

GAS = 30_000_000


@pytest.fixture
def north(monkeypatch: pytest.MonkeyPatch) -> Miner:
    """A miner whose deadline 3 has terminated sectors in two partitions, one of them with a fault."""
    people.person("ann")
    factories.head(962)
    of = factories.miner(2001, proving_period_start=960, worker=factories.wallet().address)
    row = factories.deadline(of, 3, live=3, faulty=1)
    factories.partition(row, index=0, all_sectors=[1, 2, 3], live=[1], active=[1])
    factories.partition(row, index=1, all_sectors=[4, 5], live=[5], faulty=[5])
    factories.partition(row, index=2, all_sectors=[6], live=[6], active=[6])
    answers(monkeypatch, TrialRun(exit_code=0, error="", gas_used=GAS))
    return of


def answers(monkeypatch: pytest.MonkeyPatch, trial: TrialRun) -> None:
    """Answer trials on the chain with this."""
    monkeypatch.setattr(compaction, "messages_try", lambda *_args: [trial])


def post(client: Client, body: dict[str, Any], *, query: str = "", perm: str = "sign", key: str = "") -> Any:
    headers = people.bearer(people.token(perm, of="alice")) | ({"Idempotency-Key": key} if key else {})
    path = f"/api/v1/miners/f02001/deadlines/3/compact{query}"
    return client.post(path, json.dumps(body), content_type="application/json", headers=headers)


def test_terminated_sectors_leave_partitions_without_faults(north: Miner, client: Client) -> None:
    asked = post(client, {}, query="?dry_run=true").json()
    assert (asked["partitions"], asked["removed"], asked["moved"]) == ([0], 2, 1)
    assert int(asked["gas"]) > GAS
    assert (asked["message"], Message.objects.count()) == (None, 0), "it was only asked"

    first, again = (post(client, {"partitions": [0, 2]}, key="k") for _ in range(2))

    assert (first.status_code, first.json()["partitions"]) == (201, [0, 2])
    assert again.json()["message"] == first.json()["message"]
    [message] = Message.objects.all()
    params = from_cbor(CompactPartitionsParams, bytes(message.params))
    assert (message.method, params.deadline, list(params.partitions)) == (
        Method.COMPACT_PARTITIONS,
        3,
        [0, 2],
    )
    entry = AuditEntry.objects.filter(action="proving.compact").latest("pk")
    assert (entry.after or {})["partitions"] == [0, 2]


def test_what_would_hold_its_message_up_is_said_before(
    north: Miner, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    signer_says(monkeypatch, "no rule allows it")
    factories.approval_rule(actor="miner", method=Method.COMPACT_PARTITIONS)

    told = post(client, {}, query="?dry_run=true").json()
    review = text_of(signed_in().post(reverse("proving-compact", args=["f02001", 3])))

    assert "would refuse CompactPartitions: no rule allows it" in told["signer"]
    assert told["approval"] == "miner CompactPartitions"
    assert told["signer"] in review
    assert "waits for a second person: miner CompactPartitions" in review


def test_a_deadline_has_one_open_compaction(north: Miner, client: Client) -> None:
    first = post(client, {}, key="k").json()

    refused = post(client, {})
    assert (refused.status_code, refused.json()["code"]) == (409, "cannot_compact")
    assert first["message"] in refused.json()["message"]
    signed_in().post(reverse("proving-compact", args=["f02001", 3]), {"sure": "yes"})
    [message] = Message.objects.all()

    Message.objects.filter(pk=message.pk).update(state="LANDED")
    Partition.objects.update(all_sectors=[], live=[])  # nothing is left to compact
    again = post(client, {}, key="k").json()
    assert (again["message"], again["partitions"], again["removed"]) == (first["message"], [0], None)
    assert Message.objects.count() == AuditEntry.objects.filter(action="proving.compact").count() == 1


def test_a_key_that_named_other_partitions_is_refused(north: Miner, client: Client) -> None:
    first = post(client, {"partitions": [0, 2]}, key="k").json()
    IdempotentAnswer.objects.all().delete()  # it was not kept, or is forgotten

    refused = post(client, {"partitions": [0]}, key="k")
    assert (refused.status_code, refused.json()["code"]) == (409, "message_id_taken")
    for partitions in ([2, 0], []):
        assert post(client, {"partitions": partitions}, key="k").json()["message"] == first["message"]
        IdempotentAnswer.objects.all().delete()


def failed(client: Client, *, perm: str = "read") -> list[dict[str, Any]]:
    headers = people.bearer(people.token(perm, of="alice"))
    rows: list[dict[str, Any]] = client.get("/api/v1/sector-failures", headers=headers).json()["results"]
    return rows


@pytest.mark.parametrize(
    ("outcome", "error"),
    [
        ({"state": "FAILED", "error": "not on chain by epoch 989"}, "not on chain by epoch 989"),
        ({"state": "LANDED", "exit_code": 16}, "a parameter is invalid"),
    ],
)
def test_a_compaction_that_failed_is_sent_again(
    north: Miner, client: Client, outcome: dict[str, Any], error: str
) -> None:
    first = post(client, {"partitions": [0, 2]}, key="a:b").json()["message"]
    assert failed(client) == [], "it is on its way"
    Message.objects.update(**outcome)

    [group] = failed(client)
    assert (group["kind"], group["count"], group["resume_at"], group["sectors"]) == ("compact", 1, [], [])
    assert group["deadlines"] == [{"miner": "f02001", "deadline": 3}]
    assert error in group["error"]
    page = text_of(signed_in().get(reverse("sectors-failures")))
    assert "1 deadline failed in Compaction" in page
    assert "Compact deadline 3 of f02001 again…" in page
    path = f"/api/v1/sector-failures/{group['fingerprint']}/retry"
    answers_to = {
        perm: client.post(path, "{}", "application/json", headers=people.bearer(people.token(perm)))
        for perm in ("write", "sign")
    }

    assert answers_to["write"].status_code == 403
    [second] = answers_to["sign"].json()["retried"]
    assert second != first
    assert compaction.compacted_partitions_read(Message.objects.get(pk=second)) == (0, 2)
    assert failed(client) == [], "nothing failed after it"
    Message.objects.filter(pk=second).update(**outcome)
    assert [group["count"] for group in failed(client)] == [1]


def test_what_cannot_be_compacted_again_is_named(
    north: Miner, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    post(client, {})
    Message.objects.update(state="FAILED", error="given up")
    answers(monkeypatch, TrialRun(exit_code=18, error="during its challenge window"))
    [group] = failed(client)

    path = f"/api/v1/sector-failures/{group['fingerprint']}/retry"
    headers = people.bearer(people.token("sign"))
    told = client.post(path, "{}", "application/json", headers=headers).json()

    [refused] = told["refused"]
    assert "the chain would refuse it: during its challenge window" in str(refused)
    assert Message.objects.count() == 1


def test_what_the_chain_refuses_is_not_sent(
    north: Miner, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers(monkeypatch, TrialRun(exit_code=18, error="during its challenge window"))

    refused = post(client, {})

    assert (refused.status_code, refused.json()["code"]) == (409, "cannot_compact")
    assert "challenge window" in refused.json()["message"]
    assert post(client, {"partitions": [7]}).status_code == 400
    assert post(client, {}, perm="write").status_code == 403
    assert not Message.objects.exists()


def test_the_page_asks_first(north: Miner) -> None:
    ann, compact = signed_in(), reverse("proving-compact", args=["f02001", 3])
    assert compact in text_of(signed_in().get(reverse("proving-deadline", args=["f02001", 3])))

    question = text_of(ann.post(compact))
    assert "2 terminated sectors" in question
    assert not Message.objects.exists()
    answer = ann.post(compact, {"sure": "yes"})

    [message] = Message.objects.all()
    assert answer["Location"] == reverse("message", args=[message.pk])


def test_miner_transferred_meanwhile_gets_no_message_of_its_old_tenant(
    north: Miner, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def transferred(*_args: Any) -> list[TrialRun]:
        type(north).objects.update(tenant=people.tenant("bob"))
        return [TrialRun(exit_code=0, error="", gas_used=GAS)]

    monkeypatch.setattr(compaction, "messages_try", transferred)

    answer = post(client, {"partitions": [0]})

    assert (answer.status_code, answer.json()["code"]) == (404, "miner_unknown")
    assert not Message.objects.exists()
