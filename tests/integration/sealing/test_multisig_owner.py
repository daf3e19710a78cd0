"""A miner that a multisig owns, on a real devnet: what its owner does is proposed, approved and cancelled."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from apps.messages.models import ApprovalRule, Message
from apps.messages.services.push import message_push
from apps.miners.selectors.miners import miner_principal
from apps.users.models import AuditEntry
from poolsite.devnet.actors.codes import CODES
from poolsite.filecoin.actors.init import ExecParams, ExecReturn
from poolsite.filecoin.actors.init import Method as InitMethod
from poolsite.filecoin.actors.multisig import ConstructorParams, TxnIDParams
from poolsite.filecoin.address import INIT_ACTOR, address_parse
from poolsite.filecoin.amounts import FIL
from poolsite.filecoin.codec import from_cbor, to_cbor
from tests import people
from tests.integration.sealing.address_changes import Changes
from tests.integration.sealing.world import World


class Multisig(Changes):
    """The pool's miner, owned by a multisig of two of three keys that the tenant holds."""

    def __init__(self, world: World, *, seed: int = 31) -> None:
        super().__init__(world)
        self.signers = [self.key(seed + at) for at in range(3)]
        self.keys = [world.ask("StateAccountKey", one, None) for one in self.signers]
        params = ConstructorParams(tuple(map(address_parse, self.signers)), 2, 0, 0)
        made = message_push(
            principal=miner_principal(self.miner),
            id="make-multisig",
            to=INIT_ACTOR,
            from_=self.keys[0],
            method=InitMethod.EXEC,
            params=to_cbor(ExecParams(CODES["multisig"], to_cbor(params))),
        )
        found = from_cbor(ExecReturn, bytes(self.landed(made.pk).return_data))
        self.address = str(found.id_address)

    def own(self) -> None:
        """Make the multisig the miner's owner, once its ID is final."""
        until = self.world.height + 21
        self.world.until(lambda: self.world.height >= until, epochs=30)
        self.do("owner", self.address)
        self.do("owner-confirm")
        self.approve()
        assert self.chain()["Owner"] == self.address

    def inbox(self, *, token: str = "") -> Any:
        answer = Client().get(f"/api/v1/multisigs/{self.address}", headers=people.bearer(token or self.token))
        return answer.json()

    def decide(self, decision: str, *, query: str = "", token: str = "", **more: Any) -> Any:
        """Decide about the only proposal that waits."""
        (waiting,) = self.inbox()["proposals"]
        body = {"decision": decision, "hash": waiting["hash"], **more}
        return Client().post(
            f"/api/v1/multisigs/{self.address}/proposals/{waiting['id']}/decisions{query}",
            json.dumps(body),
            content_type="application/json",
            headers=people.bearer(token or self.token),
        )

    def approve(self) -> Message:
        answer = self.decide("approve")
        assert answer.status_code == 201, answer.content
        return self.landed(answer.json()["message"])

    def withdraw(self, amount: int, *, query: str = "") -> Any:
        return Client().post(
            f"/api/v1/miners/{self.miner.address}/withdrawals{query}",
            json.dumps({"amount": str(amount)}),
            content_type="application/json",
            headers=people.bearer(self.token),
        )

    def propose(self, *, query: str = "", **body: Any) -> Any:
        return Client().post(
            f"/api/v1/multisigs/{self.address}/proposals{query}",
            json.dumps(body),
            content_type="application/json",
            headers=people.bearer(self.token),
        )

    def balance(self, address: str) -> int:
        return int(self.world.ask("StateGetActor", address, None)["Balance"])


@pytest.fixture
def multisig(world: World) -> Multisig:
    return Multisig(world)


