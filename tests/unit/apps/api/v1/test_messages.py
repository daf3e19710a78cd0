"""Messages over REST: the operator, the tenant and the stranger; every refusal named."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client

from apps.api.idempotency import REQUEST_LOCK
from apps.core import clock
from apps.core.addresses import address_both
from apps.core.locks import try_lock
from apps.messages.models import Message
from apps.users.models import IdempotentAnswer
from apps.users.services.idempotency import IN_PROGRESS_MAX
from poolsite.filecoin.address import address_parse
from poolsite.filecoin.eth_text import any_address_parse
from poolsite.filecoin.gas_estimates import inclusion_gas
from poolsite.filecoin.message import signed_message_from_cbor
from tests.factories import approval_rule
from tests.messaging import Pool, pool_world
from tests.people import bearer, operator_token, token
from tests.unit.apps.api.v1.messages import WRONG
from tests.unit.apps.core.locks import elsewhere

ROUTE = "/api/v1/messages"


@pytest.fixture
def pool(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pool]:
    with pool_world(monkeypatch) as pool:
        yield pool


def post(client: Client, body: Any, *, by: str, route: str = ROUTE) -> Any:
    return client.post(route, body, content_type="application/json", headers=bearer(by))


def get(client: Client, route: str, *, by: str) -> Any:
    return client.get(route, headers=bearer(by))


def body(address: str, **data: Any) -> dict[str, Any]:
    return {"id": "one", "from": address, "to": "f01000", "method": 0, "value": "5", **data}


def test_a_push_answers_201_and_the_same_again_200(pool: Pool, client: Client) -> None:
    alice, address = token("sign"), pool.address()

    first = post(client, body(address), by=alice)
    again = post(client, body(address), by=alice)

    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["state"] == "UNFILLED"
    assert again.json()["id"] == "one"
    assert Message.objects.count() == 1


@pytest.mark.parametrize("id", ["a/b/c", "ü ß", "a?b#c", "50%", "one/diagnosis/two"])
def test_any_id_has_a_route(pool: Pool, client: Client, id: str) -> None:
    alice, route = token("sign"), f"{ROUTE}/{quote(id, safe='')}"
    post(client, body(pool.address(), id=id), by=alice)

    assert get(client, route, by=alice).json()["id"] == id
    assert get(client, f"{route}/diagnosis", by=alice).json()["reason"] == "NEXT_HEAD"
    assert post(client, {}, by=alice, route=f"{route}/mark-bad").json()["state"] == "FAILED"


def test_receiver_of_ethereums_form_is_sent_to_by_its_filecoin_address(pool: Pool, client: Client) -> None:
    name = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
    alice, row = token("sign"), body(pool.address())

    sent = post(client, row | {"to": name}, by=alice).json()

    assert any_address_parse(name) == address_parse(sent["to"])
    assert sent["to"].startswith("f410f")
    assert address_both(sent["to"]) == f"{sent['to']} ({name})"
    mistyped = post(client, row | {"id": "two", "to": name.replace("5aA", "5AA")}, by=alice).json()
    assert (mistyped["field"], mistyped["message"]) == (
        "to",
        "the address is mistyped: its checksum does not match",
    )


@pytest.mark.parametrize("action", ["replace", "cancel", "republish", "bulk replace", "bulk cancel"])
def test_request_with_a_key_signs_in_no_transaction(pool: Pool, client: Client, action: str) -> None:
    """The pool's link and keyring refuse to be asked inside one (tests/conftest.py)."""
    alice, headers = token("sign"), {"Idempotency-Key": "k"}
    post(client, body(pool.address()), by=alice)
    pool.choose()
    is_bulk, _, name = action.rpartition(" ")
    route = f"{ROUTE}:bulk" if is_bulk else f"{ROUTE}/one/{name}"
    data = {"action": name, "ids": ["one"]} if is_bulk else {}

    answers = [
        client.post(route, data, content_type="application/json", headers={**bearer(alice), **headers})
        for _ in range(2)
    ]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].content == answers[1].content
    assert answers[1]["Idempotent-Replay"] == "true"


