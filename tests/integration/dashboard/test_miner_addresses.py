"""A miner's addresses by page and REST: what is pending, each change with its price, and who may."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.test import Client

from apps.messages.models import Message
from apps.messages.services.push import message_push
from apps.users.models import AuditEntry
from apps.wallets.models import Wallet
from poolsite.filecoin.actors.miner import Method
from poolsite.filecoin.actors.miner_beneficiary import ChangeBeneficiaryParams
from poolsite.filecoin.actors.miner_control import ChangeOwnerAddressParams, ChangeWorkerAddressParams
from poolsite.filecoin.address import id_address
from poolsite.filecoin.amounts import AttoFil
from poolsite.filecoin.codec import from_cbor, to_cbor
from tests import factories, people
from tests.factories import MinerNode
from tests.integration.dashboard.miner_addresses import (
    IDS,
    NEW,
    OWNER,
    SECP,
    WORKER,
    head_at,
    info,
    pushed,
    rest,
    rpc,
)
from tests.page_client import signed_in, text_of

pytestmark = pytest.mark.django_db

__all__ = ["info"]


def test_rest_prices_a_change_and_sends_nothing_in_a_dry_run(info: dict[str, Any]) -> None:
    answer = rest({"change": "control", "addresses": [NEW, SECP], "dry_run": True})

    assert answer.status_code == 200, answer.content
    body = answer.json()
    assert (body["message"], body["sender"], body["exit_code"]) == (None, OWNER, 0)
    assert body["says"] == "control addresses: f0103, f0104"
    assert "could not be asked" in body["signer"], "none is connected"
    assert int(body["cost_max"]) > int(body["cost_expected"]) > 0
    assert not Message.objects.exists()


@pytest.mark.parametrize("query", ["?dry_run=true", "?dryrun=true", "?dry_run=yes"])
def test_no_dry_run_in_the_query_sends_the_message(info: dict[str, Any], query: str) -> None:
    answer = rest({"change": "control", "addresses": [NEW, SECP]}, query=query, key="k")

    assert answer.status_code == (200 if query == "?dry_run=true" else 400), answer.content
    assert not Message.objects.exists()
    assert rest({"change": "control", "addresses": [NEW]}, query="?dry_run=false").status_code == 201


def test_control_addresses_change_at_once_and_once(info: dict[str, Any]) -> None:
    first, again = (rest({"change": "control", "addresses": [NEW, SECP]}, key="k") for _ in range(2))

    assert first.status_code == again.status_code == 201
    assert first.json()["message"] == again.json()["message"]
    message = pushed()
    params = from_cbor(ChangeWorkerAddressParams, bytes(message.params))
    assert (message.from_addr, message.method) == (OWNER, Method.CHANGE_WORKER_ADDRESS)
    assert params == ChangeWorkerAddressParams(id_address(102), (id_address(103), id_address(104)))
    assert AuditEntry.objects.filter(action="miner.address-change", target="f02001").count() == 1


def test_worker_keeps_the_control_addresses_and_is_confirmed_when_due(
    info: dict[str, Any], node: MinerNode
) -> None:
    info["ControlAddresses"] = ["f0104"]
    assert rest({"change": "worker", "addresses": [SECP]}).json()["field"] == "addresses"
    assert rest({"change": "worker-confirm"}).status_code == 409

    assert rest({"change": "worker", "addresses": [NEW]}).status_code == 201
    params = from_cbor(ChangeWorkerAddressParams, bytes(pushed().params))
    assert params == ChangeWorkerAddressParams(id_address(103), (id_address(104),))
    info |= {"NewWorker": "f0103", "WorkerChangeEpoch": 1100}
    early = rest({"change": "worker-confirm"})
    assert (early.status_code, early.json()["message"]) == (409, "it cannot be confirmed before epoch 1100")
    assert rest({"change": "worker", "addresses": [NEW]}).status_code == 409
    head_at(node, 1100)
    assert rest({"change": "worker-confirm"}).status_code == 201
    assert Message.objects.filter(method=Method.CONFIRM_CHANGE_WORKER_ADDRESS, from_addr=OWNER).exists()


def test_a_change_that_is_on_its_way_is_not_taken_back_by_the_next(
    info: dict[str, Any], node: MinerNode
) -> None:
    assert rest({"change": "control", "addresses": [NEW]}).status_code == 201
    for change in ("worker", "control"):
        refused = rest({"change": change, "addresses": [NEW]})
        assert (refused.status_code, refused.json()["field"]) == (409, "change")
        assert "wait until the change that is on its way has landed" in refused.json()["message"]
    Message.objects.update(state="LANDED", nonce=0)

    info |= {"NewWorker": "f0103", "WorkerChangeEpoch": 1100}
    assert rest({"change": "control", "addresses": [SECP]}).status_code == 201
    last = Message.objects.get(state="UNFILLED").expire_epoch
    assert last == 1099, "later it would propose the old worker anew"
    Message.objects.filter(state="UNFILLED").delete()
    head_at(node, 1099)
    assert rest({"change": "control", "addresses": [SECP]}).status_code == 409


def test_owner_is_proposed_by_the_old_one_and_confirmed_by_the_new(info: dict[str, Any]) -> None:
    assert rest({"change": "owner", "addresses": [NEW]}).status_code == 201
    assert pushed().from_addr == OWNER
    info["PendingOwnerAddress"] = "f0103"

    assert rest({"change": "owner-confirm"}).status_code == 201

    message = Message.objects.get(from_addr=NEW)
    assert from_cbor(ChangeOwnerAddressParams, bytes(message.params)).new_address == id_address(103)


def test_beneficiary_needs_quota_and_term_and_both_approvals(info: dict[str, Any]) -> None:
    assert rest({"change": "beneficiary", "addresses": [NEW]}).json()["field"] == "quota"
    term = {"quota": "1000", "expiration": 9000}

    assert rest({"change": "beneficiary", "addresses": [NEW], **term}).status_code == 201
    info["PendingBeneficiaryTerm"] = {
        "NewBeneficiary": "f0103",
        "NewQuota": "1000",
        "NewExpiration": 9000,
        "ApprovedByBeneficiary": True,
        "ApprovedByNominee": False,
    }
    assert rest({"change": "beneficiary-confirm"}).status_code == 201

    proposed, approved = Message.objects.get(from_addr=OWNER), Message.objects.get(from_addr=NEW)
    assert bytes(proposed.params) == bytes(approved.params)
    assert from_cbor(ChangeBeneficiaryParams, bytes(approved.params)).new_expiration == 9000


def test_refusals_name_the_field_and_send_nothing(info: dict[str, Any], node: MinerNode) -> None:
    for body in (
        {"change": "worker", "addresses": ["x"]},
        {"change": "worker", "addresses": []},
        {"change": "owner", "addresses": [factories.bls(99)]},
    ):
        answer = rest(body)
        assert (answer.status_code, answer.json()["field"]) == (400, "addresses"), answer.content
    node.fails[str(int(Method.CHANGE_OWNER_ADDRESS))] = "caller is not the owner"
    refused = rest({"change": "owner", "addresses": [NEW]})
    assert refused.status_code == 409
    assert "the chain would refuse it: caller is not the owner" in refused.json()["message"]
    assert rest({"change": "dance"}).status_code == 400
    assert rest({"change": "control"}, token=people.token("write")).status_code == 403
    assert rest({"change": "control"}, token=people.token("sign", of="bob")).status_code == 404
    assert not Message.objects.exists()


def test_rest_shows_what_is_pending(info: dict[str, Any]) -> None:
    info |= {"NewWorker": "f0103", "WorkerChangeEpoch": 1100, "PendingOwnerAddress": "f0104"}

    body = Client().get("/api/v1/miners/f02001/addresses", headers=people.bearer(people.token("read"))).json()

    assert (body["new_worker"], body["worker_epoch"], body["pending_owner"]) == ("f0103", 1100, "f0104")
    assert (body["owner"], body["pending_beneficiary"]) == ("f0101", None)


def test_page_shows_the_epoch_asks_with_the_price_and_sends(info: dict[str, Any]) -> None:
    people.person("ann")
    info |= {"NewWorker": "f0103", "WorkerChangeEpoch": 1100}
    browser = signed_in("ann")
    shown = text_of(browser.get("/miners/f02001/addresses/"))
    assert "f0103 can be confirmed from epoch 1" in shown
    assert "in 100 epochs; after that f0102 signs blocks for another" in shown
    assert "miner.ConfirmChangeWorkerAddress" in shown
    form = {"change": "control", "addresses": f"{NEW} {SECP}", "key": "abc"}

    asked = text_of(browser.post("/miners/f02001/addresses/", form))
    assert "Expected cost" in asked
    assert "control addresses: f0103, f0104" in asked
    assert not Message.objects.exists()
    assert browser.post("/miners/f02001/addresses/", {**form, "sure": "yes"}).status_code == 302

    assert pushed().method == Method.CHANGE_WORKER_ADDRESS


def card_of(page: str, change: str) -> str:
    return page[page.index(f'id="h-{change}"') :].partition("</section>")[0]


def test_page_offers_wallets_that_fit_with_their_balances(info: dict[str, Any]) -> None:
    """Of the miner's tenant, on chain, of the right kind; whoever looks."""
    people.person("ann"), people.operator_person()
    Wallet.objects.update(balance=7 * factories.FIL)
    for number, (key, address) in enumerate(IDS.items()):
        Wallet.objects.filter(address=key).update(label=f"w{number}", actor_id=int(address[2:]))
    factories.wallet(factories.bls(5), label="not on chain", actor_id=None)
    factories.wallet(factories.bls(6), label="theirs", of="bob", actor_id=106)
    info["ControlAddresses"] = ["f0104", "f0999"]

    for who in ("ann", "olga"):
        page = text_of(signed_in(who).get("/miners/f02001/addresses/"))

        worker, owner = card_of(page, "worker"), card_of(page, "owner")
        assert re.search(rf'<option value="{NEW}"\s*>\s*w2 ', worker)
        assert "7.0000 FIL" in worker
        assert not any(one in worker for one in (SECP, WORKER)), (
            "neither another kind of key nor the present one"
        )
        assert all(f'<option value="{one}">' in owner for one in (NEW, SECP, OWNER))
        assert 'list="owner-address-list"' in owner, "other addresses are taken, too"
        assert "not on chain" not in page
        assert "theirs" not in page
        control = card_of(page, "control")
        assert re.search(r'value="f0104"\s+checked', control)
        assert "f0104, w3 " in control
        assert "f0999, not a wallet of the pool" in control
        assert re.search(rf'value="{NEW}"\s*>', control), "offered, and not ticked"
        assert f'value="{SECP}"' not in control, "it is there already, as f0104"
        assert f'value="{OWNER}"' not in control, "it may send as it is"


