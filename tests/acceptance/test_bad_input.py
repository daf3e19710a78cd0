"""Input that no honest caller sends, over REST, JSON-RPC and reports: refused by name, nothing written.

In one process with the database of the tests; a part of it is sent to the running pool too.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection

from apps.core.clock import now
from apps.users.models import Token
from apps.users.services import tenant_update, token_revoke
from apps.wallets.models import Wallet
from poolsite.wire.pipeline import WORKER_STAGES
from tests import factories, people
from tests.acceptance.bad_requests import BODIES, REPORTS, RPC_CASES, SENDING, WHO_CALLS, Case
from tests.acceptance.fingerprint import fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.test import Client

pytestmark = pytest.mark.django_db


@dataclass
class Scene:
    """Two tenants, one of whom has a sector under work."""

    client: Client
    names: dict[str, Any]
    tokens: dict[str, str]

    def send(self, case: Case) -> Any:
        """Send a case's request."""
        filled = case.body if isinstance(case.body, str) else json.dumps(self.fill(case.body))
        headers = people.bearer(self.tokens[case.who]) if self.tokens[case.who] else {}
        path = case.path.format(**self.names)
        if case.method == "GET":
            return self.client.get(path, headers=headers)
        return self.client.generic(
            case.method, path, filled, content_type="application/json", headers=headers
        )

    def fill(self, value: Any) -> Any:
        """Put our names into a body."""
        if isinstance(value, dict):
            return {key: self.fill(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.fill(inner) for inner in value]
        if isinstance(value, str) and value[:1] == "{" and value[1:-1] in self.names:
            return self.names[value[1:-1]]
        return value


def rows(sql: str) -> list[tuple[Any, ...]]:
    """Run one statement in the tests' database."""
    with connection.cursor() as cursor:
        cursor.execute(sql)
        found: list[tuple[Any, ...]] = cursor.fetchall()
        return found


@pytest.fixture
def scene(client: Client) -> Iterator[Scene]:
    """Alice's sector was claimed twice, so that the first lease is over; Bob has a miner and a wallet."""
    tokens = {
        "nobody": "",
        "nonsense": "nonsense",
        "alice": people.token("write"),
        "alice-sign": people.token("sign"),
        "alice-reads": people.token("read"),
        "alice-sealer": people.token("write", scopes=["sealer"]),
        "alice-prover": people.token("write", scopes=["prover"]),
        "alice-expired": people.token("admin", expires_at=now() - timedelta(seconds=1)),
        "alice-revoked": people.token("admin"),
        "bob": people.token("write", of="bob"),
        "bob-sealer": people.token("write", of="bob", scopes=["sealer"]),
        "carol-disabled": people.token("admin", of="carol"),
        "operator": people.operator_token(),
    }
    token_revoke(Token.objects.get(hint=tokens["alice-revoked"][-8:]))
    tenant_update(tenant=people.tenant("carol"), enabled=False)
    Token.objects.update(last_used_at=now())  # noting a use is no consequence of what was asked
    miner, other = factories.miner(), factories.miner(of="bob")
    factories.head()
    own, foreign = factories.wallet(), factories.wallet(of="bob")
    sector = factories.sector(miner)
    names = {
        "miner": miner.address,
        "foreign_miner": other.address,
        "wallet": own.address,
        "foreign_wallet": foreign.address,
        "sector": str(sector.uuid),
        "foreign_sector": str(factories.sector(other).uuid),
        "job": str(sector.job.uuid),
    }
    with factories.node_served():
        scene = Scene(client, names, tokens)
        names["worker"], names["old_token"] = work_begin(scene, boot="boot-1")
        _, names["token"] = work_begin(scene, boot="boot-2")
        yield scene


def work_begin(scene: Scene, *, boot: str) -> tuple[str, int]:
    """Register a start of Alice's worker, claim the sector; gives the worker's id and the lease's token."""
    register = {"v": 1, "uid": "uid-1", "boot_id": boot, "name": "sealer", "host": "h", "version": "1"}
    register |= {"kinds": ["seal"], "slots": dict.fromkeys(WORKER_STAGES, 2)}
    who = people.bearer(scene.tokens["alice-sealer"])
    ask: dict[str, Any] = {"content_type": "application/json", "headers": who}
    answer = scene.client.post("/api/v1/workers/register", json.dumps(register), **ask)
    assert answer.status_code == 200, answer.content
    worker = str(answer.json()["worker_id"])
    claim = {"v": 1, "worker_id": worker, "boot_id": boot, "kinds": ["seal"], "stages": {"ADD_PIECE": 1}}
    claim |= {"new_sectors": 1, "max": 1}
    answer = scene.client.post("/api/v1/jobs:claim", json.dumps(claim), **ask)
    [job] = answer.json()["jobs"]
    return worker, int(job["token"])


@pytest.mark.parametrize("bad", [*WHO_CALLS, *BODIES, *SENDING, *REPORTS], ids=lambda bad: bad.what)
def test_it_is_refused_by_name_and_changes_nothing(scene: Scene, bad: Case) -> None:
    before = fingerprint(rows)

    answer = scene.send(bad)

    assert answer.status_code == bad.status, answer.content
    body = answer.json()
    assert (body["code"], body["field"]) == (bad.code, bad.field), body
    assert bad.words in body["message"], body
    assert set(body) == {"code", "message", "field"}
    assert fingerprint(rows) == before


@pytest.mark.parametrize("row", RPC_CASES, ids=lambda row: row[0])
def test_json_rpc_refuses_it_as_go_does_and_changes_nothing(scene: Scene, row: Any) -> None:
    _, who, ask, status, code, words = row
    if not isinstance(ask, str):
        ask = json.dumps({"jsonrpc": "2.0", "id": 1, "method": ask[0], "params": scene.fill(ask[1])})
    headers = people.bearer(scene.tokens[who]) if scene.tokens[who] else {}
    before = fingerprint(rows)

    answer = scene.client.post("/rpc/v0", ask, content_type="application/json", headers=headers)

    assert answer.status_code == status, answer.content
    error = answer.json()["error"]
    assert error["code"] == code, error
    assert words in error["message"], error
    assert fingerprint(rows) == before


def test_the_fingerprint_sees_one_changed_letter(scene: Scene) -> None:
    before = fingerprint(rows)

    Wallet.objects.filter(address=scene.names["wallet"]).update(label="x")

    after = fingerprint(rows)
    assert {table for table in after if after[table] != before[table]} == {"wallets_wallet"}
