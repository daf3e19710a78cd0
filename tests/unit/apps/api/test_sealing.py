"""Miners, sectors and workers over REST, asked by operator, owner and stranger; workers by their tokens."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from msgspec.structs import replace

from apps.miners.models import Miner
from apps.sectors.models import BatchSettings, HostReport, Job, Sector, Worker
from apps.users.services.tokens import TokenLimits
from poolsite.wire.codec import document_encode
from poolsite.wire.hosts import Heartbeat, Register
from poolsite.wire.job_reports import Event, Progress, StageOutputs
from poolsite.wire.jobs import Claim, JobKind
from tests import factories
from tests.people import bearer, operator_token, token

pytestmark = pytest.mark.django_db


def asked(client: Client, path: str, text: str, **query: Any) -> Any:
    """GET as the holder of a token."""
    return client.get(f"/api/v1/{path}", query, headers=bearer(text))


def told(client: Client, path: str, text: str, body: Any) -> Any:
    """POST as the holder of a token; dataclasses go as wire documents."""
    data = body if isinstance(body, dict) else document_encode(body)
    return client.post(f"/api/v1/{path}", data, content_type="application/json", headers=bearer(text))


def test_a_miner_is_shown_to_owner_and_operator_only(client: Client) -> None:
    factories.miner(actor_id=4242)
    mine, strange, operator = token("read"), token("read", of="bob"), operator_token()

    assert asked(client, "miners", mine).json()["results"][0]["address"] == "f04242"
    assert asked(client, "miners/f04242", operator).status_code == 200
    assert asked(client, "miners/t04242", mine).status_code == 200
    assert asked(client, "miners", strange).json() == {"results": [], "next": None}
    assert asked(client, "miners/f04242", strange).status_code == 404
    assert asked(client, "miners/f04242/deadlines", strange).status_code == 404


def test_a_sector_is_shown_with_its_messages(client: Client) -> None:
    miner = factories.miner(actor_id=4242)
    batch = factories.batch(miner)
    sector = factories.sector(miner, state="PRECOMMIT_SENT", precommit_batch=batch)
    factories.message(batch.message_id, state="FILLED", cid=factories.cid("m"))

    body = asked(client, f"sectors/{sector.uuid}", token("read")).json()

    assert (body["state"], body["stage"], body["active"]) == ("PRECOMMIT_SENT", "PRECOMMIT_WAIT", False)
    assert body["messages"] == [
        {"id": batch.message_id, "kind": "precommit", "state": "FILLED", "cid": factories.cid("m")}
    ]
    assert asked(client, f"sectors/{sector.uuid}", token("read", of="bob")).status_code == 404


@pytest.mark.parametrize("uuid", ["nonsense", "00000000-0000-0000-0000-000000000000"])
def test_an_unknown_sector_is_404(client: Client, uuid: str) -> None:
    answer = asked(client, f"sectors/{uuid}", token("read"))

    assert (answer.status_code, answer.json()["code"]) == (404, "sector_unknown")


def test_sectors_come_in_pages_and_by_filters(client: Client) -> None:
    miner = factories.miner(actor_id=4242)
    made = [factories.sector(miner, state=state) for state in ("ALLOCATED", "PC1_DONE", "PROVING")]
    text = token("read")

    first = asked(client, "sectors", text, limit=2).json()
    rest = asked(client, "sectors", text, limit=2, cursor=first["next"]).json()

    assert [row["number"] for row in (*first["results"], *rest["results"])] == [
        sector.number for sector in reversed(made)
    ]
    assert rest["next"] is None
    assert len(asked(client, "sectors", text, stage="PC2").json()["results"]) == 1
    assert len(asked(client, "sectors", text, miner="f04242", state="PROVING").json()["results"]) == 1
    assert asked(client, "sectors", text, active="true").json()["results"] == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"colour": "red"}, "colour"),
        ({"state": "SLEEPING"}, "state"),
        ({"stage": "PC3"}, "stage"),
        ({"active": "perhaps"}, "active"),
        ({"limit": "0"}, "limit"),
        ({"cursor": "x"}, "cursor"),
    ],
)
def test_a_bad_filter_is_named(client: Client, query: dict[str, str], field: str) -> None:
    answer = asked(client, "sectors", token("read"), **query)

    assert (answer.status_code, answer.json()["field"]) == (400, field)


@pytest.mark.parametrize(
    ("body", "field"), [({}, "count"), ({"count": 0}, "count"), ({"count": "x"}, "count"), ({"n": 1}, "n")]
)
def test_a_bad_pledge_is_refused_and_leaves_nothing(client: Client, body: dict[str, Any], field: str) -> None:
    factories.miner(actor_id=4242)

    answer = told(client, "miners/f04242/sectors", token("write"), body)

    assert (answer.status_code, answer.json()["field"]) == (400, field)
    assert not Sector.objects.exists()


def test_a_stranger_and_a_reader_pledge_nothing(client: Client) -> None:
    factories.miner(actor_id=4242)

    assert told(client, "miners/f04242/sectors", token("write", of="bob"), {"count": 1}).status_code == 404
    assert told(client, "miners/f04242/sectors", token("read"), {"count": 1}).status_code == 403
    assert not Sector.objects.exists()


def test_a_miner_is_made_or_taken_in_over_rest(client: Client) -> None:
    factories.head()
    wallet = factories.wallet(label="cold")
    new = {"name": "fra-1", "owner": wallet.address, "worker": wallet.address, "sector_size": 2048}
    cold = factories.wallet(factories.bls(4242)).address
    old = {"name": "x", "address": "f03003", "proven_by": "other"}
    with factories.node_served() as node:
        node.balances[wallet.address] = 50 * factories.FIL
        made = told(client, "miners", token("sign"), new)
        poor = told(client, "miners", token("sign"), new | {"worker": cold})
        funded = told(client, "miners", token("sign"), new | {"worker": cold, "fund_worker": True})
        short = told(client, "miners", token("sign"), {"name": "fra-1", "owner": wallet.address})
        foreign = told(client, "miners", token("sign", of="bob"), new)
        others = told(client, "miners", token("sign", of="bob"), new | {"tenant": "alice"})
        taken = told(client, "miners", operator_token(), old | {"tenant": "alice"})
        unsaid = told(
            client, "miners", operator_token(), {"name": "x", "tenant": "alice", "address": "f03003"}
        )
        theirs = told(client, "miners", token("sign"), old)

    assert (made.status_code, made.json()["state"], made.json()["address"]) == (201, "CREATING", None)
    assert (poor.status_code, poor.json()["field"]) == (400, "worker")
    assert (funded.status_code, funded.json()["state"]) == (201, "CREATING")
    assert (short.status_code, short.json()["field"]) == (400, "worker")
    assert (foreign.status_code, foreign.json()["field"]) == (400, "owner")
    assert (others.status_code, others.json()["field"]) == (404, "tenant"), "nobody hears whether it is there"
    assert (taken.status_code, taken.json()["address"], taken.json()["tenant"]) == (201, "f03003", "alice")
    assert taken.json()["works_until"] == 0
    assert (unsaid.status_code, unsaid.json()["field"]) == (400, "proven_by")
    assert theirs.status_code == 403


def test_a_miner_that_is_being_made_is_listed_with_its_state_only(client: Client) -> None:
    there = factories.miner(actor_id=4242)
    coming = factories.miner(actor_id=4243, state="CREATING")
    Miner.objects.filter(pk=coming.pk).update(actor_id=None)

    def uuids(**query: Any) -> list[str]:
        return [row["uuid"] for row in asked(client, "miners", token("read"), **query).json()["results"]]

    assert uuids() == uuids(state="ACTIVE") == [str(there.uuid)]
    assert uuids(state="CREATING") == [str(coming.uuid)]
    assert uuids(state=["ACTIVE", "CREATING"]) == [str(there.uuid), str(coming.uuid)]
    assert asked(client, f"miners/{coming.uuid}", token("read")).json()["address"] is None
    refused = asked(client, "miners", token("read"), state="GONE")
    assert (refused.status_code, refused.json()["field"]) == (400, "state")


def test_new_sectors_are_priced_before_they_are_pledged(client: Client) -> None:
    factories.head()
    miner = factories.miner(actor_id=4242)
    factories.wallet(miner.worker, balance=factories.FIL)
    factories.approval_rule(actor="miner", method=28, above=factories.FIL)
    with factories.node_served():
        one = asked(client, "miners/f04242/pledge-price", token("read")).json()
        many = asked(client, "miners/f04242/pledge-price", operator_token(), count=50).json()
        strange = asked(client, "miners/f04242/pledge-price", token("read", of="bob"))

    assert one["deposit"] == str(factories.DEPOSIT)
    assert [payer["can_pay"] for payer in one["payers"]] == [True]
    assert [payer["can_pay"] for payer in many["payers"]] == [False]
    assert int(many["payers"][0]["needs"]) == 50 * int(one["payers"][0]["needs"])
    assert "could not be asked" in one["signer"], "no signer is connected"
    assert (one["approval"], many["approval"]) == ("", "miner PreCommitSectorBatch2 above 1 FIL")
    assert strange.status_code == 404


def test_a_miner_that_pays_alone_is_priced_as_a_payer(client: Client) -> None:
    factories.head()
    miner = factories.miner(actor_id=4242, available=0)
    factories.wallet(miner.worker, balance=factories.FIL)
    BatchSettings.objects.create(miner=miner, send_funds=False)
    with factories.node_served():
        found = asked(client, "miners/f04242/pledge-price", token("read")).json()

    paying = [(payer["address"], payer["can_pay"]) for payer in found["payers"]]
    assert paying == [(miner.worker, True), (miner.address, False)]
    assert found["payers"][1]["needs"] == found["needed"]


@pytest.mark.parametrize("count", ["0", "x", "1001"])
def test_a_bad_number_of_sectors_has_no_price(client: Client, count: str) -> None:
    factories.miner(actor_id=4242)

    answer = asked(client, "miners/f04242/pledge-price", token("read"), count=count)

    assert (answer.status_code, answer.json()["field"]) == (400, "count")


def test_where_our_proofs_are_refused_there_is_a_reason_instead_of_a_price(client: Client) -> None:
    factories.network("mainnet")
    factories.head()
    factories.miner(actor_id=4242)

    with factories.node_served():
        price = asked(client, "miners/f04242/pledge-price", token("read"))

    assert (price.status_code, price.json()["code"]) == (409, "proof_form_missing")


def test_before_the_first_head_there_is_no_price(client: Client) -> None:
    factories.miner(actor_id=4242)

    assert asked(client, "miners/f04242/pledge-price", token("read")).status_code == 503


def test_a_paused_sector_is_sent_on_over_rest(client: Client) -> None:
    sector = factories.sector(factories.miner(), state="PC1_DONE")
    text = token("write")

    assert told(client, f"sectors/{sector.uuid}/retry", text, {}).status_code == 409
    paused = told(client, f"sectors/{sector.uuid}/pause", text, {}).json()
    assert (paused["paused"], paused["resume_at"][0]) == (True, "PC1_DONE")
    back = told(client, f"sectors/{sector.uuid}/retry", text, {"state": "TICKET_ASSIGNED"}).json()
    assert (back["paused"], back["stage"]) == (False, "PC1")
    abort, signer = f"sectors/{sector.uuid}/abort", token("sign")
    assert told(client, abort, text, {"reason": "no room"}).status_code == 403, "its files and deposit go"
    assert told(client, abort, signer, {"reason": "no room"}).json()["state"] == "ABORTED"
    assert told(client, abort, signer, {}).json()["field"] == "reason"


REGISTER = Register(
    uid="u1", boot_id="b1", name="s", host="h", version="1", kinds=(JobKind.SEAL,), slots={"ADD_PIECE": 1}
)


def registered(client: Client, text: str) -> str:
    """The console's id of a worker that has registered."""
    return str(told(client, "workers/register", text, REGISTER).json()["worker_id"])