def test_many_wallets_are_searched_among_those_that_fit(info: dict[str, Any]) -> None:
    people.person("ann"), people.operator_person(), people.person("ben", of="bob")
    for number in range(20, 34):
        factories.wallet(factories.bls(number), label=f"w{number}", actor_id=number)
    factories.wallet(factories.bls(40), label="w21 theirs", of="bob", actor_id=40)

    card = card_of(text_of(signed_in("olga").get("/miners/f02001/addresses/")), "control")
    assert 'list="control-address-list"' in card
    assert "of=f02001" in card
    asked = {"name": "addresses", "addresses": "w21", "of": "f02001"}
    found = text_of(signed_in("olga").get("/pick/control/control-address/", asked))

    assert found.count("<option") == 1
    assert factories.bls(21) in found
    assert signed_in("ben").get("/pick/control/control-address/", asked).status_code == 404


def test_ticked_control_addresses_go_with_the_one_that_is_added(info: dict[str, Any]) -> None:
    people.person("ann")
    info["ControlAddresses"] = ["f0104"]
    form = {"change": "control", "addresses": ["f0104", NEW], "key": "abc"}

    asked = text_of(signed_in("ann").post("/miners/f02001/addresses/", form))

    assert "control addresses: f0104, f0103" in asked
    kept = re.search(r'name="addresses" value="([^"]*)"', asked)
    assert kept is not None
    sent = {**form, "addresses": kept.group(1), "sure": "yes"}
    assert signed_in("ann").post("/miners/f02001/addresses/", sent).status_code == 302
    params = from_cbor(ChangeWorkerAddressParams, bytes(pushed().params))
    assert params.new_control_addrs == (id_address(104), id_address(103))


