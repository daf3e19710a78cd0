"""What tokens for some miners or signers read: every GET route and read method, held to what is theirs."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

import pytest
from django.apps import apps
from django.core.cache import cache

from apps.api.access_table import Endpoint, endpoints
from apps.api.rpc.services.damocles.forms import COUNT, SECTOR
from apps.api.rpc.services.messager.parameters import QUERY
from apps.api.rpc.services.registry import SERVICES, VERSIONS
from apps.automation.models import AutoRule
from apps.checks.models import Alert, AlertChannel
from apps.checks.states import ChannelKind
from apps.core.clock import now
from apps.messages.models import ApprovalRule, AutoBumpRule, GasGuard
from apps.sectors.models import (
    Allocation,
    HostReport,
    Job,
    SectorCopy,
    SharedSettings,
    Store,
    StoreCheck,
    StoreFinding,
    StoreMove,
    Worker,
)
from apps.users.models import Tenant, Token
from apps.users.rules.encryption import text_encrypt
from apps.users.services.audit import audit_record
from apps.users.services.grants import miner_grant, signer_grant
from apps.users.services.tokens import TokenLimits
from poolsite.wire.jsonrpc import parameters
from tests import factories, people
from tests.auto_rules import auto_rule
from tests.demo_data import Pool, busy_pool

pytestmark = pytest.mark.django_db

MINE, OTHER = 2001, 3001
OTHER_KEYS: Final = (factories.bls(102), factories.secp(202))
TABLE: Final = endpoints()
OF_MINERS: Final = re.compile(
    r"/api/v1/(miners|sectors|sector-|pieces|planner|sealing|stores|workers|checks|jobs)"
    r"|/user/miner|/miner/|Filecoin\.|Venus\.|Gateway\.List(Conn|Market|Miner)"
)
"""What a token for signers sees all of its tenant's of: miners, what they hold, and the hosts."""
NOT_SHOWN: Final = re.compile(
    r"/(reach|addresses|escrow|move|pledge-price|dry-run|data|kept|policy|retrievals|versions/.*|work)$"
    r"|/(offline-keys|multisigs)/|/multisigs$|/(adoptions|uploads|checks|scans|sector-changes|deals)/[^/]*$|/jobs/|/chain/nodes/<|/chain/head"
)
"""Routes that answer 404, 409 or 503 of one's own objects here: without a node, a signer or such a row."""
WAITS: Final = frozenset({"ComputeProof", "SectorsUnsealPiece", "WalletHas", "WaitMessage"})
"""Methods that ask connected providers, or wait for a head."""


@dataclass(frozen=True)
class World:
    """Two miners, each with its signers, hosts and stores: of one tenant, or of two."""

    mine: Pool
    other: Pool


def shared(mine: Pool, other: Pool) -> None:
    """The stores and the host of the first hold sectors of the second too."""
    host, store, sector = mine.sealer, mine.store, other.active
    at = now()
    StoreFinding.objects.create(
        store=store, kind="UNKNOWN", name=f"s-t0{OTHER}-5", miner_id=OTHER, number=5, sector=sector
    )
    SectorCopy.objects.create(sector=sector, store=store, condition="BAD", found_at=at)
    StoreMove.objects.create(
        sector=sector, worker=host, from_store=store, to_store=mine.mirror, actor=f"f0{OTHER}"
    )
    StoreCheck.objects.create(store=store, worker=host, sector=sector, bytes_s=1, actor="ann")
    report = HostReport.objects.get(worker=host)
    more = [{"miner_id": OTHER, "number": 5, "folder": "/nvme1/sealing", "size": 1}]
    HostReport.objects.filter(pk=report.pk).update(
        leftovers=report.leftovers + more, log=[f"f0{OTHER} sealed"], log_at=at
    )
    Job.objects.filter(sector=other.sealing).update(worker=host)


