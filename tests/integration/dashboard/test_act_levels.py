"""An act needs one level, on its page as over REST."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any, Final

import pytest
from django.db import transaction
from django.test import Client
from django.urls import reverse

from apps.api.access_table import Endpoint, endpoints
from apps.blocks.models import Statement
from apps.chain.models import Node
from apps.checks.models import Alert, AlertChannel
from apps.core.clock import now
from apps.market.services.client_tokens import client_token_create
from apps.sectors.models import Sector, SectorChange
from apps.users.models import AccountApproval, Token
from apps.users.services.grants import miner_grant
from apps.users.states import PERMS, ROLE_PERMS, Role
from apps.wallets.models import RemoteWallet
from tests import factories, people
from tests.audit_world import World
from tests.auto_rules import auto_rule
from tests.components import announced, incident
from tests.messaging import pool_world
from tests.mk20 import sized
from tests.page_client import form_pages, signed_in, text_of

pytestmark = pytest.mark.django_db

ROWS: Final = {
    f"{row.method} {row.path.removeprefix('/api/v1/')}": row for row in endpoints() if row.interface == "rest"
}
MINER: Final = "f02001"
ACTS: Final[dict[str, str]] = {
    **dict.fromkeys(("sector-retry", "sector-back"), "POST sectors/<str:uuid>/retry"),
    "sector-pause": "POST sectors/<str:uuid>/pause",
    "sector-end-stage": "POST sectors/<str:uuid>/pause",
    "sector-abort": "POST sectors/<str:uuid>/abort",
    "sector-state-set": "PUT sectors/<str:uuid>/state",
    "sector-restore": "POST sectors/<str:uuid>/restore",
    "sector-snap-up": "POST sectors/<str:uuid>/snap-up",
    "sector-rebuild": "POST sectors/<str:uuid>/rebuild",
    "sector-run-retry": "POST sectors/<str:uuid>/rebuild/retry",
    "sector-run-abort": "POST sectors/<str:uuid>/rebuild/abort",
    "sector-check-files": "POST stores/<str:uuid>/checks",
    "sector-change-cancel": "DELETE sector-changes/<str:uuid>",
    "sectors-change": "POST sector-changes",
    "sectors-failures-retry": "POST sector-failures/<str:fingerprint>/retry",
    "sectors-remove-files": "POST sectors:remove-files",
    "sectors-snap-up": "POST sectors:snap-up",
    "pledge": "POST miners/<str:address>/sectors",
    "host-setting": "PUT workers/<str:uuid>/settings",
    "host-settings": "PUT host-settings",
    "host-group": "PUT workers/<str:uuid>/group",
    "host-retire": "DELETE workers/<str:uuid>",
    "host-drives": "POST workers/<str:uuid>/drives:reset",
    "host-leftovers": "POST workers/<str:uuid>/leftovers:remove",
    **dict.fromkeys(("host-act", "host-command"), "POST workers/<str:uuid>/commands"),
    "host-join": "POST join-tokens",
    "console-join": "POST consoles/join-tokens",
    "console-remove": "DELETE consoles/<str:machine>",
    "store-attach": "POST stores",
    "store-change": "PATCH stores/<str:uuid>",
    "store-move": "POST stores/<str:uuid>/moves",
    "store-moves-cancel": "DELETE stores/<str:uuid>/moves",
    "store-check": "POST stores/<str:uuid>/checks",
    "store-check-cancel": "DELETE stores/<str:uuid>/checks/<str:check>",
    "store-scan": "POST stores/<str:uuid>/scans",
    "store-scan-cancel": "DELETE stores/<str:uuid>/scans/<str:scan>",
    "store-redeclare": "POST stores/<str:uuid>/redeclare",
    "store-adopt": "POST stores/<str:uuid>/findings:adopt",
    "store-leftovers": "POST stores/<str:uuid>/findings:remove",
    "store-forget": "POST stores/<str:uuid>/forget",
    "store-detach": "POST stores/<str:uuid>/detach",
    "message-compose": "POST messages",
    "message-replace": "POST messages/<path:id>/replace",
    "message-republish": "POST messages/<path:id>/republish",
    "message-cancel": "POST messages/<path:id>/cancel",
    "message-push-again": "POST messages/<path:id>/push-again",
    "message-approve": "POST messages/<path:id>/approve",
    "approval-rule-new": "POST approval-rules",
    "approval-rule-act": "POST approval-rules/<uuid:uuid>/removal",
    "message-mark-bad": "POST messages/<path:id>/mark-bad",
    **dict.fromkeys(("message-retry-now", "messages-bulk"), "POST messages:bulk"),
    "messages-csv": "GET messages",
    **dict.fromkeys(("sender-settings", "sender-act"), "PATCH senders/<str:address>"),
    "recovery": "POST recovery",
    "wallet-name": "PATCH wallets/<str:address>",
    "policy-save": "PUT wallets/<str:address>/policy",
    "policy-try": "POST wallets/<str:address>/policy/try",
    **dict.fromkeys(
        (
            *("policy-rule", "policy-remove", "policy-text", "policy-miners", "policy-proofs"),
            *("policy-publishing", "policy-transfers"),
        ),
        "POST wallets/<str:address>/policy/draft",
    ),
    "gas-auto-bump": "PUT gas/auto-bump",
    "gas-guard-new": "POST gas/guards",
    "gas-guard-remove": "DELETE gas/guards/<uuid:uuid>",
    "miner-new": "POST miners",
    **dict.fromkeys(("miner-move-in", "miner-move-out"), "POST miners/<str:address>/move"),
    "miner-addresses": "POST miners/<str:address>/addresses",
    "miner-withdraw": "POST miners/<str:address>/withdrawals",
    "miner-adopt": "POST miners/<str:address>/adoptions",
    "deal": "POST deals/<str:uuid>/data:fetch",
    "deal-end": "POST deals/<str:uuid>/end",
    "client": "PATCH clients/<str:address>",
    "client-token-new": "POST clients/<str:address>/tokens",
    "client-token-revoke": "DELETE clients/<str:address>/tokens/<uuid:uuid>",
    "miner-market": "PATCH miners/<str:address>/market",
    "miner-market-settle": "POST miners/<str:address>/settlements",
    "miner-batches": "PATCH miners/<str:address>/batches",
    "miner-batches-send": "POST miners/<str:address>/batches/send",
    "miner-pieces-seal": "POST miners/<str:address>/pieces/seal",
    "miner-senders": "PATCH miners/<str:address>/senders",
    "miner-target": "PUT miners/<str:address>/target",
    "miner-transfer": "POST miners/<str:address>/transfer",
    "miner-role-act": "POST miners/<str:address>/roles",
    "miner-proving-settings": "PATCH miners/<str:address>/proving",
    "proving-settings": "PATCH proving/settings",
    "proving-test": "POST miners/<str:address>/sectors/<str:number>/test",
    "proving-compact": "POST miners/<str:address>/deadlines/<str:index>/compact",
    "proving-dry-run": "POST miners/<str:address>/deadlines/<str:index>/dry-run",
    "proving-recover": "POST miners/<str:address>/deadlines/<str:index>/recover",
    "blocks-mining": "PUT miners/<str:address>/mining",
    "blocks-warm-up": "POST miners/<str:address>/warm-up",
    "piece-unseal": "GET pieces/<str:piece_cid>/data",
    "piece-index": "POST pieces/<str:piece_cid>/index",
    "piece-purpose": "PUT pieces/uploads/<str:uuid>/purpose",
    "piece-remove": "DELETE pieces/<str:piece_cid>",
    "chain-unbind": "DELETE chain/network",
    "chain-node-new": "POST chain/nodes",
    "offline-key-new": "POST offline-keys",
    "offline-key-remove": "DELETE offline-keys/<str:address>",
    "offline-export": "POST offline-keys/<str:address>/exports",
    "offline-signatures": "POST offline-signatures",
    "message-withdraw-export": "POST messages/<path:id>/withdraw-export",
    "remote-wallet-act": "PATCH remote-wallets/<uuid:uuid>",
    "remote-wallet-new": "POST remote-wallets",
    "auto-rule-act": "PATCH auto-rules/<uuid:uuid>",
    "auto-rule-edit": "PUT auto-rules/<uuid:uuid>",
    **dict.fromkeys(("auto-rule-new", "auto-rule-new-extension"), "POST auto-rules"),
    "chain-node-act": "PATCH chain/nodes/<str:key>",
    "check-act": "PATCH checks/<str:name>",
    "status-visibility": "PATCH status",
    "tenant-service-targets": "PUT tenants/<str:name>/service-targets",
    "maintenance-announce": "POST status/maintenance",
    "maintenance-end": "DELETE status/maintenance/<uuid:uuid>",
    "incident-note": "PATCH status/incidents/<uuid:uuid>",
    "charges-terms": "POST tenants/<str:name>/terms",
    "charges-correction": "POST tenants/<str:name>/corrections",
    "statement-act": "PUT statements/<uuid:uuid>/payment",
    "tenant-new": "POST tenants",
    "tenant-act": "PATCH tenants/<str:name>",
    "alert-act": "PUT alerts/<uuid:uuid>/acknowledgement",
    "tenant-channel-new": "POST alert-channels",
    "tenant-channel-act": "PATCH alert-channels/<uuid:uuid>",
    "token-new": "POST tokens",
    "token-revoke": "DELETE tokens/<uuid:uuid>",
    "gateway-approve": "POST signer-approvals",
    "audit-check": "GET audit/state",
    "claims-extend": "POST claims:extend",
}
"""A page that takes a form, and the REST row of the same act."""
PAGES_ONLY: Final = re.compile(
    r"account|login|logout|password|invitation|theme|list-choice"  # one's own account
    r"|own-sign-"  # a client's, without one
    r"|person|alert-channel|fault-injection|gateway-act|gas-rules|gas-method|miner-remove"
    r"|multisig-"  # only a node knows them: `test_multisigs`
)
"""Acts that REST has none of, or that the operator does on a page of its own."""


def approval() -> int:
    pair = {"signer_tenant": people.tenant("bob"), "account": people.tenant("alice")}
    return AccountApproval.objects.create(**pair).pk


def alert_channel() -> Any:
    own = AlertChannel.objects.filter(tenant=people.tenant("alice"))
    return (own.first() or own.create(tenant=people.tenant("alice"), name="ops", kind="WEBHOOK")).uuid


def alert() -> Any:
    own = Alert.objects.filter(tenant=people.tenant("alice"))
    facts = {"tenant": people.tenant("alice"), "check_name": "hosts_away", "severity": "warning", "count": 1}
    return (own.first() or own.create(**facts, began_at=now(), since=now())).uuid


def statement() -> Any:
    month, rows = date(2026, 10, 1), Statement.objects.filter(tenant=people.tenant("alice"))
    facts = {"tenant": people.tenant("alice"), "month": month, "total": 0, "closed_at": now()}
    return (rows.first() or rows.create(**facts)).uuid


def remote_wallet() -> Any:
    own = RemoteWallet.objects.filter(tenant=people.tenant("alice"))
    facts = {"tenant": people.tenant("alice"), "name": "cold", "url": "http://10.0.0.7/rpc/v0", "token": ""}
    return (own.first() or own.create(**facts)).uuid


def client_token(world: World) -> list[Any]:
    client = factories.deal(world.miner, sized(b"x" * 1000)).client
    by = people.principal("alice", perm="admin")
    return [client, client_token_create(client=client, name="c", expires_at=None, by=by)[0].uuid]


def change(world: World) -> Any:
    sector = factories.sector(world.miner, state="PROVING", number=88)
    facts = {"kind": "TERMINATE", "state": "TERMINATE_QUEUED", "queued_height": 1, "actor": "ann"}
    return SectorChange.objects.create(sector=sector, **facts).uuid


ARGS: Final[dict[str, Callable[[World], list[Any]]]] = {
    "sector-back": lambda w: [w.sector.uuid, "ALLOCATED"],
    "message-approve": lambda w: [w.uid("waiting")],
    "approval-rule-act": lambda w: [factories.approval_rule(of="alice", method=23).uuid, "ask"],
    "sector-run-": lambda w: [w.sector.uuid, "REBUILD"],
    "sector-check-files": lambda w: [w.stored()],
    "sector-change-cancel": lambda w: [change(w)],
    "sectors-change": lambda _: ["extend"],
    "sectors-failures-retry": lambda _: ["none"],
    "sectors-": lambda _: [],
    "sector-": lambda w: [w.sector.uuid],
    "host-act": lambda w: [w.worker.uuid, "pause"],
    "host-command": lambda w: [w.worker.uuid, "pause"],
    **dict.fromkeys(("host-join", "host-settings"), lambda _: []),
    "host-": lambda w: [w.worker.uuid],
    "console-remove": lambda _: ["second"],
    "store-attach": lambda _: [],
    "store-check-cancel": lambda w: [w.store.uuid, w.checking()],
    "store-scan-cancel": lambda w: [w.store.uuid, w.scanning()],
    "store-detach": lambda w: [w.store.uuid, w.worker.uuid],
    "store-": lambda w: [w.store.uuid],
    "message-compose": lambda _: [],
    "message-": lambda w: [w.uid("flying")],
    "messages-bulk": lambda _: ["mark-bad"],
    "sender-act": lambda w: [w.address, "pause"],
    "policy-": lambda w: [w.address],
    "wallet-": lambda w: [w.address],
    "sender-": lambda w: [w.address],
    "gas-guard-remove": lambda _: [factories.guard(of="alice").uuid],
    "miner-new": lambda _: [],
    "miner-role-act": lambda _: [MINER, "give"],
    "miner-": lambda _: [MINER],
    "proving-test": lambda _: [MINER, 77],
    "proving-settings": lambda _: [],
    "proving-": lambda _: [MINER, 0],
    "blocks-": lambda w: [w.miner.uuid],
    "piece-": lambda w: [factories.piece(w.miner).uuid],
    "client-token-revoke": lambda w: client_token(w),
    "deal": lambda w: [factories.deal(w.miner, sized(b"y" * 1000), source="offline").uuid],
    "client": lambda w: [factories.deal(w.miner, sized(b"x" * 1000)).client],
    "chain-node-act": lambda _: [Node.objects.get().pk, "disable"],
    "charges-": lambda _: [people.tenant("bob").uuid],
    "statement-act": lambda _: [statement(), "pay"],
    "tenant-act": lambda _: [people.tenant("bob").uuid, "comment"],
    "tenant-channel-new": lambda _: [people.tenant("alice").uuid],
    "alert-act": lambda _: [alert(), "end"],
    "tenant-channel-act": lambda _: [people.tenant("alice").uuid, alert_channel(), "test"],
    "check-act": lambda _: ["fee_debt", "severity"],
    "tenant-service-targets": lambda _: [people.tenant("bob").uuid],
    "maintenance-end": lambda _: [announced().uuid],
    "incident-note": lambda _: [incident().uuid],
    "token-revoke": lambda _: [Token.objects.get(tenant__name="alice").uuid],
    "gateway-approve": lambda _: [approval(), "refuse"],
    **dict.fromkeys(("offline-export", "offline-key-remove"), lambda w: [w.address]),
    "remote-wallet-act": lambda _: [remote_wallet(), "off"],
    "auto-rule-act": lambda _: [auto_rule().uuid, "off"],
    "auto-rule-edit": lambda _: [auto_rule().uuid],
}
"""What an address needs, by what the page's name begins with; the first that fits."""