def test_a_multisig_owns_withdraws_and_sets_control_addresses(multisig: Multisig) -> None:
    multisig.own()
    world = multisig.world
    world.until(lambda: multisig.miner.__class__.objects.get().owner == multisig.address, epochs=20)
    sent = message_push(
        principal=miner_principal(multisig.miner),
        id="deposit",
        to=multisig.miner.address,
        from_=world.owner,
        value=10 * FIL,
        method=0,
    )
    multisig.landed(sent.pk)

    dry = multisig.withdraw(3 * FIL, query="?dry_run=true").json()
    assert dry["proposal"] == {
        "multisig": multisig.address,
        "approvals": 1,
        "threshold": 2,
        "is_executed": False,
        "exit_code": 0,
        "error": "",
    }
    first = multisig.withdraw(3 * FIL)
    assert first.status_code == 201, first.content
    multisig.landed(first.json()["message"])
    (waiting,) = multisig.inbox()["proposals"]
    assert waiting["says"] == f"withdraw 3 FIL from {multisig.miner.address}"
    assert (waiting["approved"], waiting["waits_for"]) == (multisig.signers[:1], multisig.signers[1:])
    assert waiting["missing"] == 1
    available = int(world.ask("StateMinerAvailableBalance", multisig.miner.address, None))
    rest = multisig.withdraw(available, query="?dry_run=true").json()
    assert "can be withdrawn now" in rest["message"], "what is proposed counts as in progress"

    before = multisig.balance(multisig.address)
    multisig.approve()
    assert multisig.balance(multisig.address) == before + 3 * FIL
    assert multisig.inbox()["proposals"] == []

    heir = multisig.key(41)
    multisig.do("control", heir)
    again = multisig.post("control", heir)
    assert (again.status_code, again.json()["field"]) == (409, "change")
    assert "waits for approvals, approve or cancel it first" in again.json()["message"]
    multisig.approve()
    assert multisig.chain()["ControlAddresses"] == [heir]
    after = AuditEntry.objects.filter(action="multisig.approve").latest("pk").after or {}
    assert (after["approvals"], after["threshold"]) == (2, 2)


def test_a_transfer_is_proposed_cancelled_and_never_approved_as_another(multisig: Multisig) -> None:
    world = multisig.world
    sent = message_push(
        principal=miner_principal(multisig.miner),
        id="fund-multisig",
        to=multisig.address,
        from_=world.owner,
        value=5 * FIL,
        method=0,
    )
    multisig.landed(sent.pk)
    answer = multisig.propose(to=multisig.signers[2], value=str(FIL))
    assert answer.status_code == 201, answer.content
    multisig.landed(answer.json()["message"])

    (waiting,) = multisig.inbox()["proposals"]
    assert waiting["says"] == f"transfer 1 FIL to {multisig.signers[2]}"
    wrong = multisig.decide("approve", hash="00" * 32)
    assert (wrong.status_code, wrong.json()["field"]) == (409, "hash")
    mine = multisig.decide("approve", signer=multisig.keys[0])
    assert (mine.status_code, mine.json()["field"]) == (409, "signer")
    dry = multisig.decide("approve", query="?dry_run=true").json()
    assert (dry["proposal"]["is_executed"], dry["proposal"]["exit_code"]) == (True, 0)

    first, second = (multisig.decide("approve") for _ in range(2))
    assert first.json()["message"] == second.json()["message"], "a repeat sends nothing more"
    approval = Message.objects.get(pk=first.json()["message"])
    params = from_cbor(TxnIDParams, bytes(approval.params))
    assert params.proposal_hash.hex() == waiting["hash"]
    assert AuditEntry.objects.filter(action="multisig.approve").count() == 1
    multisig.landed(approval.pk)
    assert multisig.inbox()["proposals"] == []

    multisig.landed(multisig.propose(to=multisig.signers[2], value=str(FIL)).json()["message"])
    by_other = multisig.decide("cancel", signer=multisig.keys[1])
    assert (by_other.status_code, by_other.json()["field"]) == (409, "signer")
    multisig.landed(multisig.decide("cancel").json()["message"])
    assert multisig.inbox()["proposals"] == []

    over = multisig.propose(to=multisig.signers[2], value=str(1_000 * FIL))
    multisig.landed(over.json()["message"])
    lost = multisig.decide("approve")
    assert lost.status_code == 409, "approving it would lose or refuse it"


def test_strangers_see_no_multisig_and_rules_hold(multisig: Multisig) -> None:
    stranger = people.token("sign", of="bob")
    assert multisig.inbox(token=stranger)["code"] == "not_found"
    assert Client().get("/api/v1/multisigs", headers=people.bearer(stranger)).json() == []
    reader = people.token("read", of="alice")
    refused = Client().post(
        f"/api/v1/multisigs/{multisig.address}/proposals",
        json.dumps({"to": multisig.signers[2], "value": "1"}),
        content_type="application/json",
        headers=people.bearer(reader),
    )
    assert refused.status_code == 403

    ApprovalRule.objects.create(tenant=multisig.world.tenant, created_by="ann", actor="multisig", method=2)
    answer = multisig.propose(to=multisig.signers[2], value="1")
    assert answer.status_code == 201, answer.content
    assert Message.objects.get(pk=answer.json()["message"]).needs_approval
