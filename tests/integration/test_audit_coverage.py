"""Every route and method that changes something leaves a line in the audit log; the lists name the rest."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from django.test import Client
from django.urls import reverse

from apps.api.access_table import endpoints
from apps.api.auth.urls import ALL_ROUTES
from apps.core import clock
from apps.market.models import MinerMarket
from apps.messages.models import ExtraNode, Sender
from apps.messages.states import SenderState
from apps.miners.models import Miner
from apps.pieces.models import Piece
from apps.sectors.models import HostReport
from apps.sectors.services.sealing.steps import sector_stop
from apps.users.models import AuditEntry
from apps.users.services.grants import miner_grant
from apps.wallets.models import RemoteWallet
from poolsite.wire.codec import document_encode
from poolsite.wire.hosts import Register
from poolsite.wire.jobs import JobKind
from tests import factories, people
from tests.audit_routes import AUDITED, ELSEWHERE, PAGES_ELSEWHERE
from tests.audit_rules import CHANGES, DOES, ENDS, MAKES, CheckedLines, complaint
from tests.audit_world import World
from tests.messaging import pool_world
from tests.page_client import form_pages, hidden_fields, signed_in

pytestmark = pytest.mark.django_db

Body = dict[str, Any]
SITE: Final = Path(__file__).parents[2]


@pytest.fixture
def world(client: Client, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with pool_world(monkeypatch) as pool:
        made = World(pool, client)
        with CheckedLines():
            yield made


def wire(world: World, *, id: str = "new") -> Body:
    """A message as REST takes it."""
    return {"id": id, "from": world.address, "to": "f01000", "method": 0, "value": "5"}


def chain_message(world: World) -> Body:
    """A message as the messager takes it."""
    return {"Version": 0, "From": world.address, "To": "f01000", "Method": 0, "Value": "5", "Nonce": 0}


def paused(world: World) -> str:
    sector_stop(world.sector, actor="a test", now=clock.now())
    return f"sectors/{world.sector.uuid}"


WALLET: Final = {"name": "cold", "url": "/ip4/1.2.3.4/tcp/1777/http", "token": "t"}
FEES: Final = {
    "gasOverEstimation": 1.5,
    "maxFee": "7",
    "gasFeeCap": "700",
    "gasOverPremium": 2,
    "baseFee": "0",
}

REGISTER: Final = Register(
    uid="u1", boot_id="b1", name="s", host="h", version="1", kinds=(JobKind.SEAL,), slots={"ADD_PIECE": 1}
)
NODE: Final = {"ID": "00000000-0000-4000-8000-000000000001", "Name": "n", "URL": "http://n", "Type": 1}


def stop_mining(world: World) -> None:
    miner_grant(tenant=people.tenant("alice"), actor_id=2001)
    world.rest("PUT", "miners/f02001/mining", {"on": False})


REST: Final[dict[str, Callable[[World], None]]] = {
    "POST messages": lambda w: w.rest("POST", "messages", wire(w)),
    "POST messages:batch": lambda w: w.rest("POST", "messages:batch", {"messages": [wire(w)]}),
    "POST messages:bulk": lambda w: w.rest(
        "POST", "messages:bulk", {"action": "mark-bad", "ids": ["waiting"]}
    ),
    "POST messages/<path:id>/cancel": lambda w: w.rest("POST", "messages/flying/cancel"),
    "POST messages/<path:id>/push-again": lambda w: w.rest("POST", f"messages/{w.taken()}/push-again"),
    "POST messages/<path:id>/republish": lambda w: w.rest("POST", "messages/flying/republish"),
    "POST messages/<path:id>/replace": lambda w: w.rest("POST", "messages/flying/replace", {}),
    "POST messages/<path:id>/mark-bad": lambda w: w.rest("POST", "messages/waiting/mark-bad"),
    "POST sectors/<str:uuid>/pause": lambda w: w.rest("POST", f"sectors/{w.sector.uuid}/pause"),
    "POST sectors/<str:uuid>/retry": lambda w: w.rest("POST", f"{paused(w)}/retry", {}),
    "POST sectors/<str:uuid>/abort": lambda w: w.rest("POST", f"{paused(w)}/abort", {"reason": "lost"}),
    "PUT miners/<str:address>/mining": stop_mining,
    "PATCH senders/<str:address>": lambda w: w.rest("PATCH", f"senders/{w.address}", {"quota": 3}),
    "PATCH wallets/<str:address>": lambda w: w.rest("PATCH", f"wallets/{w.address}", {"label": "mine"}),
    "POST workers/register": lambda w: w.rest("POST", "workers/register", document_encode(REGISTER)),
    "DELETE workers/<str:uuid>": lambda w: w.rest("DELETE", f"workers/{w.worker.uuid}"),
    "PUT workers/<str:uuid>/settings": lambda w: w.rest(
        "PUT", f"workers/{w.worker.uuid}/settings", {"values": {"slots.PC1": 2}}
    ),
    "PUT workers/<str:uuid>/group": lambda w: w.rest("PUT", f"workers/{w.worker.uuid}/group", {"group": "a"}),
    "POST stores": lambda w: w.rest("POST", "stores", {"worker_id": str(w.worker.uuid), "path": "/a"}),
    "PATCH stores/<str:uuid>": lambda w: w.rest("PATCH", f"stores/{w.store.uuid}", {"weight": 2}),
    "POST stores/<str:uuid>/moves": lambda w: w.moved(),
    "DELETE stores/<str:uuid>/moves": lambda w: w.rest("DELETE", f"stores/{w.queued()}/moves"),
    "POST stores/<str:uuid>/forget": lambda w: w.forgotten(),
    "POST stores/<str:uuid>/checks": lambda w: w.rest("POST", f"stores/{w.proven()}/checks", {}),
    "DELETE stores/<str:uuid>/checks/<str:check>": lambda w: w.rest(
        "DELETE", f"stores/{w.store.uuid}/checks/{w.checking()}"
    ),
    "POST stores/<str:uuid>/scans": lambda w: w.rest("POST", f"stores/{w.store.uuid}/scans", {}),
    "DELETE stores/<str:uuid>/scans/<str:scan>": lambda w: w.rest(
        "DELETE", f"stores/{w.store.uuid}/scans/{w.scanning()}"
    ),
    "POST stores/<str:uuid>/redeclare": lambda w: w.rest("POST", f"stores/{w.store.uuid}/redeclare", {}),
    "POST stores/<str:uuid>/findings:adopt": lambda w: w.rest(
        "POST", f"stores/{w.found()}/findings:adopt", {}
    ),
    "POST stores/<str:uuid>/detach": lambda w: w.rest(
        "POST", f"stores/{w.store.uuid}/detach", {"worker_id": str(w.worker.uuid)}
    ),
    "PUT host-settings": lambda w: w.rest("PUT", "host-settings", {"values": {"sectors_max": 2}}),
    "POST workers/<str:uuid>/commands": lambda w: w.rest(
        "POST", f"workers/{w.worker.uuid}/commands", {"op": "pause"}
    ),
    "POST tenants": lambda w: w.rest("POST", "tenants", {"name": "carol"}, by=w.operator),
    "PATCH tenants/<str:name>": lambda w: w.rest("PATCH", "tenants/alice", {"comment": "x"}, by=w.operator),
    "POST gas/guards": lambda w: w.rest("POST", "gas/guards", {"max_fee": "7"}),
    "PATCH gas/guards/<uuid:uuid>": lambda w: w.rest(
        "PATCH", f"gas/guards/{factories.guard(of='alice').uuid}", {"max_fee": "7"}
    ),
    "DELETE gas/guards/<uuid:uuid>": lambda w: w.rest(
        "DELETE", f"gas/guards/{factories.guard(of='alice').uuid}"
    ),
    "PUT gas/auto-bump": lambda w: w.rest("PUT", "gas/auto-bump", {"within_epochs": 9, "every_epochs": 3}),
}
"""What each REST route does when it is asked for."""


SENDER: Final = factories.secp(7)
LIMIT_ID: Final = "00000000-0000-4000-8000-000000000001"
SOPHON: Final[tuple[tuple[str, Body], ...]] = (
    ("PUT /user/new", {"name": "zoe"}),
    ("POST /user/update", {"name": "zoe", "comment": "x"}),
    ("POST /genToken", {"name": "zoe", "perm": "read"}),
    ("DELETE /token", {"token": ""}),
    ("POST /recoverToken", {"token": ""}),
    ("POST /user/miner/add", {"user": "zoe", "miner": "f01000", "openmining": True}),
    ("POST /user/miner/del", {"miner": "f01000"}),
    ("POST /miner/add-miner", {"user": "zoe", "miner": "f01000", "openmining": True}),
    ("POST /miner/del", {"miner": "f01000"}),
    ("POST /user/signer/register", {"user": "zoe", "signers": [SENDER]}),
    ("POST /user/signer/unregister", {"user": "zoe", "signers": [SENDER]}),
    ("POST /user/signer/register", {"user": "zoe", "signers": [SENDER]}),
    ("POST /signer/del", {"signer": SENDER}),
    (
        "POST /user/ratelimit/upsert",
        {"name": "zoe", "id": LIMIT_ID, "reqlimit": {"cap": 1, "resetdur": 10**9}},
    ),
    ("POST /user/ratelimit/del", {"name": "zoe", "id": LIMIT_ID}),
    ("POST /user/del", {"name": "zoe"}),
    ("POST /user/recover", {"name": "zoe"}),
)
"""What sophon-auth's clients change, in turn; `genToken` answers with the token that is revoked then."""


