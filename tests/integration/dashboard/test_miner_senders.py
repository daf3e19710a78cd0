"""Which of a miner's addresses send what: chosen by page, REST and command, in force at once."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.miners.models import Miner, MinerAddress
from apps.miners.selectors.senders import sender_choose, senders_named
from apps.miners.states import Use
from apps.sectors.services.changes.messages import USES
from apps.users.models import AuditEntry
from poolsite.wire.pipeline.changes import ChangeKind
from tests import factories, people
from tests.page_client import signed_in, text_of

pytestmark = pytest.mark.django_db

OWNER, WORKER, FIRST, SECOND = (factories.bls(number) for number in (21, 22, 23, 24))


def miner() -> Miner:
    """A miner of alice's with two control addresses; signers hold all but the second."""
    row = factories.miner(
        2001,
        of="alice",
        owner=OWNER,
        owner_id=120,
        worker=WORKER,
        worker_id=121,
        control=[FIRST, SECOND],
        control_ids=["f0122", "f0123"],
    )
    for address in (OWNER, WORKER, FIRST):
        factories.wallet(address, balance=5 * factories.FIL)
    return row


def rest(body: Any, *, perm: str = "sign", of: str = "alice") -> Any:
    return Client().patch(
        "/api/v1/miners/f02001/senders",
        json.dumps(body),
        content_type="application/json",
        headers=people.bearer(people.token(perm, of=of)),
    )


def test_rest_chooses_who_sends_by_key_or_f0_and_keeps_the_order() -> None:
    row = miner()

    body = rest({"terminate": ["f0122", OWNER, FIRST], "extend": [SECOND, "t0122"]}).json()

    assert body["terminate"]["named"] == [FIRST, OWNER]
    assert body["terminate"]["now"] == FIRST
    assert body["terminate"]["reason"] == "first funded address for terminations"
    assert body["extend"]["named"] == [SECOND, FIRST]
    assert body["extend"]["now"] == FIRST, "no signer holds the first"
    assert body["post"] == {"named": [], "now": WORKER, "reason": "first funded address for proofs"}
    assert sender_choose(row, USES[ChangeKind.TERMINATE]).address == FIRST
    entry = AuditEntry.objects.get(action="miner.senders")
    assert entry.before == {"terminate": [], "extend": []}
    assert entry.after == {"terminate": [FIRST, OWNER], "extend": [SECOND, FIRST]}
    assert rest({"terminate": ["f0122", OWNER]}).status_code == 200
    assert AuditEntry.objects.filter(action="miner.senders").count() == 1, "nothing changed"

    assert rest({"terminate": []}).json()["terminate"]["now"] == WORKER
    assert senders_named(row)[Use.EXTEND] == [SECOND, FIRST], "what is not named stays"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"post": [factories.bls(99)]}, "post"),
        ({"commit": [FIRST], "post": ["f0999"]}, "post"),
        ({"commit": ["nonsense"]}, "commit"),
        ({"commit": [FIRST] * 13}, "commit"),
        ({"deals": [FIRST]}, "deals"),
    ],
)
def test_what_may_not_send_is_refused_and_nothing_is_set(body: Any, field: str) -> None:
    miner()

    answer = rest(body)

    assert answer.status_code == 400, answer.content
    assert field in answer.content.decode()
    assert not MinerAddress.objects.exists()


def test_only_who_signs_for_the_tenant_chooses() -> None:
    miner()

    assert rest({"post": [FIRST]}, perm="write").status_code == 403
    assert rest({"post": [FIRST]}, of="bob").status_code == 404
    assert not MinerAddress.objects.exists()


def test_the_page_ticks_addresses_and_says_who_would_send_now(ann: None) -> None:
    row = miner()
    rest({"post": [SECOND, FIRST]})
    client, address = signed_in(), reverse("miner-senders", args=["f02001"])

    shown = text_of(client.get(address))
    assert "control address f0122, 5.0000 FIL" in shown
    assert "control address f0123, no signer holds it" in shown
    assert "first funded address for proofs" in shown

    answer = client.post(address, {"post": [FIRST, SECOND], "precommit": [WORKER, OWNER]})
    assert (answer.status_code, answer["Location"]) == (302, address)
    assert senders_named(row)[Use.POST] == [SECOND, FIRST], "its order is kept"
    assert senders_named(row)[Use.PRE_COMMIT] == [WORKER, OWNER]

    refused = client.post(address, {"post": [FIRST], "extend": [factories.bls(99)]})
    assert refused.status_code == 422
    assert "is not the owner, the worker or a control address of f02001" in text_of(refused)
    assert senders_named(row)[Use.POST] == [SECOND, FIRST]
