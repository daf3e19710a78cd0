"""Extending verified claims: by their own client or with DataCap, once, and only what the chain takes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.messages.models import Message
from apps.users.models import AuditEntry
from apps.wallets.services import policies
from poolsite.filecoin.actors.allocations import (
    DATACAP_PER_BYTE,
    AllocationRequests,
    ClaimExtensionRequest,
)
from poolsite.filecoin.actors.claims import CLAIM_TERM_MAX, ClaimTerm, ExtendClaimTermsParams
from poolsite.filecoin.actors.datacap import TransferParams
from poolsite.filecoin.codec import from_cbor
from poolsite.wire.policy import MessageVerdict
from tests import factories, people, verified_rows
from tests.factories import MinerNode
from tests.page_client import signed_in, text_of

pytestmark = pytest.mark.django_db

SENDER = factories.bls(1)
HEIGHT, START, TERM, SIZE = 1000, 100, 5_000, 1 << 20


@pytest.fixture
def node() -> Iterator[MinerNode]:
    with factories.node_served() as answering:
        yield answering


@pytest.fixture(autouse=True)
def claims(node: MinerNode, monkeypatch: pytest.MonkeyPatch) -> dict[int, dict[str, Any]]:
    """What the chain says of alice's claims: 1 and 2 of her own client, 3 of another, 4 over."""
    factories.head(HEIGHT, key=node.head.cid, cids=[node.head.cid])
    factories.wallet(SENDER, actor_id=1010)
    node.balances[SENDER] = node.balances["f01010"] = 5 * factories.FIL
    node.kinds |= {"f06": "verifiedregistry", "f07": "datacap"}
    miner = factories.miner(2001, of="alice")
    told = {}
    for number, client, term in ((1, 1010, TERM), (2, 1010, TERM), (3, 9, TERM), (4, 1010, 500)):
        verified_rows.claim(miner, number=number, client=client, end_epoch=START + term, size=SIZE)
        told[number] = {"Client": client, "Size": SIZE, "TermStart": START, "TermMax": term}
    caps = {"f01010": str(2 * SIZE)}
    answers = {
        "StateGetClaim": lambda _miner, number, _key: told.get(number),
        "StateVerifiedClientStatus": lambda client, _key: caps.get(client),
        "StateLookupID": lambda _address, _key: "f01010",
        "StateAccountKey": lambda _address, _key: SENDER,
    }
    for method, answer in answers.items():
        monkeypatch.setattr(node, f"do_{method}", answer, raising=False)
    says = MessageVerdict(words="", rule="", error="no rule allows it")
    monkeypatch.setattr(policies, "policy_try", lambda *_args, **_more: says)
    return told


def extended(client: Client, *numbers: int, key: str = "", query: str = "", **more: Any) -> Any:
    body = {"claims": numbers, "sender": SENDER} | more
    headers = people.bearer(people.token("sign")) | ({"Idempotency-Key": key} if key else {})
    path = f"/api/v1/claims:extend{query}"
    return client.post(path, json.dumps(body), content_type="application/json", headers=headers)


def test_the_own_client_extends_to_five_years_without_data_cap(client: Client) -> None:
    answer = extended(client, 1, 2)

    assert answer.status_code == 201, answer.json()
    message = Message.objects.get(pk=answer.json()["message"])
    assert (message.to, message.method, message.from_addr, message.value) == ("f06", 11, SENDER, 0)
    terms = from_cbor(ExtendClaimTermsParams, bytes(message.params)).terms
    assert terms == (ClaimTerm(2001, 1, CLAIM_TERM_MAX), ClaimTerm(2001, 2, CLAIM_TERM_MAX))
    assert answer.json()["data_cap"] == 0
    assert [one["end_epoch"] for one in answer.json()["claims"]] == [START + CLAIM_TERM_MAX] * 2
    [entry] = AuditEntry.objects.filter(action="claims.extend")
    assert (entry.after or {})["claims"] == "f02001/1 f02001/2"


def test_data_cap_extends_anybodys_claim_to_five_years_from_now(client: Client) -> None:
    answer = extended(client, 1, 3, spends_data_cap=True)

    assert answer.status_code == 201, answer.json()
    message = Message.objects.get(pk=answer.json()["message"])
    assert (message.to, message.method) == ("f07", 80_475_954)
    transfer = from_cbor(TransferParams, bytes(message.params))
    assert (str(transfer.to), transfer.amount) == ("f06", 2 * SIZE * DATACAP_PER_BYTE)
    term = HEIGHT - START + CLAIM_TERM_MAX
    wanted = (ClaimExtensionRequest(2001, 1, term), ClaimExtensionRequest(2001, 3, term))
    assert from_cbor(AllocationRequests, transfer.operator_data) == AllocationRequests((), wanted)
    assert answer.json()["data_cap"] == 2 * SIZE