def recover(world: World) -> None:
    world.failed(is_signed=True)
    world.rpc("Message.RecoverFailedMsg", world.address)


def take_back(world: World) -> None:
    world.failed(is_signed=False)
    world.rpc("Message.UpdateMessageStateByID", "waiting", 1)


def activate(world: World) -> None:
    Sender.objects.filter(address=world.address).update(state=SenderState.FORBIDDEN)
    world.rpc("Message.ActiveAddress", world.address)


def node_delete(world: World) -> None:
    ExtraNode.objects.create(name="n", url="http://n")
    world.rpc("Message.DeleteNode", "n", by=world.operator)


def wallet_delete(world: World) -> None:
    RemoteWallet.objects.create(tenant=people.tenant("alice"), **WALLET)
    world.rpc("Message.DeleteWallet", "cold", by=people.token("admin"))


RPC: Final[dict[str, Callable[[World], None]]] = {
    "PushMessage": lambda w: w.rpc("Message.PushMessage", chain_message(w), None),
    "PushMessageWithId": lambda w: w.rpc("Message.PushMessageWithId", "new", chain_message(w), None),
    "ReplaceMessage": lambda w: w.rpc("Message.ReplaceMessage", {"ID": "flying", "Auto": True}),
    "RepublishMessage": lambda w: w.rpc("Message.RepublishMessage", "flying"),
    "MarkBadMessage": lambda w: w.rpc("Message.MarkBadMessage", "waiting"),
    "RecoverFailedMsg": recover,
    "ClearUnFillMessage": lambda w: w.rpc("Message.ClearUnFillMessage", w.address),
    "UpdateMessageStateByID": take_back,
    "UpdateAllFilledMessage": lambda w: w.rpc("Message.UpdateAllFilledMessage", by=w.operator),
    "ForbiddenAddress": lambda w: w.rpc("Message.ForbiddenAddress", w.address),
    "ActiveAddress": activate,
    "DeleteAddress": lambda w: w.rpc("Message.DeleteAddress", w.address),
    "SetSelectMsgNum": lambda w: w.rpc("Message.SetSelectMsgNum", w.address, 9),
    "SetFeeParams": lambda w: w.rpc("Message.SetFeeParams", {"address": w.address, **FEES}),
    "UpdateNonce": lambda w: w.rpc("Message.UpdateNonce", w.address, 9),
    "SetSharedParams": lambda w: w.rpc(
        "Message.SetSharedParams", {"id": 1, "selMsgNum": 9, **FEES}, by=w.operator
    ),
    "SaveNode": lambda w: w.rpc("Message.SaveNode", NODE, by=w.operator),
    "DeleteNode": node_delete,
    "SaveWallet": lambda w: w.rpc("Message.SaveWallet", WALLET, by=people.token("admin")),
    "DeleteWallet": wallet_delete,
    "SetLogLevel": lambda w: w.rpc("Message.SetLogLevel", "apps.messages", "info", by=w.operator),
}
"""What each of the messager's methods does."""

