from __future__ import annotations

import json
import time
from typing import Any

import pytest

from apps.core.redis_clients import client_for
from apps.users.models import RateLimit
from apps.users.selectors.rate_limits import RULES
from apps.users.services.grants import rate_limit_set
from apps.users.services.rate_limit_buckets import rate_limit_count
from tests import people

pytestmark = pytest.mark.django_db

MINUTE_NS = 60 * 10**9


@pytest.fixture(autouse=True)
def fresh_rules(pool_redis: str) -> None:
    RULES.clear()


def limited(capacity: int, *, reset_ns: int = MINUTE_NS, **where: str) -> RateLimit:
    return rate_limit_set(tenant=people.tenant("alice"), capacity=capacity, reset_ns=reset_ns, **where)


def take(count: int = 1, *, service: str = "Gateway", api: str = "Version", of: str = "alice") -> list[bool]:
    usages = [rate_limit_count(people.principal(of), service=service, api=api) for _ in range(count)]
    return [usage is not None and usage.is_over for usage in usages]


def test_a_bucket_fills_its_capacity_and_no_more():
    limited(3)

    assert take(5) == [False, False, False, True, True]


def test_what_is_left_is_told():
    limited(3)

    usages = [rate_limit_count(people.principal(), service="a", api="b") for _ in range(4)]

    assert [usage.left for usage in usages if usage] == [2, 1, 0, 0]
    last = usages[-1]
    assert last is not None
    assert last.headers()["RateLimit-Limit"] == "3"
    assert 1 <= int(last.headers()["Retry-After"]) <= 21


def test_a_bucket_empties_with_time():
    limited(2, reset_ns=2_000_000_000)
    assert take(3) == [False, False, True]

    until = [False]
    while not until[-1]:
        until.append(not take()[0])

    assert until[-1]


def test_bucket_from_before_the_clock_was_set_back_is_empty(pool_redis: str) -> None:
    rule = limited(2)
    ahead_us = (time.time() + 8 * 3600) * 1_000_000
    client_for(pool_redis).set(f"limit:{rule.uuid}", f"{ahead_us:.0f}")

    assert take(3) == [False, False, True]


def test_tenants_have_buckets_of_their_own():
    limited(1)
    take()

    assert take(of="bob", count=5) == [False] * 5


def test_a_rule_for_one_service_or_method_counts_only_that():
    limited(1, service="Gateway", api="WalletSign")

    assert take(3) == [False] * 3
    assert take(2, service="Message", api="WalletSign") == [False] * 2
    assert take(2, api="WalletSign") == [False, True]


def test_the_tightest_of_several_rules_decides():
    limited(10)
    limited(1, service="Gateway")

    assert take(2) == [False, True]
    assert take(2, service="Message") == [False, False]


def test_a_capacity_of_zero_sets_no_limit():
    limited(0)

    assert take(20) == [False] * 20


def test_without_redis_nobody_is_refused(redis_server):
    limited(1)
    redis_server.kill()

    assert take(5) == [False] * 5


def test_json_rpc_says_it_in_the_peers_words_and_in_headers(client):
    limited(1)
    token = people.token("read", of="alice")
    body = json.dumps({"id": 1, "method": "Gateway.Version"})

    def ask() -> Any:
        return client.post("/rpc/v1", body, content_type="application/json", headers=people.bearer(token))

    first, second = ask(), ask()

    assert first["RateLimit-Remaining"] == "0"
    error = second.json()["error"]
    assert (second.status_code, error["code"]) == (200, 1)
    words = "rate-limit,user:alice, host:127.0.0.1, method:Version is limited, cap=1, used=1,"
    assert error["message"] == f"{words}will reset in 1.00(m)"


def test_rest_answers_429_with_retry_after(client):
    limited(1, service="rest")
    token = people.token("read", of="alice")

    first, second = (client.get("/api/v1/tenants", headers=people.bearer(token)) for _ in range(2))

    assert (first.status_code, second.status_code) == (200, 429)
    assert second.json()["code"] == "rate_limited"
    assert int(second["Retry-After"]) > 0