def test_page_keeps_a_refusal_and_strangers_out(info: dict[str, Any]) -> None:
    people.person("ann"), people.person("ben", of="bob")
    wrong = signed_in("ann").post("/miners/f02001/addresses/", {"change": "worker", "addresses": SECP})
    assert wrong.status_code == 422
    assert "BLS key" in text_of(wrong)
    assert signed_in("ben").get("/miners/f02001/addresses/").status_code == 404


def test_a_change_over_json_rpc_is_priced_sent_once_and_audited(info: dict[str, Any]) -> None:
    wish = {"change": "control", "addresses": [NEW, SECP], "key": "k"}
    price = rpc("MinerAddressChangePrice", "f02001", wish)["result"]
    assert (price["message"], price["says"]) == (None, "control addresses: f0103, f0104")
    assert "could not be asked" in price["signer"]
    assert int(price["cost_max"]) > int(price["cost_expected"]) > 0
    assert not Message.objects.exists()

    first, again = (rpc("MinerAddressChange", "f02001", wish)["result"]["message"] for _ in range(2))

    assert first == again == str(pushed().pk)
    params = from_cbor(ChangeWorkerAddressParams, bytes(pushed().params))
    assert params == ChangeWorkerAddressParams(id_address(102), (id_address(103), id_address(104)))
    assert AuditEntry.objects.filter(action="miner.address-change", target="f02001").count() == 1
    shown = rpc("MinerAddresses", "f02001", perm="read")["result"]
    assert (shown["owner"], [one["message"] for one in shown["on_the_way"]]) == ("f0101", [first])