HOSTS: Final = "a host's own report; each step stands in its sector's or proof's timeline"
CHANGES_NOTHING: Final = {
    "POST messages:dry-run": "a trial",
    "POST miners/<str:address>/warm-up": "a trial",
    "POST miners/<str:address>/roles:renew": "a holder's heartbeat",
    "POST chain/nodes:test": "a trial",
    "POST wallets/<str:address>/policy/draft": "a trial",
    "POST wallets/<str:address>/policy/try": "a trial",
    "POST workers/<str:uuid>/heartbeat": HOSTS,
    "POST workers/<str:uuid>/deal-files": HOSTS,
    "POST jobs:claim": HOSTS,
    "POST jobs/<str:uuid>/event": HOSTS,
    "POST jobs/<str:uuid>/progress": HOSTS,
    "POST jobs/<str:uuid>/complete": HOSTS,
    "POST jobs/<str:uuid>/fail": HOSTS,
    "POST jobs/<str:uuid>/release": HOSTS,
    "PUT jobs/<str:uuid>/data": HOSTS,
    "POST /verify": "says who holds a token",
    "POST /user/verify": "says which accounts there are",
}
"""REST routes that leave no line, with the reason."""

READS: Final = re.compile(r"^(Get|Has|List|Wait|Version|WalletHas|Net|LogList)")
RPC_WITHOUT: Final = {
    "Send": "pushes as PushMessage does, by the same service",
    "SaveActorCfg": "a rule of the pool, by the service of SetSharedParams",
    "UpdateActorCfg": "a rule of the pool, by the service of SetSharedParams",
    "UpdateFilledMessageByID": "as UpdateAllFilledMessage, of one message",
}
"""Methods of the messager that share the service of one that is driven."""
GATEWAY: Final = {
    "Listen": "a provider's channel: the page Gateway shows who is connected",
    "Response": "a provider's answer",
    "AddNewAddress": "a signer shows its keys",
    "RemoveAddress": "a signer shows its keys",
    "SupportNewAccount": "a signer names an account; the approval leaves the line",
    "WalletSign": "a signature is in the sign records",
    "ComputeProof": "a question to a prover",
    "SectorsUnsealPiece": "a question to a storage; where the pool does it, it leaves `piece.deliver`",
    "RegisterReverse": "leaves `gateway.reverse`",
    "IsUnsealed": "reads",
}


