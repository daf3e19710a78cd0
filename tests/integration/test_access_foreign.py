"""The column *foreign tenant* of the access table: the objects of others answer as if they did not exist."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from itertools import product
from typing import Any

import pytest
from django.db import connection

from apps.api.access_table import Endpoint, endpoints
from apps.api.rpc.services.messager.fee_parameters import ADDRESS_SPEC
from apps.api.rpc.services.registry import SERVICES
from apps.messages.services.selection import SenderChainState
from apps.sectors.models import Job
from apps.users.models import Token
from apps.users.services.grants import signer_grant
from poolsite.wire.jsonrpc import parameters
from tests import factories, people
from tests.demo_data import Pool, busy_pool

pytestmark = pytest.mark.django_db

TABLE = endpoints()
NO_UUID = "00000000-0000-4000-8000-000000000000"
ABSENT = {
    "uuid": NO_UUID,
    "id": "nobodys",
    "name": "nobodys",
    "number": "1",
    "piece_cid": factories.piece_cid(99),
}
"""What stands in a path for an object that is nobody's; addresses by the route's first word."""
ABSENT_ADDRESS = {"miners": "f0999999", "wallets": factories.bls(999), "senders": factories.bls(999)}
NEEDS_HUB = frozenset({"ComputeProof", "SectorsUnsealPiece", "WalletSign", "WalletHas"})
"""Methods that ask connected providers: `tests/wire/gateway` has their foreign tenants, each by name."""

NEEDS_NODE = frozenset({"multisigs"})
"""Objects that only a node knows, and none answers here: `dashboard/test_multisigs` has foreign tenants."""


@pytest.fixture(scope="module")
def pool(module_rows: None) -> Pool:
    """What alice has."""
    people.tenant("bob")
    people.token("admin", of="alice")
    return busy_pool()


def real(pool: Pool, noun: str) -> dict[str, str]:
    """Alice's objects by the parameters of a route."""
    uuids = {
        "tokens": str(Token.objects.filter(tenant__name="alice").values_list("pk", flat=True)[0]),
        "sectors": str(pool.active.uuid),
        "workers": str(pool.sealer.uuid),
        "stores": str(pool.store.uuid),
        "jobs": str(Job.objects.values_list("uuid", flat=True)[0]),
        "gas": str(factories.guard(of="alice").uuid),
        "pieces": str(pool.piece.uuid),
        "statements": str(pool.statement.uuid),
    }
    address = pool.miner.address if noun == "miners" else str(pool.wallet.address)
    known = {"id": pool.landed.pk, "address": address, "piece_cid": str(pool.piece.piece_cid)}
    return {**ABSENT, **known, "uuid": uuids.get(noun, NO_UUID)}


def shared(pool: Pool) -> None:
    """Bob holds what alice sends from, and has given up a message of his own from there."""
    signer_grant(tenant=people.tenant("bob"), address=str(pool.wallet.address))
    signer_grant(tenant=people.tenant("bob"), address=pool.miner.control[0])
    mine = {"from_addr": pool.wallet.address}
    factories.message("alice-given-up", state="FAILED", nonce=7, **mine)
    factories.message("alice-waits", **mine)
    factories.message("bob-shared", of="bob", state="UNFILLED", from_addr=pool.wallet.address)


def filled(path: str, values: Mapping[str, str]) -> str:
    return re.sub(r"<(?:\w+:)?(\w+)>", lambda found: values.get(found[1], "nothing"), path)


def said(answer: Any, values: Mapping[str, str]) -> tuple[int, str]:
    """An answer without the names that were asked for."""
    text = answer.content.decode()
    for value in sorted(values.values(), key=len, reverse=True):
        text = text.replace(json.dumps(value)[1:-1], "<it>") if len(value) > 3 else text
    return answer.status_code, text


def state() -> list[Any]:
    """Everything that a stranger might have changed, by table."""
    tables = (
        *("messages_message", "messages_sender", "messages_gasguard", "wallets_wallet"),
        *("sectors_sector", "sectors_job", "sectors_worker", "sectors_store", "sectors_workercommand"),
        *("miners_miner", "pieces_piece", "users_token"),
    )
    sums = (
        f"select '{name}', md5(string_agg(t::text, '|' order by t::text)) from {name} t" for name in tables
    )
    with connection.cursor() as cursor:
        cursor.execute(" union all ".join(sums))
        return list(cursor.fetchall())