@pytest.mark.parametrize(
    ("number", "more", "why"),
    [
        (3, {}, "claim 3 is of client f09: only that client"),
        (1, {"end_epoch": START + TERM}, "claim 1 lasts until epoch 5100 already"),
        (1, {"end_epoch": START + CLAIM_TERM_MAX + 1}, "claim 1 can last until epoch 5256100 at most"),
        (4, {"spends_data_cap": True}, "claim 4 ended at epoch 600"),
        (1, {"spends_data_cap": True, "end_epoch": HEIGHT + CLAIM_TERM_MAX + 1}, "at most"),
    ],
)
def test_what_the_chain_would_not_extend_is_refused_by_claim(
    client: Client, number: int, more: dict[str, Any], why: str
) -> None:
    answer = extended(client, number, **more)

    assert (answer.status_code, answer.json()["field"]) == (409, "claims")
    assert why in answer.json()["message"]
    good_too = extended(client, 2, number, query="?dry_run=true", **({"end_epoch": 9_000} | more))
    if number != 1:
        refusals = {one["claim"]: one["refusal"] for one in good_too.json()["claims"]}
        assert (refusals[2], bool(refusals[number])) == ("", True)
        assert extended(client, 2, number, **({"end_epoch": 9_000} | more)).status_code == 409, "all or none"
    assert not Message.objects.exists()


def test_more_data_cap_than_there_is_is_refused(client: Client) -> None:
    answer = extended(client, 1, 2, 3, spends_data_cap=True)

    assert (answer.status_code, answer.json()["field"]) == (409, "sender")
    assert "has 2 MiB of DataCap, and 3 MiB would be spent" in answer.json()["message"].replace("\u202f", " ")


def test_a_claim_that_is_gone_anothers_or_in_progress_is_refused(
    client: Client, claims: dict[int, dict[str, Any]]
) -> None:
    verified_rows.claim(factories.miner(2002, of="bob"), number=7)
    assert extended(client, 7).json()["code"] == "claim_unknown"
    del claims[2]
    assert "is not on the chain any more" in extended(client, 2).json()["message"]
    assert extended(client, 1, key="k1", spends_data_cap=True).status_code == 201

    again = extended(client, 1, key="k2", spends_data_cap=True)

    assert again.status_code == 409
    assert "claim 1 is being extended" in again.json()["message"]
    assert extended(client, 1, key="k1", spends_data_cap=True).status_code in (200, 201)
    assert Message.objects.count() == 1


def test_an_address_of_nobody_or_another_sends_nothing(client: Client) -> None:
    factories.wallet(factories.bls(2), of="bob", actor_id=1011)

    for sender in (factories.bls(2), factories.bls(3)):
        assert extended(client, 1, sender=sender).status_code == 404
    assert not Message.objects.exists()


def test_the_page_reviews_with_price_and_signer_then_sends_once() -> None:
    people.person("ann")
    browser, page = signed_in("ann"), reverse("claims-extend")
    assert f'href="{page}?claims=1"' in text_of(browser.get(reverse("claims"), {"q": "1"}))
    assert 'value="1 3"' in text_of(browser.get(page, {"claims": "1 3"}))
    form = {"claims": "1 3", "sender": SENDER, "spends_data_cap": "1", "key": "abc"}

    asked = text_of(browser.post(page, form))

    for text in ("Extend 2 verified claims", "DataCap spent", "2 MiB", "Expected cost", "no rule allows it"):
        assert text in asked.replace("\u202f", " ")
    assert not Message.objects.exists()
    kept = dict(re.findall(r'name="(claims|end_epoch|spends_data_cap|key)" value="([^"]*)"', asked))
    assert kept["end_epoch"] == str(HEIGHT + CLAIM_TERM_MAX), "what was reviewed, also at a later head"
    answers = [browser.post(page, form | kept | {"sure": "yes"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [302, 302]
    message = Message.objects.get()
    assert answers[1]["Location"] == f"/messages/{message.pk}/"
    assert "enter the ids of claims" in text_of(browser.post(page, form | {"claims": "x"}))
