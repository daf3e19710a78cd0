"""Senders, gas and changes of many messages over REST."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from apps.core.clock import now
from apps.messages.models import GasGuard, Message, Sender
from apps.messages.rules.push_items import Gas
from apps.messages.states import MessageState, SenderState
from apps.users.models import AuditEntry
from tests.factories import sender, wallet
from tests.messaging import FIL, Pool, pool_world
from tests.people import bearer, operator_token, token

CHEAP = Gas(limit=2_000_000, fee_cap=1_000, premium=100)


@pytest.fixture
def pool(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pool]:
    with pool_world(monkeypatch) as pool:
        yield pool


def ask(client: Client, method: str, route: str, *, by: str, body: Any = "") -> Any:
    call = getattr(client, method)
    return call(f"/api/v1/{route}", body, content_type="application/json", headers=bearer(by))


def get(client: Client, route: str, *, by: str) -> Any:
    return client.get(f"/api/v1/{route}", headers=bearer(by))


def flying(pool: Pool, *ids: str) -> str:
    address = pool.address()
    for one in ids:
        pool.push(one, address, gas=CHEAP)
    pool.choose()
    return address


def test_a_sender_shows_its_lane_to_its_tenant_alone(pool: Pool, client: Client) -> None:
    address = flying(pool, "one", "two")
    pool.push("three", address)

    found = get(client, f"senders/{address}", by=token()).json()

    assert [(one["nonce"], one["place"], one["message"]) for one in found["lane"]] == [
        (0, "flight", "one"),
        (1, "flight", "two"),
        (2, "next", None),
    ]
    assert (found["waiting"], found["in_flight"], found["next_nonce"]) == (1, 2, 2)
    assert get(client, f"senders/{address}", by=token(of="bob")).status_code == 404


@pytest.mark.parametrize(("hours", "is_told"), [(23, True), (25, False)])
def test_a_sender_is_used_elsewhere_for_a_day(
    pool: Pool, client: Client, hours: int, *, is_told: bool
) -> None:
    address = pool.address()
    sender(address, foreign_at=now() - timedelta(hours=hours))

    assert get(client, f"senders/{address}", by=token()).json()["is_used_elsewhere"] is is_told
    assert get(client, "senders", by=token(of="bob")).json()["results"] == []
    assert len(get(client, "senders", by=operator_token()).json()["results"]) == 1
    assert get(client, "senders/nonsense", by=token()).status_code == 400


def test_a_sender_that_has_nothing_to_choose_shows_what_its_wallet_holds(pool: Pool, client: Client) -> None:
    address = flying(pool, "one")
    seen = get(client, f"senders/{address}", by=token()).json()["balance"]
    assert seen == str(Sender.objects.get(address=address).balance)

    wallet(address, of="alice", balance=7 * FIL)  # each head asks what wallets hold

    assert get(client, f"senders/{address}", by=token()).json()["balance"] == str(7 * FIL)


def test_a_sender_is_paused_and_its_fees_are_set(pool: Pool, client: Client) -> None:
    address = flying(pool, "one")
    change = {"state": "FORBIDDEN", "quota": 3, "max_fee": "1000", "gas_over_premium": 1.5}

    answer = ask(client, "patch", f"senders/{address}", by=token("sign"), body=change)

    assert answer.status_code == 200
    assert {name: answer.json()[name] for name in change} == change
    row = Sender.objects.get(address=address)
    assert (row.state, row.quota, row.max_fee) == (SenderState.FORBIDDEN, 3, 1000)
    assert AuditEntry.objects.filter(action="sender.set", target=address).count() == 1
    bad = ask(client, "patch", f"senders/{address}", by=token("sign"), body={"qouta": 1})
    assert (bad.status_code, bad.json()["field"]) == (400, "qouta")
    stranger = ask(client, "patch", f"senders/{address}", by=token("sign", of="bob"), body=change)
    assert stranger.status_code == 404


def test_gas_says_the_base_fee_and_what_the_queue_costs(pool: Pool, client: Client) -> None:
    address = flying(pool, "one")
    pool.push("two", address, method=7)

    found = get(client, "gas", by=token()).json()

    assert found["base_fee"] == "100"
    assert len(found["history"]) >= 1
    assert found["cheap_window"] is None
    assert {(one["method"], one["waiting"], one["in_flight"]) for one in found["queue"]} == {
        (0, 0, 1),
        (7, 1, 0),
    }
    assert get(client, "gas", by=token(of="bob")).json()["queue"] == []


def test_spending_is_added_up(pool: Pool, client: Client) -> None:
    address = flying(pool, "one", "two")
    pool.step()
    pool.step()
    cost = str(2 * pool.row("one").gas_cost)

    for by, key in (("sender", {"from_addr": address}), ("tenant", {"tenant": "alice"}), ("day", {})):
        [found] = get(client, f"gas/spend?by={by}&days=3660", by=token()).json()["results"]
        assert (found["messages"], found["cost"]) == (2, cost)
        assert key.items() <= found.items()
    assert get(client, "gas/spend", by=token(of="bob")).json()["results"] == []
    assert get(client, "gas/spend?by=moon", by=token()).json()["field"] == "by"


@pytest.mark.parametrize(
    ("method", "number"), [("SubmitWindowedPoSt", 5), ("submitwindowedpost", 5), (6, 6), ("6", 6)]
)
def test_a_guard_takes_a_method_by_name_or_number(
    pool: Pool, client: Client, method: object, number: int
) -> None:
    by, sent = operator_token(), {"max_fee": "5", "actor": "miner"}

    assert ask(client, "post", "gas/guards", by=by, body=sent | {"method": method}).json()["method"] == number


@pytest.mark.parametrize(
    ("method", "actor"),
    [("Nope", "miner"), ("SubmitWindowedPoSt", ""), (True, "miner"), (-1, "miner"), (1 << 63, "")],
)
def test_a_guard_refuses_what_is_no_method(pool: Pool, client: Client, method: object, actor: str) -> None:
    body = {"max_fee": "5", "actor": actor, "method": method}

    refused = ask(client, "post", "gas/guards", by=operator_token(), body=body)

    assert (refused.status_code, refused.json()["field"]) == (400, "method")


def test_guards_are_made_changed_and_removed(pool: Pool, client: Client) -> None:
    sign = token("sign")
    made = ask(client, "post", "gas/guards", by=sign, body={"max_fee": "5", "method": 5})
    assert made.status_code == 201
    uuid = made.json()["uuid"]
    assert (made.json()["tenant"], made.json()["spent_today"]) == ("alice", "0")

    changed = ask(client, "patch", f"gas/guards/{uuid}", by=sign, body={"daily_budget": "9"})
    assert (changed.json()["max_fee"], changed.json()["daily_budget"]) == ("5", "9")
    assert ask(client, "delete", f"gas/guards/{uuid}", by=token("sign", of="bob")).status_code == 404
    assert ask(client, "post", "gas/guards", by=token("write"), body={"max_fee": "5"}).status_code == 403
    assert ask(client, "delete", f"gas/guards/{uuid}", by=sign).status_code == 204
    assert not GasGuard.objects.exists()

    everybody = ask(client, "post", "gas/guards", by=operator_token(), body={"daily_budget": "9"})
    assert everybody.json()["tenant"] is None
    [seen] = get(client, "gas/guards", by=sign).json()["results"]
    assert seen["spent_today"] is None
    refused = ask(client, "delete", f"gas/guards/{seen['uuid']}", by=sign)
    assert refused.status_code == 403
    assert ask(client, "post", "gas/guards", by=sign, body={}).json()["field"] == "max_fee"
    assert ask(client, "post", "gas/guards", by=sign, body={"tenant": "bob"}).json()["field"] == "tenant"


def test_auto_bump_is_set_per_tenant(pool: Pool, client: Client) -> None:
    body = {"within_epochs": 20, "every_epochs": 5, "max_fee": "7"}

    assert ask(client, "put", "gas/auto-bump", by=token("sign"), body=body).json() == {
        "tenant": "alice",
        "is_on": True,
        **body,
    }
    assert len(get(client, "gas/auto-bump", by=token()).json()["results"]) == 1
    assert get(client, "gas/auto-bump", by=token(of="bob")).json()["results"] == []


def test_cancelling_answers_with_the_message_that_took_the_nonce(pool: Pool, client: Client) -> None:
    address = flying(pool, "one")

    found = ask(client, "post", "messages/one/cancel", by=token("sign")).json()

    assert (found["nonce"], found["to"], found["state"]) == (0, address, "FILLED")
    assert pool.row("one").state == MessageState.FAILED
    assert ask(client, "post", "messages/one/cancel", by=token("sign", of="bob")).status_code == 404
    again = ask(client, "post", "messages/one/republish", by=token("sign"))
    assert (again.status_code, again.json()["field"]) == (400, "id")
    assert ask(client, "post", f"messages/{found['id']}/republish", by=token("sign")).status_code == 200


def test_a_queue_is_changed_by_filter_or_by_ids(pool: Pool, client: Client) -> None:
    address = flying(pool, "one", "two")
    other = flying(pool, "three")
    alice = token("sign")

    by_ids = ask(client, "post", "messages:bulk", by=alice, body={"action": "replace", "ids": ["one", "x"]})
    unknown = {"id": "x", "reason": "there is no such message"}
    assert by_ids.json() == {"done": ["one"], "refused": [unknown], "left": 0}
    by_sender = ask(client, "post", "messages:bulk", by=alice, body={"action": "mark-bad", "from": address})
    assert by_sender.json()["done"] == ["one", "two"]
    assert Message.objects.get(push_id="three").state == MessageState.FILLED

    stranger = {"action": "mark-bad", "from": other}
    found = ask(client, "post", "messages:bulk", by=token("sign", of="bob"), body=stranger).json()
    assert found["done"] == []
    for bad, field in (({"action": "explode"}, "action"), ({"action": "cancel"}, "ids")):
        assert ask(client, "post", "messages:bulk", by=alice, body=bad).json()["field"] == field


def test_messages_named_in_vain_are_refused_with_the_reason(pool: Pool, client: Client) -> None:
    address = flying(pool, "one", "two")
    flying(pool, "three")
    Message.objects.filter(push_id="two").update(state=MessageState.LANDED)
    body = {"action": "republish", "ids": ["one", "two", "three", "none"], "from": address}
    stranger = body | {"ids": ["one"]}

    found = ask(client, "post", "messages:bulk", by=token("sign"), body=body).json()

    assert (found["done"], found["left"]) == (["one"], 0)
    assert {row["id"]: row["reason"] for row in found["refused"]} == {
        "two": "must be FILLED, is LANDED",
        "three": "it does not match from, kind and cause",
        "none": "there is no such message",
    }
    bobs = ask(client, "post", "messages:bulk", by=token("sign", of="bob"), body=stranger).json()
    assert bobs["refused"] == [{"id": "one", "reason": "there is no such message"}]


def test_a_message_may_wish_to_wait_for_a_cheaper_hour(pool: Pool, client: Client) -> None:
    body = {"id": "one", "from": pool.address(), "to": "f01000", "method": 0, "hold_base_fee": "50"}

    assert ask(client, "post", "messages", by=token("sign"), body=body).status_code == 201

    pool.choose()
    assert get(client, "messages/one/diagnosis", by=token()).json()["reason"] == "HELD"
