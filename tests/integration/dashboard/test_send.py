"""Sending on the page: any method with its parameters, fees, and what the review says before it is pushed."""

from __future__ import annotations

from html import unescape
from typing import Any

import pytest
from django.urls import reverse

from apps.dashboard.pages.messages.call_params import (
    FIELD,
    call_read,
    method_names,
    param_fields,
    params_build,
)
from apps.messages.errors import BadMessage
from apps.messages.models import Message
from apps.users.services.grants import signer_grant
from apps.wallets.services import policies
from poolsite.filecoin.actors.decode import ACTOR_METHODS, params_decode
from poolsite.wire.policy import MessageVerdict
from poolsite.wire.policy_refusals import LimitRefusal
from tests import factories
from tests.messaging import Pool
from tests.page_client import signed_in, text_of
from tests.people import operator_person

pytestmark = pytest.mark.django_db
SEND = "/send/"
CID = "bafy2bzacecesrkxghscnq7vatble2hqdvwat6ed23vdu4vvo3uuggsoaya7ki"
VALUES = {
    "a whole number": "7",
    "true or false": "true",
    "": "text",
    "an address": "f01001",
    "a whole number, in the smallest unit": "12",
    "an amount in FIL": "1.5",
    "bytes, as 0x… or base64": "0x00ff",
    "a CID": CID,
    "numbers and ranges, such as 1-5, 9": "1-3, 9",
    "as JSON; empty: none": "",
}
"""Something that each help text allows; lists have none here."""


def posted(client: Any, **form: str) -> Any:
    return client.post(reverse("message-compose"), {"id": "m-1", "to": "f01000", "value": "0", **form})


@pytest.mark.parametrize("name", [name for name in method_names() if name != "Send"])
def test_each_method_has_a_field_for_each_parameter(name: str) -> None:
    call = call_read(name, kind=name.partition(".")[0])
    fields = param_fields(call)
    spec = ACTOR_METHODS[call.kind][call.number]
    assert bool(fields) == (spec.params is not None), name

    typed = {field.name: VALUES.get(str(field.help), "") for field in fields}
    refused, made = "", b""
    try:
        made = params_build(call, typed)
    except BadMessage as refusal:
        refused = refusal.field
    assert not refused or refused in typed, "it names a field that is shown"
    read = None if refused else params_decode(call.kind, call.number, made)
    for field in fields:
        if typed[field.name] and isinstance(read, dict):
            assert read[field.label] not in (None, "", 0), f"{name} {field.label}"


def test_a_withdrawal_is_typed_in_fil(ann: object) -> None:
    call = call_read("miner.WithdrawBalance", kind="miner")

    made = params_build(call, {f"{FIELD}AmountRequested": "1.5"})

    assert params_decode("miner", 16, made) == {"AmountRequested": "1500000000000000000"}


@pytest.mark.parametrize(
    ("name", "field", "typed"),
    [
        ("miner.WithdrawBalance", "AmountRequested", "many"),
        ("miner.ChangeOwnerAddress", "", "nobody"),
        ("market.AddBalance", "", "x"),
        ("miner.ChangePeerID", "NewID", "no bytes!"),
        ("miner.ChangePeerID", "NewID", "0x00fg12"),
        ("miner.ChangePeerID", "NewID", "00ffAA11"),
        ("multisig.Approve", "ID", "1.5"),
        ("miner.CompactPartitions", "Partitions", "5-1"),
    ],
)
def test_a_parameter_is_refused_at_its_field(name: str, field: str, typed: str) -> None:
    call = call_read(name, kind=name.partition(".")[0])
    name = FIELD + field if field else param_fields(call)[0].name

    with pytest.raises(BadMessage) as refused:
        params_build(call, {name: typed})

    assert refused.value.field == name


@pytest.mark.parametrize(
    ("method", "kind"), [("market.AddBalance", "miner"), ("miner.Nothing", ""), ("x", "")]
)
def test_a_method_that_the_receiver_lacks_is_refused(method: str, kind: str) -> None:
    with pytest.raises(BadMessage) as refused:
        call_read(method, kind=kind)

    assert refused.value.field == "method"


def test_a_call_is_reviewed_with_its_parameters_and_pushed(pool: Pool) -> None:
    sender, client = pool.address(), signed_in()
    factories.wallet(sender, balance=100 * factories.FIL)
    form = {"from": sender, "method": "miner.WithdrawBalance", "value": ""}

    asked = text_of(posted(client, **form))
    assert 'name="p-AmountRequested"' in asked, "the fields that the method has are shown first"
    form["p-AmountRequested"] = "2"
    review = unescape(text_of(posted(client, **form)))
    assert "miner WithdrawBalance (16)" in review
    assert "What a message does cannot be undone" in review
    assert "2 FIL" in review
    assert not Message.objects.exists()
    posted(client, **form, max_fee="1", gas_fee_cap="5", sure="yes")

    row = Message.objects.get()
    assert params_decode("miner", row.method, bytes(row.params)) == {
        "AmountRequested": str(2 * factories.FIL)
    }
    assert (int(row.value), int(row.max_fee), int(row.gas_fee_cap)) == (0, factories.FIL, 5 * 10**9)


