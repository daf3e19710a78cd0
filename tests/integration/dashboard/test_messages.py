"""Messages on the pages: sending, giving up, raising fees, and the list with its filters."""

from __future__ import annotations

import re
from html import unescape

import pytest
from django.urls import reverse

from apps.core import formatting
from apps.core.clock import now
from apps.messages.models import Message, SignedVersion
from apps.messages.states import MessageState, Wait
from apps.users.services.grants import signer_grant
from tests import factories
from tests.demo_data import busy_pool
from tests.messaging import pool_world
from tests.page_client import HTMX, hidden_fields, refusal_kept, signed_in, text_of
from tests.people import operator_person, person

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("contexts")]


def test_sending_leads_to_the_message(ann):
    wallet = factories.wallet()
    form = {"id": "m-1", "from": wallet.address, "to": "f01000", "value": "1.5", "sure": "yes"}

    answer = signed_in().post(reverse("message-compose"), form)

    made = Message.objects.get(push_id="m-1")
    assert answer.headers["Location"] == reverse("message", args=[made.pk])
    assert Message.objects.get().value == 15 * 10**17


def test_the_review_says_that_a_transfer_will_wait_for_approval(ann):
    wallet = factories.wallet()
    rule = factories.approval_rule(of="alice", above=10**18)
    form = {"id": "m-1", "from": wallet.address, "to": "f01000", "value": "1.5"}
    browser = signed_in()

    above, below = (
        text_of(browser.post(reverse("message-compose"), {**form, "value": value})) for value in ("1.5", "1")
    )
    rule.delete()
    without = text_of(browser.post(reverse("message-compose"), form))

    assert "waits for a second person: any message above 1 FIL" in above
    assert "second person" not in below + without


def test_a_double_click_is_one_message(ann):
    wallet, client = factories.wallet(), signed_in()
    form = {"id": "m-1", "from": wallet.address, "to": "f01000", "value": "1", "sure": "yes"}

    for _ in range(2):
        client.post(reverse("message-compose"), form)

    assert Message.objects.count() == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [("value", "x"), ("value", "-1"), ("value", ""), ("value", "1e999"), ("to", "nobody"), ("to", "")],
)
def test_a_bad_field_is_refused_where_it_stands(ann, field, value):
    wallet = factories.wallet()
    form = {"id": "m-1", "from": wallet.address, "to": "f01000", "value": "1", "sure": "yes", field: value}

    answer = signed_in().post(reverse("message-compose"), form)

    assert answer.status_code == 422
    assert f'id="{field}-error"' in text_of(answer)
    assert not Message.objects.exists()


def test_a_strangers_wallet_cannot_send(bill):
    wallet = factories.wallet()
    form = {"id": "m-1", "from": wallet.address, "to": "f01000", "value": "1"}

    answer = signed_in("bill").post(reverse("message-compose"), form)

    assert answer.status_code == 422
    assert not Message.objects.exists()


def test_operator_confirms_before_a_key_of_another_tenant_pays():
    tenant = operator_person().tenant
    assert tenant is not None
    wallet, client = factories.wallet(), signed_in("olga")
    signer_grant(tenant=tenant, address=wallet.address)
    form = {"id": "m-1", "from": wallet.address, "to": "f01000", "value": "1"}

    asked = text_of(client.post(reverse("message-compose"), form))

    assert "The key belongs to tenant alice" in asked
    assert not Message.objects.exists()
    client.post(reverse("message-compose"), form | {"sure": "yes"})
    assert Message.objects.get().from_addr == wallet.address


def test_sender_of_a_transfer_is_not_preselected(ann):
    factories.wallet()

    page = text_of(signed_in().get(reverse("message-compose")))

    assert '<option value="">Choose…</option>' in page
    assert " selected" not in page