def test_the_same_request_meanwhile_signs_nothing(
    pool: Pool, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, headers = token("sign"), {"Idempotency-Key": "k"}
    post(client, body(pool.address()), by=alice)
    pool.choose()
    meanwhile: list[Any] = []

    def again() -> Any:
        route, by = f"{ROUTE}/one/replace", {**bearer(alice), **headers}
        return client.post(route, {}, content_type="application/json", headers=by)

    def publish(*_: object, **__: object) -> None:
        meanwhile.append(again())

    monkeypatch.setattr("apps.api.v1.message_replace.messages_publish", publish)

    first = again()

    assert first.status_code == 200
    assert [(one.status_code, one.json()["code"]) for one in meanwhile] == [(409, "request_in_progress")]
    assert again().content == first.content
    assert Message.objects.get().versions.count() == 1
    killed = IdempotentAnswer.objects.all()
    killed.update(status=0)
    assert again().status_code == 409
    old = clock.now() - IN_PROGRESS_MAX - timedelta(seconds=1)
    killed.update(created_at=old)
    with elsewhere(REQUEST_LOCK, str(killed.get().pk)):
        assert again().json()["code"] == "request_in_progress", "its process works on it"
    killed.update(created_at=old)
    assert again().status_code == 200, "its process is gone"


@pytest.mark.parametrize("was_refused", [False, True])
def test_a_request_that_ends_meanwhile_is_not_carried_out_again(
    pool: Pool, client: Client, monkeypatch: pytest.MonkeyPatch, was_refused: bool
) -> None:
    alice, headers = token("sign"), {"Idempotency-Key": "k"}
    post(client, body(pool.address()), by=alice)
    pool.choose()

    def again() -> Any:
        route, by = f"{ROUTE}/one/replace", {**bearer(alice), **headers}
        return client.post(route, {}, content_type="application/json", headers=by)

    first = again()
    row = IdempotentAnswer.objects.all()
    row.update(status=0, created_at=clock.now() - IN_PROGRESS_MAX - timedelta(seconds=1))

    def ended_before(lock_class: int, name: str) -> Any:
        if was_refused:
            row.delete()
        else:
            row.update(status=200)
        return try_lock(lock_class, name)

    monkeypatch.setattr("apps.api.idempotency.try_lock", ended_before)
    answer = again()

    if was_refused:
        assert (answer.status_code, answer.json()["code"]) == (409, "request_in_progress")
    else:
        assert answer.content == first.content
        assert answer["Idempotent-Replay"] == "true"
    assert Message.objects.get().versions.count() == 1


def test_a_landed_message_shows_its_receipt(pool: Pool, client: Client) -> None:
    alice, address = token("sign"), pool.address()
    params = base64.b64encode(b"\x80").decode()
    post(client, body(address, params=params), by=alice)
    pool.choose()
    pool.step()
    pool.step()

    found = get(client, f"{ROUTE}/one", by=alice).json()

    assert (found["state"], found["nonce"], found["params"]) == ("LANDED", 0, params)
    assert found["receipt"] == {"exit_code": 0, "gas_used": 1_000_000, "return": "gA=="}
    assert (found["height"], found["confidence"]) == (1, 1)
    assert found["cid"] == pool.row("one").cid


def test_operator_tenant_and_stranger(pool: Pool, client: Client) -> None:
    alice, operator, stranger = token("sign"), operator_token(), token("sign", of="mallory")
    post(client, body(pool.address()), by=alice)

    seen = {who: get(client, f"{ROUTE}/one", by=who).status_code for who in (alice, operator, stranger)}
    listed = {who: len(get(client, ROUTE, by=who).json()["results"]) for who in (alice, operator, stranger)}

    assert seen == {alice: 200, operator: 200, stranger: 404}
    assert listed == {alice: 1, operator: 1, stranger: 0}
    for action in ("diagnosis", "replace", "mark-bad"):
        how = get if action == "diagnosis" else lambda c, r, by: post(c, {}, by=by, route=r)
        assert how(client, f"{ROUTE}/one/{action}", by=stranger).status_code == 404
    assert client.get(ROUTE).status_code == 401


def test_a_reader_cannot_push(pool: Pool, client: Client) -> None:
    answer = post(client, body(pool.address()), by=token("read"))

    assert answer.status_code == 403
    assert not Message.objects.exists()


def test_pages_follow_each_other_without_gap_or_double(pool: Pool, client: Client) -> None:
    alice, address = token("sign"), pool.address()
    for number in range(7):
        pool.push(f"m{number}", address)

    names, cursor = [], ""
    for _ in range(4):
        page = get(client, f"{ROUTE}?limit=2{cursor}", by=alice).json()
        names += [row["id"] for row in page["results"]]
        cursor = f"&cursor={page['next']}"

    assert names == [f"m{number}" for number in reversed(range(7))]
    assert page["next"] is None


def test_filters_choose(pool: Pool, client: Client) -> None:
    alice, one, two = token("sign"), pool.address(), pool.address()
    pool.push("a", one, kind="precommit")
    pool.push("b", two)
    pool.choose()
    pool.push("c", two)

    def ids(query: str) -> list[str]:
        return [row["id"] for row in get(client, f"{ROUTE}?{query}", by=alice).json()["results"]]

    assert ids("state=UNFILLED") == ["c"]
    assert ids(f"from={two}") == ["c", "b"]
    assert ids("kind=precommit") == ["a"]
    assert ids("state=FILLED&state=UNFILLED") == ["c", "b", "a"]


def test_messages_of_some_days_are_listed_across_pages(pool: Pool, client: Client) -> None:
    alice, address = token("sign"), pool.address()
    for day in range(1, 6):
        pool.push(f"m{day}", address)
        Message.objects.filter(push_id=f"m{day}").update(created_at=f"2026-11-0{day}T12:00:00Z")
    span, names, cursor = "after=2026-11-01T12:00:00Z&before=2026-11-05T12:00:00%2B00:00", [], ""
    for _ in range(2):
        page = get(client, f"{ROUTE}?{span}&limit=2{cursor}", by=alice).json()
        names.append([row["id"] for row in page["results"]])
        cursor = f"&cursor={page['next']}"

    assert names == [["m4", "m3"], ["m2"]]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("state=NOPE", "state"),
        ("from=me", "from"),
        ("cursor=zzz", "cursor"),
        ("limit=x", "limit"),
        ("nope=1", "nope"),
        ("after=yesterday", "after"),
        ("before=9999-12-31T23:59:59Z", "before"),
        ("before=2026-13-01", "before"),
    ],
)
def test_a_wrong_filter_is_named(pool: Pool, client: Client, query: str, field: str) -> None:
    answer = get(client, f"{ROUTE}?{query}", by=token())

    assert answer.status_code == 400
    assert answer.json()["field"] == field


