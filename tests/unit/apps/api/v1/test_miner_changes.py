"""Transferring a miner by REST: the operator's, once, refused at the field that is in the way."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from apps.miners.models import Miner, MinerTransfer
from apps.users.models import AuditEntry
from apps.users.services.grants import signer_grant, signer_grant_revoke
from apps.users.services.tenants import tenant_update
from apps.users.services.tokens import TokenLimits
from tests import factories, people
from tests.page_client import left_open, signed_in
from tests.transfer_fixtures import ADDRESS, TransferCase, transfer_case

pytestmark = pytest.mark.django_db


@pytest.fixture
def pool() -> TransferCase:
    factories.head(1000)
    return transfer_case()


def ask(token: str, body: Any = None, *, miner: str = ADDRESS, key: str = "", client: Any = None) -> Any:
    headers = {**(people.bearer(token) if token else {}), **({"Idempotency-Key": key} if key else {})}
    return (client or Client()).post(
        f"/api/v1/miners/{miner}/transfer",
        json.dumps({"tenant": "bob"} if body is None else body),
        content_type="application/json",
        headers=headers,
    )


def owner() -> str:
    return str(Miner.objects.get().tenant.name)


def test_the_operator_hands_it_over_and_reads_what_went(pool: TransferCase) -> None:
    people.token("sign", of="alice", limits=TokenLimits(miners=[2001]))
    token = people.operator_token()

    answer = ask(token, {"tenant": "bob", "from_tenant": "alice"})

    assert answer.status_code == 201
    body = answer.json()
    assert {key: body[key] for key in ("miner", "from_tenant", "tenant", "sectors", "messages")} == {
        "miner": ADDRESS,
        "from_tenant": "alice",
        "tenant": "bob",
        "sectors": 1,
        "messages": 0,
    }
    assert (body["tokens_revoked"], body["by"]) == (["alice-sign"], "token pool/pool-admin")
    shown = Client().get(f"/api/v1/miners/{ADDRESS}", headers=people.bearer(token)).json()
    assert shown["tenant"] == "bob"


@pytest.mark.parametrize("key", ["", "k"], ids=["by its content", "by its key"])
def test_again_is_the_same_answer(pool: TransferCase, key: str) -> None:
    token = people.operator_token()

    answers = [ask(token, key=key) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    assert MinerTransfer.objects.count() == 1
    assert AuditEntry.objects.filter(action="miner.transfer").count() == 1


def test_of_all_callers_the_operator_may_and_a_stranger_learns_nothing(pool: TransferCase) -> None:
    token = people.operator_token()
    limited = people.token("admin", of="pool", is_operator=True, limits=TokenLimits(miners=[2001]))
    callers = {
        "alice": people.token("admin", of="alice"),
        "bob": people.token("admin", of="bob"),
        "a limited operator's": limited,
        "an operator's that reads": people.token("read", of="pool", is_operator=True),
    }

    refused = {name: ask(text) for name, text in callers.items()}
    absent = ask(callers["bob"], miner="f0999999")

    assert {answer.status_code for answer in refused.values()} == {403}
    assert refused["bob"].content == absent.content
    assert ask("").status_code == 401
    assert owner() == "alice"
    assert ask(token).status_code == 201


def test_an_operator_in_a_browser_confirms_first(pool: TransferCase) -> None:
    people.operator_person()

    answer = ask("", client=left_open("olga"))
    assert (answer.status_code, answer.json()["code"]) == (403, "not_confirmed")
    assert owner() == "alice"

    assert ask("", client=signed_in("olga")).status_code == 201


@pytest.mark.parametrize(
    ("body", "miner", "status", "field"),
    [
        ({"tenant": "nobody"}, ADDRESS, 404, "tenant"),
        ({"tenant": "alice"}, ADDRESS, 409, "tenant"),
        ({"tenant": "bob", "from_tenant": "carol"}, ADDRESS, 409, "from_tenant"),
        ({}, ADDRESS, 400, "tenant"),
        ({"tenant": "bob", "to": "x"}, ADDRESS, 400, "to"),
        ({"tenant": "bob"}, "f0999999", 404, "miner"),
        ({"tenant": ["bob"]}, ADDRESS, 400, "tenant"),
    ],
)
def test_what_is_wrong_is_said_with_its_field(
    pool: TransferCase, body: Any, miner: str, status: int, field: str
) -> None:
    answer = ask(people.operator_token(), body, miner=miner)

    assert (answer.status_code, answer.json()["field"]) == (status, field)
    assert owner() == "alice"


def test_refused_transfer_may_be_requested_again(pool: TransferCase) -> None:
    token = people.operator_token()
    signer_grant_revoke(tenant=people.tenant("bob"), address=pool.control_key)
    first = ask(token, key="k").json()
    tenant_update(tenant=people.tenant("bob"), enabled=False)
    second = ask(token, key="k").json()
    tenant_update(tenant=people.tenant("bob"), enabled=True)
    signer_grant(tenant=people.tenant("bob"), address=pool.control_key)

    assert (first["code"], first["field"]) == ("transfer_refused", "signer")
    assert (second["field"], second["message"]) == ("tenant", "bob is disabled: enable it first")
    assert ask(token, key="k").status_code == 201