ACTS: Final = "leaves the console's own line; tests/unit/apps/api/rpc/test_damocles_acts.py reads it"
VENUS: Final = {
    **dict.fromkeys(("AllocateSector", "AllocateSectorsBatch", "AcquireDeals", "AssignTicket"), HOSTS),
    **dict.fromkeys(("SubmitPreCommit", "SubmitPersisted", "SubmitPersistedEx", "SubmitProof"), HOSTS),
    **dict.fromkeys(("ReportState", "ReportFinalized", "StoreReserveSpace"), HOSTS),
    **dict.fromkeys(("PollPreCommitState", "PollProofState", "StoreBasicInfo"), "reads"),
    **dict.fromkeys(("FindSector", "FindSectorInAllStates", "FindSectorsWithDeal"), "reads"),
    **dict.fromkeys(("FindSectorWithPiece", "SectorIndexerFind", "StoreList"), "reads"),
    "ImportSector": "leaves `sector.record-import`",
    "StoreReleaseReserved": HOSTS,
    "WorkerPing": "a heartbeat; the first leaves `worker.register`",
    "ReportAborted": "leaves `sector.abort`",
    **dict.fromkeys(("AllocateSanpUpSector", "SubmitSnapUpProof", "AllocateRebuildSector"), HOSTS),
    **dict.fromkeys(("AllocateUnsealSector", "AcquireUnsealDest", "AchieveUnsealSector"), HOSTS),
    **dict.fromkeys(("WdPoStAllocateJobs", "WdPoStHeartbeatJobs", "WdPoStFinishJob"), HOSTS),
    "WdPoStAllJobs": "reads",
    "WdPoStResetJob": "leaves `proving.job-reset`",
    "WdPoStRemoveJob": "leaves `proving.job-remove`",
    **dict.fromkeys(("RestoreSector", "TerminateSector", "RemoveSector", "FinalizeSector"), ACTS),
    **dict.fromkeys(("SectorSetForRebuild", "SnapUpCancelCommitment"), ACTS),
    **dict.fromkeys(("SimulateWdPoSt", "WorkerPingInfoRemove"), ACTS),
    **dict.fromkeys(("PollTerminateSectorState", "ProvingSectorInfo", "UnsealPiece"), "reads"),
    **dict.fromkeys(("SnapUpCandidates", "SnapUpPreFetch"), "reads"),
    **dict.fromkeys(("CheckProvable", "WorkerGetPingInfo", "WorkerPingInfoList"), "reads"),
}
"""Methods of damocles-manager; tests/unit/apps/api/rpc/test_damocles*.py drive them."""