def test_json_rpc_refuses_who_may_not_and_what_cannot_be(info: dict[str, Any]) -> None:
    wish = {"change": "owner", "addresses": [NEW]}
    assert "need 'sign'" in rpc("MinerAddressChange", "f02001", wish, perm="write")["error"]["message"]
    assert "error" in rpc("MinerAddressChange", "f02001", wish, of="bob")
    assert "error" in rpc("MinerAddresses", "f02001", of="bob")
    for wrong in (
        {"change": "dance"},
        {"change": "owner", "addresses": "f0103"},
        {"change": "owner", "addresses": [NEW], "expiration": "x"},
        {"change": "beneficiary", "addresses": [NEW], "quota": "many"},
        {"change": "owner", "addresses": [NEW], "key": "k" * 65},
        {"change": "control", "address": [NEW]},
        {"change": "control"},
    ):
        assert "error" in rpc("MinerAddressChange", "f02001", wrong), wrong
    assert not Message.objects.exists()


@pytest.mark.parametrize("quota", ["much", "-1", "1.5", ""])
def test_rest_refuses_a_quota_that_is_no_amount(info: dict[str, Any], quota: str) -> None:
    body = {"change": "beneficiary", "addresses": ["f0103"], "quota": quota, "expiration": 9000}

    answer = Client().post(
        "/api/v1/miners/f02001/addresses",
        json.dumps(body),
        content_type="application/json",
        headers=people.bearer(people.token("sign")),
    )

    assert (answer.status_code, answer.json()["field"]) == (400, "quota")
    assert not Message.objects.exists()


def test_a_change_that_a_command_line_pushed_is_shown_as_pending(info: dict[str, Any]) -> None:
    """As lotus-miner's and damocles' `set-owner` push it: the miner's message, and no method of ours."""
    pushed_by_peer = to_cbor(ChangeOwnerAddressParams(id_address(103)))
    beneficiary = to_cbor(ChangeBeneficiaryParams(id_address(103), AttoFil(5 * factories.FIL), 9000))
    for number, (method, params) in enumerate(
        ((Method.CHANGE_OWNER_ADDRESS, pushed_by_peer), (Method.CHANGE_BENEFICIARY, beneficiary))
    ):
        message_push(
            principal=people.principal(),
            id=f"p{number}",
            to="f02001",
            from_=OWNER,
            method=method,
            params=params,
        )
    people.person("ann")

    page = text_of(signed_in("ann").get("/miners/f02001/addresses/"))
    assert "Messages in progress" in page
    assert "owner f0103" in page
    headers = people.bearer(people.token("read"))
    way = Client().get("/api/v1/miners/f02001/addresses", headers=headers).json()["on_the_way"]
    assert [one["says"] for one in way] == ["owner f0103", "beneficiary f0103, 5 FIL until epoch 9000"]

    Message.objects.update(state="LANDED")
    assert "Messages in progress" not in text_of(signed_in("ann").get("/miners/f02001/addresses/"))