@pytest.fixture
def of_operator() -> bool:
    """Whether the two miners are of two tenants, and the caller is the operator's token."""
    return False


@pytest.fixture
def world(of_operator: bool) -> World:
    cache.clear()
    mine = busy_pool("alice", key=1, actor_id=MINE)
    other = busy_pool("bob", key=2, actor_id=OTHER)
    for pool in (mine, other):
        auto_rule(of=pool.miner.tenant.name)
        name, target = f"{pool.miner.name} alerts", text_encrypt("ops@example.com")
        tenant = pool.miner.tenant
        AlertChannel.objects.create(tenant=tenant, name=name, kind=ChannelKind.EMAIL, target=target)
        facts = {
            "check_name": f"of_{tenant}",
            "severity": "warning",
            "say": f"f0{pool.miner.actor_id} is late",
        }
        Alert.objects.create(tenant=tenant, count=1, began_at=now(), since=now(), **facts)
    if not of_operator:
        alice, bob = people.tenant("alice"), people.tenant("bob")
        GasGuard.objects.filter(tenant=bob).delete()
        AutoBumpRule.objects.filter(tenant=bob).delete()
        ApprovalRule.objects.filter(tenant=bob).delete()
        SharedSettings.objects.filter(tenant=bob).delete()
        for store in bob.stores.all():
            Store.objects.filter(pk=store.pk).update(name=f"bob-{store.name}", uid=f"bob-{store.uid}")
        for model in apps.get_models():
            for field in model._meta.concrete_fields:
                if field.related_model is Tenant:
                    model._default_manager.filter(**{field.name: bob}).update(**{field.name: alice})
    owner = people.tenant("bob" if of_operator else "alice")
    miner_grant(tenant=owner, actor_id=OTHER)
    signer_grant(tenant=owner, address=str(other.wallet.address))
    shared(mine, other)
    for key in (other.wallet.address, mine.wallet.address):
        factories.sign_record(str(key), of=owner.name, what=f"message: method 7 to f0{OTHER}")
    by = people.principal(owner.name)
    audit_record(principal=by, action="miner.owner", target=f"f0{OTHER}", after={"owner": OTHER_KEYS[0]})
    people.token("read", of=owner.name, limits=TokenLimits(miners=[OTHER], signers=[*OTHER_KEYS]))
    return World(mine, other)


def limits_of(kind: str, world: World) -> TokenLimits:
    key = str(world.mine.wallet.address)
    return {
        "none": TokenLimits(),
        "miners": TokenLimits(miners=[MINE]),
        "signers": TokenLimits(signers=[key]),
        "both": TokenLimits(miners=[MINE], signers=[key]),
    }[kind]


def asked(row: Endpoint, pool: Pool, world: World) -> str:
    """The path of a route with one of a pool's objects; a parameter that is new here raises KeyError."""
    noun = row.path.removeprefix("/api/v1/").partition("/")[0]
    is_mine = pool is world.mine
    uuids = {
        "sectors": pool.active.uuid,
        "workers": pool.sealer.uuid,
        "stores": pool.store.uuid,
        "pieces": pool.piece.uuid,
        "statements": pool.statement.uuid,
        "alerts": Alert.objects.get(say__contains=f"f0{pool.miner.actor_id} ").uuid,
        "alert-channels": AlertChannel.objects.get(name__startswith=pool.miner.name).uuid,
        "auto-rules": AutoRule.objects.order_by("pk").values_list("uuid", flat=True)[0],
        "approval-rules": ApprovalRule.objects.order_by("pk").values_list("uuid", flat=True)[0],
        "tokens": Token.objects.order_by("created_at").values_list("pk", flat=True)[0],
    }
    addresses = {"miners": pool.miner.address, "clients": factories.secp(5)}
    values = {
        "address": addresses.get(noun, pool.wallet.address),
        "id": pool.landed.pk,
        "piece_cid": pool.piece.piece_cid,
        "name": pool.miner.tenant.name if noun == "tenants" else "nodes_unhealthy",
        "uuid": uuids.get(noun, "00000000-0000-4000-8000-000000000000"),
        "allocation": Allocation.objects.filter(miner=pool.miner).values_list("number", flat=True)[0],
        "index": "0",
        "key": "1",
        "number": "0",
        "check": "0",
        "scan": str(pool.store.scans.values_list("uuid", flat=True)[0]) if noun == "stores" else "0",
    }
    path = re.sub(r"<(?:\w+:)?(\w+)>", lambda found: str(values[found[1]]), row.path)
    miner, key = (MINE, world.mine.wallet.address) if is_mine else (OTHER, OTHER_KEYS[0])
    about = f"?name=alice&user=alice&miner=f0{miner}&signer={key}"
    return path + about if row.interface == "auth" else path