def page(name: str, *args: Any, by: str = "ann", **form: str) -> Callable[[World], None]:
    """Post a page's form; an argument may be a function of the world."""

    def posted(world: World) -> None:
        given = [arg(world) if callable(arg) else arg for arg in args]
        answer = signed_in(by).post(
            reverse(name, args=given),
            {key: world.filled(value) for key, value in form.items()},
        )
        assert answer.status_code in (200, 302), (name, answer.status_code)

    return posted


def paused_key(world: World) -> Any:
    paused(world)
    return world.sector.uuid


def slots_told(world: World) -> Any:
    """Have the host report a setting: its form has those that it has."""
    told = [{"key": "slots.PC1", "value": "1", "origin": "default"}]
    HostReport.objects.create(worker=world.worker, settings=told)
    return world.worker.uuid


def served_piece(miner: Miner) -> Piece:
    """A piece of a miner that serves its data."""
    MinerMarket.objects.update_or_create(miner=miner, defaults={"serves_data": True})
    return factories.piece(miner)


def stop_mining_by_page(world: World) -> None:
    miner_grant(tenant=people.tenant("alice"), actor_id=2001)
    page("blocks-mining", lambda w: w.miner.uuid, on="0")(world)


def abort_by_page(world: World) -> None:
    typed = f"abort {world.sector.number}"
    page("sector-abort", paused_key, sure="yes", reason="lost", confirm=typed)(world)


def mark_bad_by_page(world: World) -> None:
    where, client = reverse("messages-bulk", args=["mark-bad"]), signed_in()
    review = client.post(where, {"all": "1", "state": "open", "q": world.address})
    client.post(where, hidden_fields(review))


