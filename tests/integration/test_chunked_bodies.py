"""A body that comes in chunks, without a length, is read as one that has a length."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator

import pytest

from apps.messages.models import GasGuard
from tests.hub import WebProcess
from tests.people import bearer, operator_token


@pytest.fixture
def web(transactional_db: None, pool_redis: str) -> Iterator[WebProcess]:
    """A web process in a thread."""
    process = WebProcess()
    process.start()
    yield process
    process.stop()


def test_a_chunked_body_is_not_taken_for_none(web: WebProcess) -> None:
    token = operator_token()

    def answer(body: dict[str, str]) -> tuple[int, dict[str, str]]:
        link = http.client.HTTPConnection("127.0.0.1", web.port, timeout=20)
        headers = {"Content-Type": "application/json", **bearer(token)}
        data = json.dumps(body).encode()
        parts = iter([data[:9], data[9:]])
        link.request("POST", "/api/v1/gas/guards", body=parts, headers=headers, encode_chunked=True)
        answered = link.getresponse()
        found = json.loads(answered.read())
        link.close()
        return answered.status, found

    refused = answer({"nonsense": "1"})
    made = answer({"kind": "window_post", "max_fee": "5"})

    assert (refused[0], refused[1]["field"]) == (400, "nonsense")
    assert made[0] == 201, made
    assert GasGuard.objects.get().max_fee == 5