def test_a_worker_goes_from_registration_to_a_reported_stage(client: Client) -> None:
    factories.sector(factories.miner())
    text = token("write", scopes=["sealer"])
    worker_id = registered(client, text)
    claim = Claim(
        worker_id=worker_id, boot_id="b1", kinds=(JobKind.SEAL,), stages={"ADD_PIECE": 1}, new_sectors=1
    )

    (job,) = told(client, "jobs:claim", text, claim).json()["jobs"]
    path = f"jobs/{job['id']}"
    progress = Progress(token=1, stage="ADD_PIECE", done=1, total=2)
    assert told(client, f"{path}/progress", text, progress).status_code == 204
    event = Event(token=1, seq=1, state="ALLOCATED", event="ADD_PIECE", outputs=StageOutputs())
    answer = told(client, f"{path}/event", text, event)
    stale = told(client, f"{path}/event", text, replace(event, token=0))

    assert (answer.status_code, answer.json()["seal"]["stage"]) == (200, "TREE_D")
    assert (stale.status_code, stale.json()["code"], stale.json()["field"]) == (409, "fenced", "token")


def test_a_limited_token_works_for_its_miners_by_its_methods_only(client: Client) -> None:
    for actor_id in (1004, 4242):
        factories.sector(factories.miner(actor_id))
    text = token("write", limits=TokenLimits(miners=[1004]))
    worker_id = registered(client, text)
    claim = Claim(
        worker_id=worker_id,
        boot_id="b1",
        kinds=(JobKind.SEAL,),
        stages={"ADD_PIECE": 2},
        new_sectors=2,
        max=2,
    )

    (job,) = told(client, "jobs:claim", text, claim).json()["jobs"]

    assert Job.objects.get(uuid=job["id"]).miner.actor_id == 1004
    other = Job.objects.get(miner__actor_id=4242)
    progress = Progress(token=1, stage="ADD_PIECE", done=1, total=2)
    assert told(client, f"jobs/{job['id']}/progress", text, progress).status_code == 204
    for name in (other.uuid, "x"):
        assert told(client, f"jobs/{name}/progress", text, progress).json()["code"] == "job_unknown"
    reads = token("write", limits=TokenLimits(methods=["Venus.*"]))
    assert told(client, "workers/register", reads, REGISTER).status_code == 403