SENT: Final = {"id": "new", "from": "<address>", "to": "f01000", "value": "1", "sure": "yes"}
PAGES: Final[dict[str, Callable[[World], None]]] = {
    "message-replace": page("message-replace", lambda w: w.uid("flying")),
    "message-republish": page("message-republish", lambda w: w.uid("flying")),
    "message-cancel": page("message-cancel", lambda w: w.uid("flying")),
    "message-push-again": page("message-push-again", lambda w: w.taken()),
    "message-mark-bad": page("message-mark-bad", lambda w: w.uid("waiting")),
    "message-retry-now": page("message-retry-now", lambda w: w.uid("waiting")),
    "messages-bulk": mark_bad_by_page,
    "message-compose": page("message-compose", **SENT),
    "sector-retry": page("sector-retry", paused_key),
    "sector-pause": page("sector-pause", lambda w: w.sector.uuid),
    "sector-end-stage": page("sector-end-stage", lambda w: w.sector.uuid, sure="yes"),
    "sector-abort": abort_by_page,
    "host-act": page("host-act", lambda w: w.worker.uuid, "pause"),
    "host-command": page("host-command", lambda w: w.worker.uuid, "drain"),
    "host-setting": page("host-setting", slots_told, **{"slots.PC1": "2"}),
    "host-settings": page("host-settings", place="<tenant>|", **{"slots.PC1": "2"}),
    "host-group": page("host-group", lambda w: w.worker.uuid, group="a"),
    "store-attach": page("store-attach", worker="<worker>", folder="/a", kind="new"),
    "store-change": page("store-change", lambda w: w.store.uuid, weight="2"),
    "store-move": page("store-move", lambda w: w.store.uuid, to="<other>", count="1"),
    "store-moves-cancel": page("store-moves-cancel", lambda w: w.queued()),
    "store-check": page("store-check", lambda w: w.proven(), bytes_s="9 MiB"),
    "store-check-cancel": page(
        "store-check-cancel", lambda w: w.store.uuid, lambda w: w.checking(), sure="yes"
    ),
    "sector-check-files": page("sector-check-files", lambda w: w.stored(), sure="yes"),
    "store-scan": page("store-scan", lambda w: w.store.uuid, sure="yes"),
    "store-scan-cancel": page(
        "store-scan-cancel", lambda w: w.store.uuid, lambda w: w.scanning(), sure="yes"
    ),
    "store-redeclare": page("store-redeclare", lambda w: w.store.uuid),
    "store-adopt": page("store-adopt", lambda w: w.found(), sure="yes"),
    "store-forget": page("store-forget", lambda w: w.unread(), confirm="store"),
    "store-detach": page("store-detach", lambda w: w.store.uuid, lambda w: w.worker.uuid, sure="yes"),
    "host-retire": page("host-retire", lambda w: w.worker.uuid, sure="yes"),
    "wallet-name": page("wallet-name", lambda w: w.address, label="mine"),
    "sender-act": page("sender-act", lambda w: w.address, "pause"),
    "blocks-mining": stop_mining_by_page,
    "piece-remove": page("piece-remove", lambda w: factories.piece(w.miner).uuid, sure="yes"),
    "piece-index": page("piece-index", lambda w: served_piece(w.miner).uuid),
    "piece-purpose": page("piece-purpose", lambda w: factories.piece(w.miner).uuid, purpose="snap-up"),
    "sender-settings": page("sender-settings", lambda w: w.address, quota="7"),
}
"""What forms do to messages, sectors, hosts, wallets, senders and miners."""
PAGES_WITHOUT: Final = {
    "sector-back": "the service of sector-retry, with a state",
    "theme": "colours of one's own pages",
    "list-choice": "columns and views of one's own lists",
    "blocks-warm-up": "a trial",
    "audit-check": "reads the log",
    "messages-csv": "reads",
    "piece-unseal": "reads a piece's bytes",
    "own-sign-in": "a client's session of its own pages, by its token",
    "own-sign-out": "the same session's end",
}


def driven() -> list[Any]:
    cases = {
        **REST,
        **{f"Message.{name}": case for name, case in RPC.items()},
        **{f"page {name}": case for name, case in PAGES.items()},
    }
    return [pytest.param(case, id=name) for name, case in cases.items()]


@pytest.mark.parametrize("case", driven())
def test_an_act_leaves_a_line_that_names_who_and_what(world: World, case: Callable[[World], None]) -> None:
    before = AuditEntry.objects.count()

    case(world)

    lines = AuditEntry.objects.order_by("pk")[before:]
    assert len(lines) == 1, [(line.action, line.target) for line in lines]
    assert lines[0].actor
    assert lines[0].target


def test_every_route_over_rest_is_driven_or_has_a_reason() -> None:
    known = {*REST, *ELSEWHERE, *CHANGES_NOTHING}
    rows = [row for row in endpoints() if row.interface == "rest" and row.method != "GET"]
    asked = {f"{row.method} {row.path.removeprefix('/api/v1/')}" for row in rows}

    assert asked - known == set()
    assert {name for name in known if not name.partition(" ")[2].startswith("/")} - asked == set()


