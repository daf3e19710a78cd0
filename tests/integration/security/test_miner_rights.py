"""A miner's right and what the pool shows and does for it agree, whichever way somebody takes the right."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from apps.messages.states import MessageState
from apps.miners.errors import MinerTaken
from apps.miners.models import Miner
from apps.miners.services.creation_results import creations_follow
from apps.miners.services.importing import miner_add
from apps.miners.states import MinerState
from apps.sectors.models import Sector
from apps.users.models import AuditEntry, MinerGrant, Tenant
from apps.users.selectors.grants import miner_owner
from apps.users.services.grants import miner_grant
from poolsite.filecoin.actors import power
from poolsite.filecoin.address import actor_address, id_address
from poolsite.filecoin.codec import to_cbor
from poolsite.filecoin.sector import RegisteredSealProof
from tests import factories, people
from tests.people import bearer

pytestmark = pytest.mark.django_db

WORDS = "the pool runs it for tenant alice"
WAYS = {
    "/miner/del": ("/miner/del", {"miner": "f01000"}),
    "/user/miner/del": ("/user/miner/del", {"miner": "f01000"}),
    "/miner/add-miner": ("/miner/add-miner", {"user": "bob", "miner": "f01000", "openMining": True}),
    "/user/miner/add": ("/user/miner/add", {"user": "bob", "miner": "f01000", "openMining": True}),
}


def post(path: str, body: Any, token: str) -> Any:
    return Client().post(path, json.dumps(body), content_type="application/json", headers=bearer(token))


def rpc(token: str, method: str, *params: Any) -> Any:
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    return json.loads(post("/rpc/v1", body, token).content)


def worked() -> Miner:
    """A miner of alice that the pool works for, with a sector."""
    people.tenant("bob")
    row = factories.miner(1000, of="alice")
    factories.sector(row)
    miner_grant(tenant=row.tenant, actor_id=1000)
    return row


def seen_by(name: str) -> dict[str, bool]:
    """What each way of asking says of this tenant and the miner."""
    token = people.token("admin", of=name)
    listed = Client().get("/api/v1/miners", headers=bearer(token)).json()["results"]
    own = Client().get("/user/miner/list", {"user": name}, headers=bearer(token)).json()
    made = rpc(token, "Filecoin.MinerCreateBlock", {"Miner": "f01000"}).get("error", {}).get("message", "")
    sectors = Client().get("/api/v1/sectors", headers=bearer(token)).json()["results"]
    return {
        "listed over REST": any(row["address"] == "f01000" for row in listed),
        "its page": page_of(name).get("/miners/f01000/").status_code == 200,
        "its sectors": bool(sectors),
        "a right in the interface of sophon-auth": bool(own),
        "blocks are made for it": "does not belong to this account" not in made,
        "its prover is asked": miner_owner(actor_id=1000) == name,
    }


def page_of(name: str) -> Client:
    client = Client()
    client.force_login(
        people.person(f"{name}-{Sector.objects.count()}-{AuditEntry.objects.count()}", of=name)
    )
    return client


@pytest.mark.parametrize(
    ("way", "who"),
    [(way, "the operator") for way in WAYS] + [(way, "its tenant") for way in WAYS if "del" in way],
)
def test_no_way_parts_a_miners_right_from_the_row_that_the_pool_works_with(way, who):
    worked()
    path, body = WAYS[way]
    token = people.operator_token() if who == "the operator" else people.token("write", of="alice")

    answer = post(path, body, token)

    words = WORDS if "del" in way else f"{WORDS}: transfer it on its page"
    assert (answer.status_code, answer.json()) == (400, {"error": words})
    assert [what for what, is_so in seen_by("alice").items() if not is_so] == []
    assert [what for what, is_so in seen_by("bob").items() if is_so] == []
    assert not AuditEntry.objects.filter(action__startswith="miner.").exists()


def test_tenant_with_a_miner_is_disabled_and_not_deleted():
    worked()

    answer = post("/user/del", {"name": "alice"}, people.operator_token())

    assert (answer.status_code, answer.json()) == (
        400,
        {"error": "the pool runs its miner f01000: disable the tenant instead"},
    )
    assert Tenant.objects.get(name="alice").deleted_at is None
    assert MinerGrant.objects.get().deleted_at is None


@pytest.mark.parametrize(
    ("act", "owner"),
    [
        (lambda token: post("/miner/del", {"miner": "f01000"}, token), ""),
        (
            lambda token: post(
                "/miner/add-miner", {"user": "bob", "miner": "f01000", "openMining": True}, token
            ),
            "bob",
        ),
        (lambda token: post("/user/del", {"name": "alice"}, token), ""),
    ],
    ids=["taken", "given on", "its tenant deleted"],
)
def test_a_miner_that_the_pool_does_not_work_for_goes_whole(act: Callable[[str], Any], owner: str) -> None:
    people.tenant("bob")
    miner_grant(tenant=people.tenant("alice"), actor_id=1000)
    assert seen_by("alice")["its prover is asked"]

    assert act(people.operator_token()).status_code == 200

    if Tenant.objects.get(name="alice").deleted_at is None:
        assert [what for what, is_so in seen_by("alice").items() if is_so] == []
    assert seen_by("bob")["its prover is asked"] == (owner == "bob")
    live = MinerGrant.objects.filter(deleted_at=None).values_list("tenant__name", flat=True)
    assert list(live) == ([owner] if owner else [])


def test_regrant_of_a_miner_to_its_own_tenant_is_allowed():
    worked()

    answer = post(
        "/miner/add-miner",
        {"user": "alice", "miner": "f01000", "openMining": False},
        people.operator_token(),
    )

    assert answer.status_code == 200
    assert not MinerGrant.objects.get().open_mining


def test_a_miner_that_another_tenant_has_is_not_taken_in_for_somebody_else():
    miner_grant(tenant=people.tenant("bob"), actor_id=1000)

    with pytest.raises(MinerTaken):
        miner_add(
            tenant=people.tenant("alice"),
            name="x",
            address="f01000",
            seal_proof=RegisteredSealProof.STACKED_DRG_2KIB_V1_1,
        )

    assert not Miner.objects.exists()
    assert MinerGrant.objects.get().tenant.name == "bob"


def test_a_miner_whose_making_left_the_chain_leaves_no_right_to_its_number():
    factories.message("make", state=MessageState.FILLED)
    row = factories.miner(1000, create_message_id="make", created_height=990)
    miner_grant(tenant=row.tenant, actor_id=1000)

    creations_follow()

    assert Miner.objects.get().actor_id is None
    assert miner_owner(actor_id=1000) == ""


def never_made() -> Miner:
    row = factories.miner(state=MinerState.FAILED, create_message_id="make", error="given up")
    Miner.objects.filter(pk=row.pk).update(actor_id=None)
    return row


def test_a_miner_whose_message_landed_after_all_is_made():
    made = power.CreateMinerReturn(id_address(1777), actor_address(b"robust"))
    factories.message("make", state=MessageState.LANDED, return_data=to_cbor(made))
    never_made()

    creations_follow()

    row = Miner.objects.get()
    assert (row.state, row.actor_id, row.error) == (MinerState.ACTIVE, 1777, "")
    assert miner_owner(actor_id=1777) == "alice"


@pytest.mark.parametrize("state", [MessageState.UNFILLED, MessageState.FILLED])
def test_a_miner_whose_message_is_tried_again_is_on_its_way(state):
    factories.message("make", state=state)
    never_made()

    creations_follow()

    assert [(row.state, row.error) for row in Miner.objects.all()] == [(MinerState.CREATING, "")]


def test_a_miner_that_another_block_made_anew_has_the_number_of_that_block():
    made = power.CreateMinerReturn(id_address(1777), actor_address(b"robust"))
    data = to_cbor(made)
    factories.message("make", state=MessageState.LANDED, height=992, return_data=data)
    row = factories.miner(1776, create_message_id="make", created_height=990)
    miner_grant(tenant=row.tenant, actor_id=1776)

    creations_follow()

    assert [(one.actor_id, one.created_height) for one in Miner.objects.all()] == [(1777, 992)]
    assert (miner_owner(actor_id=1776), miner_owner(actor_id=1777)) == ("", "alice")


def test_create_miner_replaced_after_a_reorg_creates_no_miner():
    factories.message("make", state=MessageState.REPLACED)
    row = factories.miner(1000, create_message_id="make", created_height=990)
    miner_grant(tenant=row.tenant, actor_id=1000)

    creations_follow()

    assert [(one.state, one.error) for one in Miner.objects.all()] == [
        (MinerState.FAILED, "CreateMiner was replaced")
    ]
    assert miner_owner(actor_id=1000) == ""
