"""How long a caller waits for a signer: never longer because somebody set the clock back."""

from __future__ import annotations

import time

import pytest

from apps.core.errors import DomainError
from apps.core.redis_clients import redis_client
from apps.gateway.hub_client import HubRequest, RequestBatch
from apps.gateway.routes import Holder, process_name

HOUR_S = 3600.0


def set_back(asking: RequestBatch) -> RequestBatch:
    """What its own times look like after the clock was set back by an hour."""
    asking.deadline += HOUR_S
    asking.patience_until += HOUR_S
    return asking


def test_a_clock_set_back_does_not_prolong_the_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.gateway.hub_client.is_expected", lambda *_, **__: True)
    question = HubRequest("route", None, "WalletSign", None)

    assert RequestBatch(HOUR_S).may_wait(question)
    assert not set_back(RequestBatch(0.0)).may_wait(question)


@pytest.mark.usefixtures("pool_redis")
def test_a_clock_set_back_does_not_prolong_the_wait_for_an_answer() -> None:
    redis_client().set(process_name("web"), "lives")
    asking, failures = set_back(RequestBatch(0.2)), dict[int, DomainError]()
    question = HubRequest("route", None, "WalletSign", None)
    holder = Holder(connection="c", process="web", accounts=frozenset())
    began = time.monotonic()

    assert asking.collect({"item": (0, holder)}, {0: question}, failures) == {}

    assert 0 in failures
    assert time.monotonic() - began < HOUR_S / 60