def strange(text: str, request: str, kind: str) -> list[str]:
    """What of the other miner and its signers an answer tells that the request did not name."""
    marks = [*OTHER_KEYS, "bob control", "bob-landed", "bob/flying", "bob-read"]
    if kind != "signers":
        marks += [f"0{OTHER}", f'"miner_id":{OTHER}', f'"Miner":{OTHER}', "bob-main", "outage of bob"]
    if Worker.objects.filter(tenant__name="bob").exists():
        marks.append('"bob')
    return [mark for mark in marks if mark in text and mark not in request]


def leaks(client: Any, world: World, kind: str, *, is_operator: bool) -> dict[str, Any]:
    """Each GET route that tells of the other miner, with what."""
    found = {}
    for row in TABLE:
        if row.interface == "rpc" or row.method != "GET":
            continue
        headers = people.bearer(token_for(world, kind, is_operator, scopes_of(row)))
        for pool in (world.mine, world.other):
            path = asked(row, pool, world)
            answer = client.get(path, headers=headers)
            text = "" if answer.streaming else answer.content.decode()
            if told := strange(text, path, kind):
                found[row.path] = (answer.status_code, told, text[:300])
    return found


def scopes_of(row: Endpoint) -> list[str]:
    return [] if "" in row.scopes else [*row.scopes][:1]


def token_for(world: World, kind: str, is_operator: bool, scopes: Sequence[str] = ()) -> str:
    limits = limits_of(kind, world)
    return people.token("admin", of="alice", is_operator=is_operator, scopes=scopes, limits=limits)


SHOWN: Final = {
    "/api/v1/audit",
    "/api/v1/charges",
    "/api/v1/gas",
    "/api/v1/gas/spend",
    "/api/v1/messages",
    "/api/v1/miners",
    "/api/v1/sectors",
    "/api/v1/senders",
    "/api/v1/stores/<str:uuid>/copies",
    "/api/v1/stores/<str:uuid>/findings",
    "/api/v1/stores/<str:uuid>/moves",
    "/api/v1/tokens",
    "/api/v1/wallets",
    "/api/v1/wallets/records",
    "/api/v1/workers",
    "/api/v1/workers/<str:uuid>/leftovers",
    "/api/v1/workers/<str:uuid>/log",
    "/user/miner/list",
    "/user/signer/list",
}
"""Some of the routes on which a token without limits sees the other miner of its tenant."""


def candidates(param: parameters.Param, pool: Pool) -> list[Any]:
    """Values of a method's parameter: one pool's objects."""
    known: dict[str, list[Any]] = {
        parameters.TEXT.go: [pool.landed.pk, str(pool.wallet.address), "online", "offline"],
        parameters.ADDRESS.go: [str(pool.wallet.address), pool.miner.address],
        parameters.CID.go: [{"/": pool.landed.cid}],
        parameters.NUMBER.go: [1, pool.miner.actor_id],
        parameters.BOOL.go: [False],
        parameters.OBJECT.go: [{}, {"Miners": [pool.miner.address]}],
        parameters.list_of(parameters.ADDRESS).go: [[], [pool.miner.address]],
        QUERY.go: [{}, {"From": [pool.wallet.address]}],
        SECTOR.go: [{"Miner": pool.miner.actor_id, "Number": 0}],
        COUNT.go: [0, 1, pool.miner.actor_id],
    }
    return known.get(param.go, [None])