def rest_rows() -> list[Endpoint]:
    return [row for row in TABLE if row.interface == "rest" and "<" in row.path and not row.operator_only]


@pytest.mark.parametrize("row", rest_rows(), ids=lambda row: f"{row.method}-{row.path}")
def test_over_rest_a_foreign_object_is_no_object(client, pool, row):
    part = next((one for one in row.scopes if one), "")
    other = people.token("admin", of="bob", scopes=[part] if part else [])
    noun = row.path.removeprefix("/api/v1/").partition("/")[0].partition(":")[0]
    theirs = real(pool, noun)
    nobodys = {**ABSENT, "address": ABSENT_ADDRESS.get(noun, "f0999999")}
    Token.objects.filter(tenant__name="bob").update(last_used_at="2999-01-01T00:00:00Z")
    before, answers = state(), []

    for values in (theirs, nobodys):
        answer = client.generic(
            row.method,
            filled(row.path, values),
            "" if row.method == "GET" else "{}",
            content_type="application/json",
            headers=people.bearer(other),
        )
        answers.append(said(answer, values))

    assert answers[0] == answers[1]
    assert answers[0][0] in (400, 404, 409, *([503] if noun in NEEDS_NODE else []))
    assert state() == before


def alices() -> list[Any]:
    """What alice has: her messages, and what all holders of her address share."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select md5(string_agg(m::text, '|' order by m::text)) from messages_message m"
            " join users_tenant t on t.id = m.tenant_id where t.name = 'alice'"
        )
        messages = cursor.fetchall()
    return [messages, *(row for row in state() if row[0] not in ("messages_message", "users_token"))]


BODIES: dict[tuple[str, str], dict[str, Any]] = {
    ("PATCH", "senders"): {"quota": 3, "state": "FORBIDDEN"},
    ("PATCH", "wallets"): {"label": "mine"},
}
"""What changes an object that an address names."""


@pytest.mark.parametrize(
    "row",
    [row for row in rest_rows() if "address>" in row.path],
    ids=lambda row: f"{row.method}-{row.path}",
)
def test_over_rest_a_shared_address_changes_nothing_of_the_others(client, pool, row):
    shared(pool)
    part = next((one for one in row.scopes if one), "")
    other = people.token("admin", of="bob", scopes=[part] if part else [])
    noun = row.path.removeprefix("/api/v1/").partition("/")[0]
    path = filled(row.path, real(pool, noun))
    before = alices()
    body = "" if row.method == "GET" else json.dumps(BODIES.get((row.method, noun), {}))

    client.generic(
        row.method,
        path,
        body,
        content_type="application/json",
        headers=people.bearer(other),
    )

    assert alices() == before


def candidates(param: parameters.Param, pool: Pool | None) -> list[Any]:
    """Values for a parameter: alice's, or nobody's where there is no pool; None where there is no choice."""
    text = [pool.landed.pk, str(pool.wallet.address), "alice"] if pool else ["nobodys"] * 3
    address = [str(pool.wallet.address), pool.miner.address] if pool else [factories.bls(999), "f0999999"]
    cid = [{"/": pool.landed.cid}] if pool else [{"/": factories.cid("nobodys")}]
    known: dict[str, list[Any]] = {
        parameters.TEXT.go: text,
        parameters.ADDRESS.go: address,
        parameters.CID.go: cid,
        parameters.NUMBER.go: [1],
        parameters.BOOL.go: [False],
        parameters.UUID.go: [NO_UUID],
        parameters.BYTES.go: [""],
        parameters.OBJECT.go: [{}],
        parameters.list_of(parameters.TEXT).go: [[one] for one in text],
        parameters.list_of(parameters.ADDRESS).go: [[one] for one in address],
    }
    return known.get(param.go, [None])


def rpc_rows() -> list[Endpoint]:
    own = [row for row in TABLE if row.interface == "rpc" and not row.path.startswith("Filecoin.")]
    return [
        row
        for row in own
        if not row.operator_only and not row.is_channel and row.path.partition(".")[2] not in NEEDS_HUB
    ]


def call(client: Any, token: str, row: Endpoint, params: list[Any]) -> str:
    version = row.method.split()[0]
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": row.path, "params": params})
    answer = client.post(
        f"/rpc/{version}", body, content_type="application/json", headers=people.bearer(token)
    )
    found: str = answer.content.decode()
    for value in ("alice-landed", "alice", "nobodys"):
        found = found.replace(value, "<it>")
    return found


AT_SEVEN = SenderChainState(exists=True, chain_nonce=7, pool_nonce=7, balance=0, flight=())
"""Where the chain says that the shared address is."""
FEES = {"gasOverEstimation": 2, "maxFee": "7", "gasFeeCap": "700", "gasOverPremium": 2, "baseFee": "7"}


def addressed(param: parameters.Param, pool: Pool) -> Any:
    """A value for a parameter of a call about the address that alice and bob hold."""
    address = str(pool.wallet.address)
    known: dict[str, Any] = {
        parameters.ADDRESS.go: address,
        parameters.NUMBER.go: 9,
        parameters.TEXT.go: "alice-given-up",
        parameters.list_of(parameters.ADDRESS).go: [address],
        parameters.BOOL.go: True,
        ADDRESS_SPEC.go: {"address": address, **FEES},
    }
    return known.get(param.go)


def address_rows() -> list[Endpoint]:
    """Methods that are told an address."""
    found = []
    for row in rpc_rows():
        method = SERVICES[row.path.partition(".")[0]].find(row.path, row.method.split()[0])
        gos = {param.go for param in method.params} if method else set()
        if gos & {parameters.ADDRESS.go, parameters.list_of(parameters.ADDRESS).go, ADDRESS_SPEC.go}:
            found.append(row)
    return found


@pytest.mark.parametrize("row", address_rows(), ids=lambda row: row.path)
def test_over_json_rpc_a_shared_address_changes_nothing_of_the_others(client, pool, row, monkeypatch):
    shared(pool)
    # The chain would take the given-up message of alice back: only that it is hers speaks against it.
    monkeypatch.setattr(
        "apps.messages.services.retry.sender_chain_state_read", lambda *_args, **_how: AT_SEVEN
    )
    other = people.token("admin", of="bob")
    method = SERVICES[row.path.partition(".")[0]].find(row.path, row.method.split()[0])
    assert method is not None
    before = alices()

    call(client, other, row, [addressed(param, pool) for param in method.params])

    assert alices() == before


def test_the_calls_about_a_shared_address_reach_what_is_the_callers_own(client, pool, monkeypatch):
    shared(pool)
    factories.message("bob-up", of="bob", state="FAILED", nonce=8, from_addr=pool.wallet.address)
    monkeypatch.setattr(
        "apps.messages.services.retry.sender_chain_state_read", lambda *_args, **_how: AT_SEVEN
    )
    other = people.token("admin", of="bob")
    rows = {row.path: row for row in address_rows()}

    assert '"result":["bob-up"]' in call(
        client, other, rows["Message.RecoverFailedMsg"], [str(pool.wallet.address)]
    )
    assert '"result":1' in call(client, other, rows["Message.ClearUnFillMessage"], [str(pool.wallet.address)])
    refusal = call(client, other, rows["Message.ForbiddenAddress"], [str(pool.wallet.address)])
    assert "other tenants also send from this address" in refusal


@pytest.mark.parametrize("row", rpc_rows(), ids=lambda row: row.path)
def test_over_json_rpc_a_foreign_object_is_no_object(client, pool, row):
    other = people.token("admin", of="bob")
    method = SERVICES[row.path.partition(".")[0]].find(row.path, row.method.split()[0])
    assert method is not None
    theirs = list(product(*(candidates(param, pool) for param in method.params)))
    nobodys = list(product(*(candidates(param, None) for param in method.params)))
    Token.objects.filter(tenant__name="bob").update(last_used_at="2999-01-01T00:00:00Z")
    call(client, other, row, list(nobodys[0]))  # what is made at the first look is made
    before = state()

    for mine, none in zip(theirs, nobodys, strict=True):
        asked, absent = call(client, other, row, list(mine)), call(client, other, row, list(none))
        for real_one, no_one in zip(json.dumps(mine).split('"'), json.dumps(none).split('"'), strict=True):
            if real_one != no_one and len(real_one) > 4:
                asked, absent = asked.replace(real_one, "<it>"), absent.replace(no_one, "<it>")
        assert asked == absent, mine

    assert state() == before