@pytest.mark.parametrize(("wrong", "field"), WRONG, ids=[f"{f}-{n}" for n, (_, f) in enumerate(WRONG)])
def test_a_wrong_field_is_named_and_leaves_no_row(
    pool: Pool, client: Client, wrong: dict[str, Any], field: str
) -> None:
    answer = post(client, body(pool.address(), **wrong), by=token("sign"))

    found = answer.json()
    assert (answer.status_code, found["field"]) == (400, field), found
    assert found["message"]
    assert not Message.objects.exists()


def test_other_content_under_one_id_is_a_conflict(pool: Pool, client: Client) -> None:
    alice, address = token("sign"), pool.address()
    post(client, body(address), by=alice)

    answer = post(client, body(address, value="6"), by=alice)

    assert (answer.status_code, answer.json()["code"]) == (409, "message_id_taken")


def test_a_message_is_replaced_and_given_up(pool: Pool, client: Client) -> None:
    alice, address = token("sign"), pool.address()
    post(client, body(address), by=alice)
    pool.choose()
    before = get(client, f"{ROUTE}/one", by=alice).json()

    higher = post(client, {}, by=alice, route=f"{ROUTE}/one/replace").json()
    diagnosis = get(client, f"{ROUTE}/one/diagnosis", by=alice).json()
    low = post(client, {"gas_premium": "1", "gas_fee_cap": "1"}, by=alice, route=f"{ROUTE}/one/replace")
    gone = post(client, {}, by=alice, route=f"{ROUTE}/one/mark-bad").json()

    assert int(higher["gas_premium"]) > int(before["gas_premium"])
    assert higher["cid"] != before["cid"]
    assert diagnosis["reason"] == "IN_POOL"
    assert (low.status_code, low.json()["field"]) == (400, "gas_premium")
    assert gone["state"] == "FAILED"