def test_only_a_host_of_the_pool_counts_as_the_pools_own_sealer(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[str] = []
    monkeypatch.setattr("apps.api.v1.worker_view.heartbeat_send", lambda name, **_facts: heard.append(name))

    registered(client, token("write", scopes=["sealer"]))
    assert heard == []

    registered(client, token("write", of="pool", scopes=["sealer"]))
    assert heard == ["sealer"]


@pytest.mark.parametrize(
    ("perm", "scopes", "status"),
    [("write", ["sealer"], 200), ("write", [], 200), ("read", ["sealer"], 403), ("write", ["prover"], 403)],
)
def test_only_a_sealers_token_registers_a_sealer(
    client: Client, perm: str, scopes: list[str], status: int
) -> None:
    assert told(client, "workers/register", token(perm, scopes=scopes), REGISTER).status_code == status


def test_a_sealers_token_reaches_nothing_else(client: Client) -> None:
    factories.miner(actor_id=4242)
    text = token("write", scopes=["sealer"])

    assert asked(client, "miners", text).status_code == 403
    assert told(client, "miners/f04242/sectors", text, {"count": 1}).status_code == 403


def test_without_a_token_nothing_is_said(client: Client) -> None:
    for path in ("miners", "sectors", "workers"):
        assert client.get(f"/api/v1/{path}").status_code == 401


def test_a_strangers_worker_is_unknown(client: Client) -> None:
    worker_id = registered(client, token("write"))
    beat = Heartbeat(boot_id="b1")

    answer = told(client, f"workers/{worker_id}/heartbeat", token("write", of="bob"), beat)

    assert (answer.status_code, answer.json()["code"]) == (404, "worker_unknown")
    assert asked(client, f"workers/{worker_id}", token("read", of="bob")).status_code == 404


def test_a_command_rides_on_the_heartbeat_until_it_is_done(client: Client) -> None:
    text = token("write")
    worker_id = registered(client, text)
    told(client, f"workers/{worker_id}/commands", text, {"op": "drain"})

    (command,) = told(client, f"workers/{worker_id}/heartbeat", text, Heartbeat(boot_id="b1")).json()[
        "commands"
    ]
    done = Heartbeat(boot_id="b1", done_commands=(command["id"],), is_draining=True)
    after = told(client, f"workers/{worker_id}/heartbeat", text, done).json()

    assert (command["op"], after.get("commands")) == ("drain", None)
    assert asked(client, "workers", text).json()["results"][0]["draining"] is True


def test_a_worker_out_of_service_is_refused(client: Client) -> None:
    text = token("write")
    worker_id = registered(client, text)

    assert client.delete(f"/api/v1/workers/{worker_id}", headers=bearer(text)).status_code == 204

    again = told(client, "workers/register", text, REGISTER)
    assert (again.status_code, again.json()["code"]) == (409, "worker_retired")
    assert asked(client, "workers", text).json()["results"] == []
    assert Worker.objects.count() == 1


def test_a_host_says_how_many_sectors_it_seals_at_once(client: Client) -> None:
    factories.miner(sector_size=32 << 30)
    hardware = {"cpus": 64, "ram_bytes": 1000 << 30, "disk_total_bytes": 2000 << 30}
    worker = factories.worker(hardware=hardware)
    text = token("read")
    assert asked(client, f"workers/{worker.uuid}", text).json()["parallel"] is None, "no room told yet"

    settings = {"sector_room_bytes": str(520 << 30), "slots.PC1": "2"}
    HostReport.objects.create(
        worker=worker,
        settings=[{"key": key, "value": value, "origin": "file"} for key, value in settings.items()],
    )
    parallel = asked(client, f"workers/{worker.uuid}", text).json()["parallel"]

    assert (parallel["sector_bytes"], parallel["sectors"], parallel["in_pc1"]) == (32 << 30, 3, 2)
    assert [(one["by"], one["count"], one["is_of_pc1"]) for one in parallel["bounds"]] == [
        ("slots", 2, True),
        ("disk", 3, False),
        ("memory", 14, True),
        ("cores", 1024, True),
    ]
    assert (parallel["bounds"][1]["have"], parallel["bounds"][1]["each"]) == (2000 << 30, 520 << 30)


@pytest.mark.parametrize(
    ("version", "remedy"),
    [
        ("poolsite/9.1.0", "(poolsite/9.1.0) than the console (poolsite/0.3.0): upgrade the console first"),
        ("poolsite/0.1.9", "poolsite/0.1.9, older than the console (poolsite/0.3.0): upgrade the host"),
        ("poolsite/0.3.0", "newer than the console (poolsite/0.3.0): upgrade the console first"),
        ("own/7", "newer than the console (poolsite/0.3.0): upgrade the console first"),
        ("", "newer than the console (poolsite/0.3.0): upgrade the console first"),
    ],
)
def test_what_a_newer_host_tells_more_is_refused_with_the_remedy(
    client: Client, version: str, remedy: str
) -> None:
    text = token("write")
    worker_id = registered(client, text)
    body = document_encode(REGISTER) | {"boot_id": "b2", "version": version, "colour": "red"}

    answer = told(client, "workers/register", text, body)

    assert (answer.status_code, answer.json()["field"]) == (400, "colour")
    assert answer.json()["message"].startswith("unknown field: this host ")
    assert answer.json()["message"].endswith(remedy)
    row = asked(client, f"workers/{worker_id}", text).json()
    assert remedy in row["last_error"]
    assert row["last_error"].endswith("until then its requests are refused, as colour is unknown")
    assert (row["version"], Worker.objects.get().boot_id) == ("1", "b1")


def test_a_newer_hosts_note_is_written_once_and_a_heartbeat_ends_it(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes: list[Any] = []
    text = token("write")
    worker_id = registered(client, text)
    path, beat = f"workers/{worker_id}/heartbeat", document_encode(Heartbeat(boot_id="b1"))
    monkeypatch.setattr("apps.sectors.services.hosts.versions.publish", changes.append)

    for _ in range(3):
        assert told(client, path, text, beat | {"colour": "red"}).status_code == 400
    stranger = told(client, path, token("write", of="bob"), beat | {"shape": 1})
    assert (stranger.status_code, stranger.json()["field"]) == (400, "shape")

    assert len(changes) == 1
    assert "as colour is unknown" in asked(client, f"workers/{worker_id}", text).json()["last_error"]
    assert told(client, path, text, beat).status_code == 200
    assert asked(client, f"workers/{worker_id}", text).json()["last_error"] == ""


@pytest.mark.parametrize("worker_id", [7, "\x00", "x", ["u"], None, "00000000-0000-0000-0000-000000000000"])
def test_a_newer_claim_of_nobody_is_refused_and_notes_nothing(client: Client, worker_id: Any) -> None:
    text = token("write")
    registered(client, text)

    answer = told(client, "jobs:claim", text, {"v": 1, "worker_id": worker_id, "colour": "red"})

    assert (answer.status_code, answer.json()["code"]) == (400, "bad_value")
    assert Worker.objects.get().last_error == ""


def test_a_damaged_document_names_the_field(client: Client) -> None:
    body = document_encode(REGISTER) | {"slots": {"PC1": "many"}}

    answer = told(client, "workers/register", token("write"), body)

    assert (answer.status_code, answer.json()["field"]) == (400, "slots.PC1")
    assert not Worker.objects.exists()
    assert not Job.objects.exists()