def test_a_change_of_an_operator_or_by_an_exported_method_is_shown(info: dict[str, Any]) -> None:
    people.operator_token()
    worker = to_cbor(ChangeWorkerAddressParams(id_address(103), ()))
    owner = to_cbor(ChangeOwnerAddressParams(id_address(104)))
    term = to_cbor(ChangeBeneficiaryParams(id_address(103), AttoFil(factories.FIL), 90))
    for number, (by, method, params) in enumerate(
        (
            ("pool", Method.CHANGE_WORKER_ADDRESS, worker),
            ("alice", Method.CHANGE_OWNER_ADDRESS_EXPORTED, owner),
            ("alice", Method.CHANGE_BENEFICIARY_EXPORTED, term),
            ("alice", Method.CHANGE_WORKER_ADDRESS_EXPORTED, worker),
            ("alice", Method.CONFIRM_CHANGE_WORKER_ADDRESS_EXPORTED, b""),
            ("bob", Method.CHANGE_OWNER_ADDRESS, owner),
        )
    ):
        values: dict[str, Any] = {"to": "f02001", "from_": OWNER, "method": method, "params": params}
        message_push(principal=people.principal(), id=f"p{number}", **values)
        Message.objects.filter(push_id=f"p{number}").update(tenant=people.tenant(by))

    way = rpc("MinerAddresses", "f02001", perm="read")["result"]["on_the_way"]

    assert [one["says"] for one in way] == [
        "worker f0103, control addresses: none",
        "owner f0104",
        "beneficiary f0103, 1 FIL until epoch 90",
        "worker f0103, control addresses: none",
        "ConfirmChangeWorkerAddressExported",
    ]
    people.person("ann")
    page = text_of(signed_in("ann").get("/miners/f02001/addresses/"))
    operators = Message.objects.get(tenant__name="pool")
    assert f"/messages/{operators.pk}/" not in page, "which it does not see"
    assert f"/messages/{Message.objects.get(push_id='p1').pk}/" in page


@pytest.mark.parametrize("way", ["rest", "rpc"])
@pytest.mark.parametrize("change", ["owner-confirm", "worker", "beneficiary"])
def test_a_repeat_after_the_message_landed_is_the_same_message(
    info: dict[str, Any], way: str, change: str
) -> None:
    wish: dict[str, Any] = {"change": change}
    if change == "owner-confirm":
        info["PendingOwnerAddress"] = "f0103"
    else:
        wish["addresses"] = [NEW]
    if change == "beneficiary":
        wish |= {"quota": "5", "expiration": 9000}

    def asked(data: dict[str, Any]) -> Any:
        if way == "rpc":
            told = rpc("MinerAddressChange", "f02001", data | {"key": "k"})
            return told.get("result") or told["error"]
        return rest(data, key="k").json()

    first = asked(wish)
    info |= {"PendingOwnerAddress": None, "NewWorker": "f0103", "WorkerChangeEpoch": 2000}
    Message.objects.update(state="LANDED", exit_code=0, gas_cost=7)

    again = asked(wish)

    assert again["message"] == first["message"] == str(pushed().pk)
    assert (again["sender"], again["exit_code"], again["cost_expected"]) == (first["sender"], 0, "7")
    assert AuditEntry.objects.filter(action="miner.address-change").count() == 1
    if change != "owner-confirm":
        other = asked(wish | {"addresses": [WORKER]})
        assert "this key was already used for a different change" in json.dumps(other)


def test_control_addresses_that_are_not_named_are_not_taken_away(info: dict[str, Any]) -> None:
    refused = rest({"change": "control"})
    assert (refused.status_code, Message.objects.count()) == (400, 0)
    assert "an empty list removes all control addresses" in refused.content.decode()

    none = rest({"change": "control", "addresses": []})
    assert (none.status_code, none.json()["says"]) == (201, "control addresses: none")
