"""Withdrawals of a miner's earnings by REST: how much, to whom, by whom, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from apps.messages.models import Message
from apps.messages.services.push import message_push
from apps.miners.models import Miner
from apps.users.models import AuditEntry, SignerGrant
from poolsite.filecoin.actors.miner import Method
from poolsite.filecoin.actors.miner_control import WithdrawBalanceParams
from poolsite.filecoin.amounts import FIL, AttoFil
from poolsite.filecoin.codec import to_cbor
from tests import people
from tests.factories import MinerNode
from tests.fake_node import Refusal
from tests.integration.dashboard.miner_addresses import NEW, OWNER, head_at, info, pushed
from tests.integration.dashboard.withdrawals import (
    AVAILABLE,
    TERM,
    available,
    funds_set,
    requested,
    signer_says,
)

pytestmark = pytest.mark.django_db

__all__ = ["available", "info"]


def keyless(node: MinerNode, monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """These addresses are multisigs."""
    known = node.do_StateAccountKey

    def key(address: str, tipset: Any) -> Any:
        if address in addresses:
            raise Refusal(f"failed to get account actor state for {address}: unknown actor code")
        return known(address, tipset)

    monkeypatch.setattr(node, "do_StateAccountKey", key)


def rest(amount: int | None = None, *, token: str = "", key: str = "", query: str = "", **more: Any) -> Any:
    body = more or ({} if amount is None else {"amount": str(amount)})
    return Client().post(
        f"/api/v1/miners/f02001/withdrawals{query}",
        json.dumps(body),
        content_type="application/json",
        headers=people.bearer(token or people.token("sign")) | ({"Idempotency-Key": key} if key else {}),
    )


def test_dry_run_says_amount_receiver_cost_and_signer(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = signer_says(monkeypatch, "no rule allows message: miner.WithdrawBalance")

    answer = rest(5 * FIL, query="?dry_run=true")

    assert answer.status_code == 200, answer.content
    body = answer.json()
    assert (body["message"], body["amount"], body["remains"]) == (None, str(5 * FIL), str(7 * FIL))
    assert (body["receiver"], body["sender"], body["method"]) == ("f0101", OWNER, 16)
    assert int(body["cost_max"]) > int(body["cost_expected"]) > 0
    assert body["signer"].endswith(
        "would refuse miner.WithdrawBalance: no rule allows message: miner.WithdrawBalance"
    )
    ((address, message),) = asked
    assert (address, message.method, message.gas_limit > 0) == (OWNER, 16, True)
    assert not Message.objects.exists()


def test_dry_run_names_a_signer_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "could not be asked" in rest(query="?dry_run=true").json()["signer"]
    signer_says(monkeypatch)
    assert rest(query="?dry_run=true").json()["signer"] == ""


def test_the_same_key_withdraws_once_and_is_audited(info: dict[str, Any]) -> None:
    first, again = (rest(5 * FIL, key="k") for _ in range(2))

    assert (first.status_code, again.status_code) == (201, 201), first.content
    message = pushed()
    assert first.json()["message"] == again.json()["message"] == str(message.pk)
    assert (message.to, message.from_addr, message.method) == ("f02001", OWNER, Method.WITHDRAW_BALANCE)
    assert (requested(message), message.value, message.kind) == (5 * FIL, 0, "withdrawal")
    other = rest(6 * FIL, key="k")
    assert (other.status_code, other.json()["field"]) == (409, "key")
    entry = AuditEntry.objects.get(action="miner.withdraw", target="f02001")
    assert entry.after == {
        "amount": "5 FIL",
        "receiver": "f0101",
        "sender": OWNER,
        "message": str(message.pk),
    }


def test_a_landed_withdrawal_is_not_repeated_under_its_key() -> None:
    first = rest(key="k").json()
    Message.objects.update(state="LANDED", nonce=0, gas_cost=77)

    again = rest(AVAILABLE, key="k", token=people.operator_token())

    assert again.status_code == 201, again.content
    body = again.json()
    assert (body["message"], body["amount"], body["cost_expected"]) == (
        first["message"],
        str(AVAILABLE),
        "77",
    )
    assert (body["receiver"], body["remains"]) == (None, None)


def test_no_amount_withdraws_all_but_what_is_in_progress() -> None:
    assert rest(5 * FIL).status_code == 201

    refused = rest(8 * FIL)
    assert (refused.status_code, refused.json()["field"]) == (400, "amount")
    assert "at most 7 FIL can be withdrawn now" in refused.json()["message"]
    assert rest(amount=None).json()["amount"] == str(7 * FIL)
    nothing = rest()
    assert nothing.status_code == 409
    assert "nothing is available beside the 12 FIL in progress" in nothing.json()["message"]
    assert sorted(map(requested, Message.objects.all())) == [5 * FIL, 7 * FIL]


def test_another_programs_withdrawal_counts_as_in_progress() -> None:
    message_push(
        principal=people.principal(),
        id="theirs",
        to="f02001",
        from_=OWNER,
        method=Method.WITHDRAW_BALANCE,
        params=to_cbor(WithdrawBalanceParams(AttoFil(10 * FIL))),
    )

    assert rest(query="?dry_run=true").json()["amount"] == str(2 * FIL)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"amount": "0"}, "must be above 0"),
        ({"amount": "-1"}, "must be a whole number of attoFIL"),
        ({"amount": str(AVAILABLE + 1)}, "the chain would pay less without an error"),
    ],
)
def test_a_wrong_amount_is_refused(body: dict[str, Any], words: str) -> None:
    refused = rest(**body)

    assert (refused.status_code, refused.json()["field"]) == (400, "amount"), refused.content
    assert words in refused.json()["message"]
    assert not Message.objects.exists()


@pytest.mark.parametrize(
    ("amount", "words"), [(0, "nothing is available to withdraw"), (-3 * FIL, "the miner lacks 3 FIL for it")]
)
def test_a_miner_without_funds_is_refused(
    node: MinerNode, monkeypatch: pytest.MonkeyPatch, amount: int, words: str
) -> None:
    funds_set(node, monkeypatch, amount)

    refused = rest()

    assert (refused.status_code, refused.json()["field"]) == (409, "amount")
    assert words in refused.json()["message"]


def test_a_beneficiary_receives_up_to_its_quota_until_its_term_ends(info: dict[str, Any]) -> None:
    info |= TERM
    over = rest(6 * FIL)
    assert "at most 5 FIL can be withdrawn now" in over.json()["message"]

    body = rest().json()

    assert (body["receiver"], body["amount"], body["remains"]) == ("f0103", str(5 * FIL), str(7 * FIL))
    assert (body["sender"], pushed().expire_epoch) == (OWNER, 1999)


@pytest.mark.parametrize(
    ("height", "used", "words"),
    [(1999, 0, "f0103 ends at epoch 2000"), (1000, 5 * FIL, "f0103 has used its quota of 5 FIL")],
)
def test_a_spent_or_ended_term_is_refused(
    info: dict[str, Any], node: MinerNode, height: int, used: int, words: str
) -> None:
    info |= TERM | {"BeneficiaryTerm": {"Quota": str(5 * FIL), "UsedQuota": str(used), "Expiration": 2000}}
    head_at(node, height)

    refused = rest()

    assert (refused.status_code, refused.json()["field"]) == (409, "beneficiary"), refused.content
    assert words in refused.json()["message"]


def test_a_multisig_owner_is_told_to_propose(node: MinerNode, monkeypatch: pytest.MonkeyPatch) -> None:
    keyless(node, monkeypatch, "f0101")

    refused = rest(5 * FIL)

    assert (refused.status_code, refused.json()["field"]) == (409, "sender")
    params = to_cbor(WithdrawBalanceParams(AttoFil(5 * FIL))).hex()
    assert f"lotus msig propose f0101 f02001 0 16 {params}" in refused.json()["message"]


def test_the_beneficiary_sends_for_a_multisig_owner(
    info: dict[str, Any], node: MinerNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    info |= TERM
    keyless(node, monkeypatch, "f0101")

    assert rest(query="?dry_run=true").json()["sender"] == NEW


def test_an_owner_at_no_signer_is_refused() -> None:
    SignerGrant.objects.filter(address=OWNER).delete()

    refused = rest()

    assert (refused.status_code, refused.json()["field"]) == (409, "sender")
    assert f"no signer of the miner's tenant holds {OWNER}" in refused.json()["message"]


def test_what_the_chain_would_refuse_is_not_pushed(node: MinerNode) -> None:
    node.fails["16"] = "cannot withdraw while there are early terminations"

    refused = rest()

    assert refused.status_code == 409
    assert "the chain would refuse it: cannot withdraw while" in refused.json()["message"]
    dry = rest(query="?dry_run=true").json()
    assert (dry["exit_code"], dry["error"]) == (18, node.fails["16"])
    assert not Message.objects.exists()


def test_a_miner_that_is_not_active_is_refused() -> None:
    Miner.objects.update(state="CREATING")

    refused = rest()

    assert (refused.status_code, refused.json()["field"]) == (409, "miner")


def test_another_tenant_and_lower_levels_withdraw_nothing() -> None:
    assert rest(token=people.token("sign", of="bob")).status_code == 404
    assert rest(token=people.token("write")).status_code == 403
    assert rest(token=people.token("write"), query="?dry_run=true").status_code == 403
    assert rest(query="?dryrun=true").status_code == 400
    assert rest(amont="1").status_code == 400
    assert not Message.objects.exists()