def test_limits_that_a_replacement_does_not_name_stay(pool: Pool, client: Client) -> None:
    alice, address = token("sign"), pool.address()
    post(client, body(address, gas_fee_cap="200", max_fee="77"), by=alice)

    for named, limits in (({"max_fee": "90"}, (90, 200)), ({}, (90, 200)), ({"gas_fee_cap": "0"}, (90, 0))):
        assert post(client, named, by=alice, route=f"{ROUTE}/one/replace").status_code == 200
        row = pool.row("one")
        assert (row.max_fee, row.gas_fee_cap) == limits


def test_the_head_is_shown_and_nodes_only_to_the_operator(pool: Pool, client: Client) -> None:
    pool.step()

    head = get(client, "/api/v1/chain/head", by=token()).json()

    assert (head["height"], head["base_fee"], head["network"]) == (1, "100", "localnet-poolsite-test")
    assert get(client, "/api/v1/chain/nodes", by=token()).status_code == 403
    assert get(client, "/api/v1/chain/nodes", by=operator_token()).json()[0]["state"] == "HEALTHY"


def test_a_batch_takes_the_good_and_names_the_bad(pool: Pool, client: Client) -> None:
    alice, address = token("sign"), pool.address()
    pool.push("m2", address, value=9)
    rows = [body(address, id=f"m{number}") for number in range(4)]
    rows.append(body(pool.address(of="bob"), id="bobs"))
    rows.append(body(address, id="dear", gas_premium="9", gas_fee_cap="5"))

    answer = post(client, {"messages": rows}, by=alice, route=f"{ROUTE}:batch").json()["results"]

    assert [row["state"] for row in answer] == ["UNFILLED", "UNFILLED", None, "UNFILLED", None, None]
    assert [row["error"]["code"] for row in answer if row["error"]] == [
        "message_id_taken",
        "sender_not_granted",
        "bad_message",
    ]
    assert Message.objects.count() == 4
    pool.choose()
    assert [pool.row(name).nonce for name in ("m2", "m0", "m1", "m3")] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("messages", "field"),
    [([], "messages"), ([{"id": "a"}], "messages.0.to"), ("x", "messages"), (None, "messages")],
)
def test_a_batch_that_cannot_be_read_leaves_no_row(
    pool: Pool, client: Client, messages: Any, field: str
) -> None:
    answer = post(client, {"messages": messages}, by=token("sign"), route=f"{ROUTE}:batch")

    assert (answer.status_code, answer.json()["field"]) == (400, field)
    assert not Message.objects.exists()


def test_a_trial_says_by_which_rule_the_message_would_wait(pool: Pool, client: Client) -> None:
    approval_rule(of="alice", actor="", method=16)
    alice, address = token("sign"), pool.address(fil=1)

    held, free = (
        post(client, body(address, method=method), by=alice, route=f"{ROUTE}:dry-run").json()["approval"]
        for method in (16, 0)
    )

    assert (held, free) == ("Method 16", "")


@pytest.mark.parametrize("kind", ["secp256k1", "bls"])
def test_a_trial_says_gas_cost_and_what_is_left_and_stores_nothing(
    pool: Pool, client: Client, kind: str
) -> None:
    alice, address = token("sign"), pool.address(fil=1, kind=kind)
    pool.node.fails["7"] = "forbidden"
    pool.node.gas_used = 481_000  # of a transfer's run, without its inclusion

    good = post(client, body(address), by=alice, route=f"{ROUTE}:dry-run").json()
    bad = post(client, body(address, method=7), by=alice, route=f"{ROUTE}:dry-run").json()

    assert (good["exit_code"], good["gas_limit"]) == (0, 1_250_000)
    assert int(good["cost_max"]) == 1_250_000 * int(good["gas_fee_cap"]) + 5
    assert int(good["balance_after"]) == 10**18 - int(good["cost_max"])
    assert (bad["exit_code"], bad["error"], bad["gas_limit"]) == (18, "forbidden", 0)
    assert "could not be asked" in good["signer"], "no signer is connected"
    assert not Message.objects.exists()
    assert post(client, body(address), by=token(of="bob"), route=f"{ROUTE}:dry-run").status_code == 403
    post(client, body(address), by=alice)
    pool.choose()
    signed = signed_message_from_cbor(bytes(pool.row("one").signed))
    assert good["gas_used"] == 481_000 + inclusion_gas(signed.chain_length)
    tip = 1_250_000 * signed.message.gas_premium
    assert int(good["cost_expected"]) == good["gas_used"] * pool.head.base_fee + tip + 5