@pytest.fixture
def world(client: Client, monkeypatch: pytest.MonkeyPatch, shared_reports: str) -> Iterator[World]:
    """A pool with a row for each page."""
    with pool_world(monkeypatch) as pool:
        made = World(pool, client)
        Sector.objects.filter(pk=made.sector.pk).update(state="PC1_DONE", paused_at=now(), error="killed")
        made.sector.refresh_from_db()
        factories.partition(factories.deadline(made.miner, live=1), live=[77])
        miner_grant(tenant=people.tenant("alice"), actor_id=2001)
        yield made


def address_of(page: str, world: World) -> str:
    given = next((args for words, args in ARGS.items() if page.startswith(words)), None)
    return reverse(page, args=given(world) if given else [])


def lets_in(row: Endpoint, level: str, *, is_operator: bool) -> bool:
    """Whether this row lets in a caller of this level."""
    return PERMS.index(level) >= PERMS.index(row.level) and (is_operator or not row.operator_only)


@pytest.mark.parametrize("level", PERMS)
@pytest.mark.parametrize("name", ["ann", "olga"])
def test_a_page_lets_in_whom_its_rest_row_lets_in(
    world: World, name: str, level: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for role in (Role.TENANT, Role.OPERATOR):
        monkeypatch.setitem(ROLE_PERMS, role, level)
    browser, wrong = signed_in(name), {}

    for page, row in ACTS.items():
        before = transaction.savepoint()
        is_let_in = browser.post(address_of(page, world)).status_code != 404
        transaction.savepoint_rollback(before)
        if is_let_in != lets_in(ROWS[row], level, is_operator=name == "olga"):
            wrong[page] = (row, ROWS[row].level, is_let_in)

    assert not wrong


def test_every_page_that_takes_a_form_is_compared_or_has_no_rest_row(world: World) -> None:
    named = {page for page in form_pages(signed_in("olga")) if not PAGES_ONLY.match(page)}

    assert named == set(ACTS)


@pytest.mark.parametrize(
    ("level", "shown"),
    [("read", ()), ("write", ("sector-retry",)), ("sign", ("sector-retry", "sector-abort"))],
)
def test_a_page_offers_what_its_viewer_may_do(
    world: World, level: str, shown: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ROLE_PERMS, Role.TENANT, level)

    page = text_of(signed_in().get(reverse("sector", args=[world.sector.uuid])))

    names = ("sector-retry", "sector-abort")
    assert tuple(name for name in names if reverse(name, args=[world.sector.uuid]) in page) == shown