def test_a_transfer_is_reviewed_with_its_balance_before_it_is_sent(ann):
    wallet = factories.wallet(label="hot", balance=7 * factories.FIL)
    receiver = factories.wallet(label="cold")
    form = {"id": "m-1", "from": wallet.address, "to": receiver.address, "value": "1.5"}

    review = text_of(signed_in().post(reverse("message-compose"), form))

    assert "Review the transfer" in review
    assert f"hot {wallet.address}, 7.0000" in review
    assert "cold" in review
    assert "1.5 FIL" in review
    assert "Gas" in review
    assert not Message.objects.exists()


@pytest.mark.parametrize(("field", "value"), [("from", ""), ("from", "f01"), ("value", "many")])
def test_a_review_names_the_field_that_is_wrong(ann, field, value):
    form = {"id": "m-1", "from": factories.wallet().address, "to": "f01000", "value": "1", field: value}

    answer = signed_in().post(reverse("message-compose"), form)

    assert answer.status_code == 422
    assert f'id="{field}-error"' in text_of(answer)


def test_the_history_keeps_the_fee_cap_of_the_first_version(ann):
    factories.head(1000)
    row = factories.message("raised", state=MessageState.FILLED, gas_fee_cap=300_000)
    SignedVersion.objects.create(
        message=row, cid=factories.cid("old"), unsigned_cid=factories.cid("older"), signed=b"",
        gas_limit=1, gas_fee_cap=1_000, gas_premium=200, made_at=now(),
    )  # fmt: skip

    text = text_of(signed_in().get(reverse("message", args=["raised"])))

    assert f"fee cap {formatting.fee_text(1_000)}" in text


def test_giving_up_asks_first(ann):
    pool = busy_pool()
    address = reverse("message-mark-bad", args=[pool.stuck.id])
    client = signed_in()

    assert "It has no nonce yet" in text_of(client.get(address))
    assert Message.objects.get(pk=pool.stuck.pk).state == MessageState.UNFILLED
    answer = client.post(address)

    assert answer.headers["Location"] == reverse("message", args=[pool.stuck.id])
    assert Message.objects.get(pk=pool.stuck.pk).state == MessageState.FAILED


def test_what_was_signed_after_the_question_is_not_given_up_unasked(monkeypatch):
    with pool_world(monkeypatch) as pool:
        person()
        pool.push("one", pool.address())
        client, address = signed_in(), reverse("message-mark-bad", args=["one"])
        asked = client.get(address)
        assert "It has no nonce yet" in text_of(asked)
        pool.choose()

        again = client.post(address, hidden_fields(asked))

        assert again.status_code == 422
        assert "It is signed and was sent to the nodes" in text_of(again)
        assert "signed or replaced in the meantime" in text_of(again)
        assert pool.row("one").state == MessageState.FILLED
        assert client.post(address, hidden_fields(again)).status_code == 302
        assert pool.row("one").state == MessageState.FAILED


def test_a_landed_message_cannot_be_given_up(ann):
    pool = busy_pool()

    answer = signed_in().post(reverse("message-mark-bad", args=[pool.landed.id]))

    assert answer.status_code == 422
    assert "Not marked as failed." in text_of(answer)


def test_a_landed_message_that_was_refused_says_why(ann):
    pool = busy_pool()

    page = text_of(signed_in().get(reverse("message", args=[pool.refused.id])))

    assert "It failed on chain with exit code 16: a parameter is invalid" in page


def test_fee_of_an_unsigned_message_is_raised_on_its_page(ann):
    pool = busy_pool()
    client, address = signed_in(), reverse("message-replace", args=[pool.stuck.id])

    page = text_of(client.get(address))
    low = client.post(address, {"gas_fee_cap": "0.00000001", "max_fee": ""})
    answer = client.post(address, {"gas_fee_cap": "5", "max_fee": "1"})

    assert "It is not signed yet." in page
    assert (low.status_code, "at least 100 attoFIL" in text_of(low)) == (422, True)
    assert answer.headers["Location"] == reverse("message", args=[pool.stuck.id])
    row = Message.objects.get(pk=pool.stuck.pk)
    assert (int(row.gas_fee_cap), int(row.max_fee)) == (5 * 10**9, 10**18)