def test_every_route_of_sophon_auth_that_changes_leaves_a_line() -> None:
    by, made = people.bearer(people.operator_token()), {"token": ""}
    driven = set()

    for route, body in SOPHON:
        method, _, path = route.partition(" ")
        before = AuditEntry.objects.count()
        sent = {name: made["token"] if name == "token" else value for name, value in body.items()}
        answer = Client().generic(method, path, json.dumps(sent), content_type="application/json", headers=by)
        assert answer.status_code == 200, (route, answer.content)
        if path == "/genToken":
            made = answer.json()
        assert AuditEntry.objects.count() > before, route
        driven.add(route)

    changing = {f"{route.method} /{route.path}" for route in ALL_ROUTES if route.method != "GET"}
    assert changing - CHANGES_NOTHING.keys() == driven


def test_every_method_is_driven_or_has_a_reason() -> None:
    names = {row.path for row in endpoints() if row.interface == "rpc"}
    ours = {name.removeprefix("Message.") for name in names if name.startswith("Message.")}
    hub = {name.removeprefix("Gateway.") for name in names if name.startswith("Gateway.")}

    assert {name for name in ours - RPC.keys() - RPC_WITHOUT.keys() if not READS.match(name)} == set()
    outside = {name.removeprefix("Venus.") for name in names if name.startswith("Venus.")}
    assert {name for name in outside - VENUS.keys() if not READS.match(name)} == set()
    unknown = {name for name in hub if not READS.match(name) and not name.startswith(tuple(GATEWAY))}
    assert unknown == set()


def test_every_page_that_takes_a_form_is_driven_or_has_a_reason(world: World) -> None:
    known = {*PAGES, *PAGES_WITHOUT}
    elsewhere = re.compile("|".join(f"({words})" for words in PAGES_ELSEWHERE.values()))
    browser = signed_in("olga")

    assert [page for page in form_pages(browser) if page not in known and not elsewhere.match(page)] == []


def test_the_tests_elsewhere_look_at_the_log() -> None:
    for place in AUDITED:
        assert "AuditEntry" in (SITE / place).read_text(), place


ACTION: Final = re.compile(r"[a-z]+(\.[a-z_-]+)*")


def actions_of_calls() -> set[str]:
    """The actions that calls of `audit_record` and its like name as they stand."""
    found: set[str] = set()
    for path in (SITE / "apps").rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text())):
            if not isinstance(call, ast.Call) or "audit" not in ast.unparse(call.func):
                continue
            given = [one.value for one in call.keywords if one.arg == "action"] + call.args[1:2]
            for part in (one for value in given for one in ast.walk(value)):
                if (
                    isinstance(part, ast.Constant)
                    and isinstance(part.value, str)
                    and ACTION.fullmatch(part.value)
                ):
                    found.add(part.value)
    return found


def test_every_action_says_whether_it_changes_makes_or_ends_something() -> None:
    groups = (CHANGES, ENDS, MAKES, DOES)
    named = actions_of_calls()

    assert len(named) > 90
    assert named - frozenset().union(*groups) == set()
    assert sum(len(one) for one in groups) == len(frozenset().union(*groups)), "each in one group"


@pytest.mark.parametrize(
    ("action", "before", "after", "wrong"),
    [
        ("worker.settings", {"slots.PC1": "1 slots"}, {"slots.PC1": "2 slots"}, ""),
        ("worker.settings", {"slots.PC1": 1}, {"slots.PC1": 2}, "no unit with slots.PC1"),
        ("worker.settings", None, {"slots.PC1": "2 slots"}, "nothing of what it was"),
        ("worker.settings", {"slots.PC1": "2 slots"}, {}, "nothing of what it is"),
        ("node.set", {"weight": 1}, {"weight": 1}, "what it is is what it was"),
        ("node.set", {"weight": 1}, {"role": "PUSH"}, "no name in both"),
        ("gas.guard.set", None, {"max_fee": "1 FIL"}, ""),
        ("node.remove", None, None, "nothing of what it was"),
        ("node.add", {}, {}, "nothing of what it is"),
        ("login", None, {"tries": 3}, "no unit with tries"),
        ("miner.transfer", {"tenant": "a"}, {"tenant": "b", "sectors": 3}, ""),
    ],
)
def test_a_line_without_its_values_or_their_units_is_refused(
    action: str, before: Any, after: Any, wrong: str
) -> None:
    assert complaint(action, before, after).endswith(wrong) if wrong else not complaint(action, before, after)