def own_methods() -> list[Endpoint]:
    """Methods that read and that the console answers itself."""
    rows = [row for row in TABLE if row.interface == "rpc" and not row.is_channel]
    rows = [row for row in rows if row.level == "read" or re.search(r"\.(List|Get|Has)", row.path)]
    return [row for row in rows if not method_of(row).is_raw and row.path.partition(".")[2] not in WAITS]


def method_of(row: Endpoint) -> Any:
    return SERVICES[row.path.partition(".")[0]].find(row.path, row.method.split()[0])


def rpc_leaks(client: Any, world: World, kind: str, *, is_operator: bool) -> dict[str, Any]:
    """Each read method whose result tells of the other miner, with what."""
    headers = people.bearer(token_for(world, kind, is_operator))
    found = {}
    for version in VERSIONS:
        calls = [
            {"jsonrpc": "2.0", "id": at, "method": path, "params": params}
            for at, (path, params) in enumerate(calls_of(version, world))
        ]
        for at in range(0, len(calls), 100):
            body = json.dumps(calls[at : at + 100])
            answers = client.post(f"/rpc/{version}", body, content_type="application/json", headers=headers)
            for answer in answers.json():
                call = calls[answer["id"]]
                text = json.dumps(answer.get("result"), separators=(",", ":"))
                if told := strange(text, json.dumps(call), kind):
                    found[call["method"]] = (call["params"], told, text[:300])
    return found


def calls_of(version: str, world: World) -> list[tuple[str, list[Any]]]:
    """Every read method of a version with the objects of both miners."""
    return [
        (row.path, list(params))
        for row in own_methods()
        if row.method.split()[0] == version
        for pool in (world.mine, world.other)
        for params in product(*(candidates(param, pool) for param in method_of(row).params))
    ]


METHODS_SHOWN: Final = {
    "Filecoin.ListAddress",
    "Gateway.ListConnectedMiners",
    "Gateway.ListWalletInfo",
    "Message.ListAddress",
    "Message.ListMessage",
    "Message.GetMessageByUid",
    "Venus.FindSectorInAllStates",
    "Venus.ListSectors",
}
"""Some of the methods by which a token without limits sees the other miner of its tenant."""


@pytest.mark.parametrize("of_operator", [False, True], ids=["tenant", "operator"])
@pytest.mark.parametrize("kind", ["miners", "signers", "both"])
def test_a_limited_token_reads_nothing_that_is_not_its_own(client, world, kind, of_operator):
    found = leaks(client, world, kind, is_operator=of_operator)
    found |= rpc_leaks(client, world, kind, is_operator=of_operator)
    if kind == "signers":
        found = {path: told for path, told in found.items() if not OF_MINERS.match(path)}

    assert found == {}


def test_a_token_without_limits_reads_of_the_other_miner(client, world):
    assert SHOWN - leaks(client, world, "none", is_operator=False).keys() == set()
    assert METHODS_SHOWN - rpc_leaks(client, world, "none", is_operator=False).keys() == set()


def test_each_route_that_is_read_here_finds_something(client, world):
    wrong = {}
    for row in TABLE:
        if row.interface == "rest" and row.method == "GET" and not NOT_SHOWN.search(row.path):
            headers = people.bearer(token_for(world, "none", True, scopes_of(row)))
            answer = client.get(asked(row, world.mine, world), headers=headers)
            if answer.status_code != 200:
                wrong[row.path] = answer.status_code

    assert wrong == {}, "create a row for it here, or name it in NOT_SHOWN"
