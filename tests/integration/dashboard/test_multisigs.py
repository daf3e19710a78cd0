"""Multisigs on pages and over REST: the inbox, the review of each act, and who sees what."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from django.test import Client

from apps.chain.errors import NodeUnavailable
from apps.dashboard.pages.multisigs import page as multisigs_page
from apps.messages.models import Message
from apps.miners.models import Miner
from apps.users.models import AuditEntry, SignerGrant
from apps.users.services.grants import miner_grant
from poolsite.filecoin.actors.miner import Method
from poolsite.filecoin.actors.miner_control import WithdrawBalanceParams
from poolsite.filecoin.actors.multisig import Method as MultisigMethod
from poolsite.filecoin.actors.multisig import ProposeParams, TxnIDParams
from poolsite.filecoin.amounts import FIL, AttoFil
from poolsite.filecoin.codec import from_cbor, to_cbor
from tests import factories, people
from tests.factories import MinerNode
from tests.fake_node import Refusal
from tests.integration.dashboard.miner_addresses import IDS, NEW, OWNER, SECP, info, pushed, rest
from tests.integration.dashboard.withdrawals import available, signer_says
from tests.page_client import hidden_fields, signed_in, text_of

pytestmark = pytest.mark.django_db

__all__ = ["available", "info"]

MULTISIG, STRANGER = "f0500", "f0999"
WITHDRAWAL = to_cbor(WithdrawBalanceParams(AttoFil(5 * FIL)))


def proposal(id: int = 7, **overrides: Any) -> dict[str, Any]:
    return {
        "ID": id,
        "To": "f02001",
        "Value": "0",
        "Method": int(Method.WITHDRAW_BALANCE),
        "Params": base64.b64encode(WITHDRAWAL).decode(),
        "Approved": [STRANGER],
        **overrides,
    }


@pytest.fixture
def pending(info: dict[str, Any], node: MinerNode, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The owner is a multisig of OWNER, NEW and a stranger; what waits in it."""
    info |= {"Owner": MULTISIG, "Beneficiary": MULTISIG}
    waiting: list[dict[str, Any]] = []
    keys = {number: key for key, number in IDS.items()} | {STRANGER: factories.secp(99)}

    def key_of(address: str, _key: Any) -> str:
        if address not in keys:
            raise Refusal(f"failed to get account actor state for {address}")
        return keys[address]

    def state_of(address: str, _key: Any) -> Any:
        if address != MULTISIG:
            return {"Balance": "0", "State": {"Address": address}}
        state = {"Signers": [IDS[OWNER], IDS[NEW], STRANGER], "NumApprovalsThreshold": 2}
        return {"Balance": str(9 * FIL), "State": state}

    monkeypatch.setattr(node, "do_StateAccountKey", key_of, raising=False)
    monkeypatch.setattr(node, "do_StateReadState", state_of, raising=False)
    monkeypatch.setattr(node, "do_MsigGetPending", lambda _address, _key: waiting, raising=False)
    monkeypatch.setitem(IDS, MULTISIG, MULTISIG)
    node.kinds[MULTISIG] = "multisig"
    node.balances[MULTISIG] = 9 * FIL
    Miner.objects.update(owner=MULTISIG, owner_id=500, beneficiary=MULTISIG)
    return waiting


def kept(page: Any, name: str) -> str:
    """The first value that a form of the page brings again."""
    return hidden_fields(page)[name][0]


def inbox(token: str = "", path: str = "") -> Any:
    answer = Client().get(
        f"/api/v1/multisigs{path}", headers=people.bearer(token or people.token("read", of="alice"))
    )
    return answer.json()


def decide(decision: str = "approve", *, query: str = "", token: str = "", id: int = 7, **body: Any) -> Any:
    body.setdefault("hash", next((one["hash"] for one in inbox()[0]["proposals"] if one["id"] == id), "00"))
    return Client().post(
        f"/api/v1/multisigs/{MULTISIG}/proposals/{id}/decisions{query}",
        json.dumps({"decision": decision, **body}),
        content_type="application/json",
        headers=people.bearer(token or people.token("sign")),
    )