def test_doctor_shows_every_limit_and_where_to_change_it(ann):
    factories.head(1000)
    row = factories.message("capped", wait=Wait.FEE_LIMIT, attempts=1)
    factories.sender(row.from_addr, gas_fee_cap=10)

    page = text_of(signed_in().get(reverse("message", args=["capped"])))

    assert "Sender&#x27;s fee cap" in page
    assert f'href="{reverse("sender", args=[row.from_addr])}"' in page
    assert "blocks" in page
    assert "Raise fee…" in page


def test_stuck_messages_look_stuck_and_have_a_filter(ann):
    factories.head(1000)
    factories.message("lost", wait=Wait.POLICY, attempts=3)
    factories.message("fresh", wait=Wait.NEXT_HEAD)

    every = text_of(signed_in().get(reverse("messages")))
    stuck = text_of(signed_in().get(reverse("messages") + "?state=stuck"))

    assert len(re.findall(r">stuck\s*<", every)) == 1
    assert 'id="f-message-lost"' in stuck
    assert 'id="f-message-fresh"' not in stuck


@pytest.mark.parametrize("headers", [HTMX, {}])
def test_fees_of_a_landed_message_cannot_be_raised(ann, node, headers):
    pool = busy_pool()

    answer = signed_in().post(reverse("message-replace", args=[pool.landed.id]), headers=headers)

    assert answer.status_code == 422
    assert "the message is already on chain" in text_of(answer)
    if not headers:
        refusal_kept(answer, own=reverse("message", args=[pool.landed.id]), client=signed_in())


@pytest.mark.parametrize("key", ["a/b/c", "send", "replace/x", "ü ß", "a?b#c", "%2f", "a" * 256])
def test_any_id_has_a_page(ann, key):
    factories.head()
    factories.message(key)

    answer = signed_in().get(reverse("message", args=[key]))

    assert answer.status_code == 200
    assert "Send" in text_of(answer)


def test_messages_of_one_moment_come_in_pages_without_gaps(ann):
    for _ in range(120):
        factories.message()
    Message.objects.update(created_at=now())
    client, path, seen = signed_in(), "/messages/", []

    while path:
        answer = client.get(path)
        seen += [line.row.row.pk for line in answer.context["lines"]]
        older = answer.context["pager"].older
        path = "/messages/" + older if older else ""

    assert len(seen) == len(set(seen)) == 120


@pytest.mark.parametrize(
    ("state", "count"),
    [("", 6), ("open", 2), ("landed", 2), ("refused", 1), ("failed", 1), ("replaced", 1)],
)
def test_messages_are_filtered_by_state(ann, state, count):
    busy_pool()

    assert len(signed_in().get("/messages/", {"state": state}).context["lines"]) == count


def test_messages_are_found_by_what_names_them(ann):
    pool = busy_pool()
    client = signed_in()

    def found(q: str) -> int:
        return len(client.get("/messages/", {"q": q}).context["lines"])

    assert found(pool.flying.cid) == 1
    assert found("alice/flying") == 1
    assert found(str(pool.flying.nonce)) == 1
    assert found(pool.wallet.address) == 6
    assert found("t" + pool.wallet.address[1:]) == 6
    assert found("9" * 40) == 0
    assert found("nothing") == 0


def test_back_from_the_review_of_a_transfer_what_was_typed_is_there(ann):
    browser, typed = signed_in(), {"from": factories.wallet(balance=10 * factories.FIL).address}
    typed |= {"to": factories.bls(9), "value": "1.5"}

    review = text_of(browser.post(reverse("message-compose"), {**typed, "id": "form-1"}))
    [back, *_] = map(unescape, re.findall(rf'href="({reverse("message-compose")}\?[^"]*)"', review))
    form = text_of(browser.get(back))

    assert "form-1" not in back, "another form is another transfer"
    assert 'value="1.5"' in form
    assert f'value="{typed["to"]}"' in form