def test_parameters_stay_where_the_receiver_is_refused(pool: Pool) -> None:
    sender, client = pool.address(), signed_in()
    factories.wallet(sender)
    form = {"from": sender, "to": sender, "method": "miner.WithdrawBalance", "p-AmountRequested": "2.25"}

    refused = posted(client, **form)

    assert (refused.status_code, 'id="method-error"' in text_of(refused)) == (422, True)
    assert 'name="p-AmountRequested"' in text_of(refused)
    assert 'value="2.25"' in text_of(refused)


def test_bytes_are_taken_where_no_table_knows_the_method(pool: Pool) -> None:
    sender, client = pool.address(), signed_in()
    factories.wallet(sender)
    form = {"from": sender, "method": "99", "sure": "yes"}

    refused = posted(client, **form, params="0xff")
    assert (refused.status_code, 'id="params-error"' in text_of(refused)) == (422, True)
    assert 'value="0xff"' in text_of(refused), "what was typed stays"
    posted(client, **form, params="0x8101")

    assert (Message.objects.get().method, bytes(Message.objects.get().params)) == (99, b"\x81\x01")


def verdict(monkeypatch: pytest.MonkeyPatch, *, rule: str = "", error: str = "") -> None:
    """Have the signer decide so."""
    monkeypatch.setattr(
        policies, "policy_try", lambda *_, **__: MessageVerdict(words="", rule=rule, error=error)
    )


def test_the_review_says_what_signer_rules_balance_and_node_say(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator = operator_person()
    sender, client = pool.address(), signed_in("olga")
    signer_grant(tenant=operator.tenant, address=sender)  # type: ignore[arg-type]  # she has one
    factories.wallet(sender, label="till")
    for at in range(2):
        pool.push(f"waits-{at}", sender, value=45 * factories.FIL)
    form = {"from": sender, "value": "20"}

    verdict(monkeypatch, rule="small transfers")
    good = unescape(text_of(posted(client, **form)))
    verdict(monkeypatch, error=str(LimitRefusal("small transfers", "value", "20 FIL", "1 FIL")))
    factories.approval_rule(of=str(operator.tenant), above=factories.FIL)
    bad = unescape(text_of(posted(client, **form)))

    assert "signs it by rule “small transfers”" in good
    assert "not needed: no rule names it" in good
    assert "those that wait 90" in good
    assert "short: this or another one would wait for funds" in good
    assert "succeeds, with" in good
    assert f'href="/send/?to={sender}"' in good
    assert "refuses it, and the message waits: rule “small transfers” allows 1 FIL, this sends 20 FIL" in bad
    assert "policy/rule/?name=small+transfers" in bad
    assert "waits for a second person: any message above 1 FIL; may be approved by:" in bad
    assert f'href="{reverse("approvals")}"' in bad
    assert 'data-kind="primary" type="submit">Send 20 FIL' in " ".join(good.split()).replace("> ", ">")


def test_a_signer_of_another_tenant_is_not_said_to_be_away(pool: Pool) -> None:
    sender, client = pool.address(), signed_in()
    factories.wallet(sender, of="bea")

    review = text_of(posted(client, **{"from": sender, "value": "1"}))

    assert "of another tenant or another make: its policy is not shown" in review
    assert "could not be asked" not in review


def test_a_trial_that_fails_is_said_in_words(pool: Pool) -> None:
    sender, client = pool.address(), signed_in()
    factories.wallet(sender)
    pool.node.fails["99"] = "message execution failed: exit 18"

    review = text_of(posted(client, **{"from": sender, "method": "99"}))

    assert "fails" in review
    assert "message execution failed: exit 18" in review


def test_only_wallets_that_sign_for_the_viewer_are_offered() -> None:
    factories.head()
    operator = operator_person()
    stranger, own = factories.wallet(label="hers"), factories.wallet(label="till")
    signer_grant(tenant=operator.tenant, address=own.address)  # type: ignore[arg-type]  # she has one

    page = text_of(signed_in("olga").get(reverse("message-compose")))

    senders = page[page.index('id="from"') : page.index('id="to"')]
    assert own.address in senders
    assert stranger.address not in senders