def test_the_page_withdraws_by_a_proposal(
    pending: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    people.person("ann")
    signer_says(monkeypatch)
    browser = signed_in("ann")
    page = "/miners/f02001/withdraw/"

    assert "multisig.Propose" in text_of(browser.get(page)), "the rule that the signer needs"
    review = browser.post(page, {"amount": "5", "key": "k"})
    text = text_of(review)
    for part in (MULTISIG, "1 of 2 approvals; 1 other signer must approve it", "would succeed"):
        assert part in text, part
    again = {name: kept(review, name) for name in ("amount", "key")}
    assert browser.post(page, {**again, "sure": "yes"}).status_code == 302

    message = pushed()
    inner = from_cbor(ProposeParams, bytes(message.params))
    assert (message.to, message.from_addr, message.method) == (MULTISIG, OWNER, MultisigMethod.PROPOSE)
    assert (str(inner.to), inner.method, inner.params, inner.value) == ("f02001", 16, WITHDRAWAL, 0)
    after = AuditEntry.objects.get(action="miner.withdraw").after or {}
    assert (after["multisig"], after["approvals"], after["threshold"]) == (MULTISIG, 1, 2)


@pytest.mark.parametrize(
    ("body", "method"),
    [
        ({"change": "owner", "addresses": [NEW]}, Method.CHANGE_OWNER_ADDRESS),
        ({"change": "worker", "addresses": [NEW]}, Method.CHANGE_WORKER_ADDRESS),
        ({"change": "control", "addresses": [SECP]}, Method.CHANGE_WORKER_ADDRESS),
        (
            {"change": "beneficiary", "addresses": [NEW], "quota": str(FIL), "expiration": 5000},
            Method.CHANGE_BENEFICIARY,
        ),
    ],
)
def test_each_change_of_addresses_is_proposed(
    pending: list[dict[str, Any]], body: dict[str, Any], method: int
) -> None:
    answer = rest(body)

    assert answer.status_code == 201, answer.content
    assert answer.json()["proposal"]["threshold"] == 2
    inner = from_cbor(ProposeParams, bytes(pushed().params))
    assert (str(inner.to), inner.method) == ("f02001", method)
    (line,) = (
        Client()
        .get("/api/v1/miners/f02001/addresses", headers=people.bearer(people.token()))
        .json()["on_the_way"]
    )
    assert line["says"].startswith(f"proposal in {MULTISIG}: ")


def test_the_beneficiarys_quota_is_extended_by_the_multisig(
    pending: list[dict[str, Any]], info: dict[str, Any]
) -> None:
    info |= {
        "Beneficiary": IDS[NEW],
        "BeneficiaryTerm": {"Quota": str(FIL), "UsedQuota": str(FIL), "Expiration": 4000},
    }
    more = {"change": "beneficiary", "addresses": [NEW], "quota": str(3 * FIL), "expiration": 9000}

    assert rest(more).status_code == 201
    assert pushed().to == MULTISIG


def test_a_second_change_of_control_addresses_waits_for_the_first(pending: list[dict[str, Any]]) -> None:
    change = {"change": "control", "addresses": [SECP]}
    assert rest(change).status_code == 201
    in_flight = rest({"change": "worker", "addresses": [NEW]})
    assert (in_flight.status_code, in_flight.json()["field"]) == (409, "change")
    params = from_cbor(ProposeParams, bytes(pushed().params)).params
    Message.objects.update(state="LANDED", nonce=0, exit_code=0)
    pending.append(proposal(Method=3, Params=base64.b64encode(params).decode()))

    refused = rest({"change": "worker", "addresses": [NEW]})

    assert (refused.status_code, refused.json()["field"]) == (409, "change")
    assert "proposal 7 waits for approvals" in refused.json()["message"]


def test_the_inbox_says_who_approved_and_for_whom_it_waits(pending: list[dict[str, Any]]) -> None:
    pending.append(proposal())
    people.person("ann")

    (row,) = inbox()

    (waiting,) = row["proposals"]
    assert (row["address"], row["threshold"], row["miners"]) == (MULTISIG, 2, ["f02001"])
    assert [one["wallet"] for one in row["signers"]] == [OWNER, NEW, None]
    assert (waiting["says"], waiting["method_name"]) == ("withdraw 5 FIL from f02001", "WithdrawBalance")
    assert (waiting["approved"], waiting["waits_for"]) == ([STRANGER], [IDS[OWNER], IDS[NEW]])
    text = text_of(signed_in("ann").get("/multisigs/"))
    for part in ("withdraw 5 FIL from f02001", "1 of 2", "Approve…", "1 proposal waits, 1 of them for your"):
        assert part in text, part
    assert "Cancel proposal…" not in text, "a stranger proposed it"


def test_without_a_node_pages_say_so_and_not_that_nothing_waits(
    pending: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    pending.append(proposal())
    people.person("ann")
    page = signed_in("ann")

    def away(*_args: Any, **_facts: Any) -> Any:
        raise NodeUnavailable("no node answers")

    for name in ("multisig_get", "multisigs_visible"):
        monkeypatch.setattr(multisigs_page, name, away)
    for path in ("/multisigs/", f"/multisigs/{MULTISIG}/propose/"):
        shown = page.get(path)
        assert shown.status_code in (200, 422)
        assert "no node answers" in text_of(shown)
        assert "What waits is not known." in text_of(shown)
        assert "No proposal waits" not in text_of(shown)


def test_the_page_approves_what_was_shown_and_nothing_else(
    pending: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    pending.append(proposal())
    people.person("ann")
    signer_says(monkeypatch)
    browser = signed_in("ann")
    page = f"/multisigs/{MULTISIG}/7/approve/"
    shown = kept(browser.get("/multisigs/"), "hash")

    review = browser.post(page, {"hash": shown})
    assert "carried out at once" in text_of(review)
    pending[0] = proposal(Params=base64.b64encode(to_cbor(WithdrawBalanceParams(AttoFil(FIL)))).decode())
    refused = browser.post(page, {"hash": shown, "sure": "yes"})
    assert refused.status_code == 422
    assert "is another one than was reviewed" in text_of(refused)
    assert not Message.objects.exists()

    pending[0] = proposal()
    assert browser.post(page, {"hash": shown, "sure": "yes"}).status_code == 302
    message = pushed()
    params = from_cbor(TxnIDParams, bytes(message.params))
    assert (message.to, message.from_addr, message.method) == (MULTISIG, OWNER, MultisigMethod.APPROVE)
    assert (params.id, params.proposal_hash.hex()) == (7, shown)


def test_an_approval_that_would_fail_is_refused(pending: list[dict[str, Any]], node: MinerNode) -> None:
    pending.append(proposal())
    node.fails["16"] = "not enough funds"

    refused = decide()

    assert refused.status_code == 409
    assert "not enough funds" in refused.json()["message"]
    assert decide(query="?dry_run=true").json()["proposal"]["exit_code"] == 18
    assert not Message.objects.exists()


def test_a_failed_approval_may_be_sent_again(pending: list[dict[str, Any]]) -> None:
    pending.append(proposal())
    first = decide().json()["message"]
    assert decide().json()["message"] == first
    Message.objects.update(state="FAILED")

    assert decide().json()["message"] != first
    assert AuditEntry.objects.filter(action="multisig.approve").count() == 2


def test_only_the_proposer_cancels(pending: list[dict[str, Any]]) -> None:
    pending.append(proposal())
    refused = decide("cancel")
    assert (refused.status_code, refused.json()["field"]) == (409, "signer")
    pending[0] = proposal(Approved=[IDS[NEW], STRANGER])

    assert decide("cancel").status_code == 201
    message = pushed()
    assert (message.from_addr, message.method) == (NEW, MultisigMethod.CANCEL)


def test_other_tenants_see_neither_multisig_nor_proposals(pending: list[dict[str, Any]]) -> None:
    pending.append(proposal())
    stranger = people.token("sign", of="bob")
    assert inbox(stranger) == []
    assert inbox(stranger, f"/{MULTISIG}")["code"] == "not_found"
    assert decide(token=stranger).status_code == 404
    assert decide(token=people.token("write")).status_code == 403

    miner_grant(tenant=people.tenant("bob"), actor_id=3003, open_mining=True)
    pending.append(proposal(8, To="f03003"))
    assert [one["id"] for one in inbox()[0]["proposals"]] == [7], "what concerns bob's miner is bob's"
    assert decide(id=8).status_code == 404
    assert not Message.objects.exists()


def test_a_multisig_without_a_signer_here_is_refused_by_name(pending: list[dict[str, Any]]) -> None:
    SignerGrant.objects.all().delete()
    pending.append(proposal())

    refused = decide()

    assert (refused.status_code, refused.json()["field"]) == (409, "signer")
    assert f"no signer of the tenant holds a key of multisig {MULTISIG}" in refused.json()["message"]
    change = rest({"change": "owner", "addresses": [NEW]})
    assert (change.status_code, change.json()["field"]) == (409, "sender")
    assert f"lotus msig propose {MULTISIG} f02001 0 23" in change.json()["message"]
