"""Numbers that JSON can write and nobody can hold: refused where they come in, on every interface."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from django.test import Client

from apps.gateway.errors import ProviderRefused
from apps.gateway.providers.payloads import unpack
from tests import factories, people
from tests.people import bearer

pytestmark = pytest.mark.django_db

LARGE = [
    pytest.param(text, id=text[:6])
    for text in ("1e999", "-1e999", "1" + "0" * 400 + ".0", "NaN", "Infinity", "9" * 5000)
]


def post(path: str, body: str, token: str) -> Any:
    client = Client(raise_request_exception=False)
    return client.post(path, body, content_type="application/json", headers=bearer(token))


@pytest.mark.parametrize("number", LARGE)
@pytest.mark.parametrize("place", ["id", "params"])
def test_over_rpc_it_is_no_json(number, place):
    parts = {"id": "1", "params": "[]", "method": '"Gateway.Version"', place: f"[{number}]"}
    parts["id"] = number if place == "id" else "1"
    body = "{" + ",".join(f'"{name}":{text}' for name, text in parts.items()) + "}"

    answer = json.loads(post("/rpc/v1", body, people.token("read")).content)

    assert (answer["error"]["code"], answer["id"]) == (-32700, None)


@pytest.mark.parametrize("number", LARGE)
@pytest.mark.parametrize("path", ["/api/v1/workers/register", "/api/v1/tokens", "/api/v1/gas/guards"])
def test_over_rest_it_is_no_json(number, path):
    body = f'{{"name": "x", "hardware": {{"cpus": {number}}}, "perm": {number}, "max_fee": {number}}}'

    answer = post(path, body, people.token("admin"))

    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")


@pytest.mark.parametrize("number", LARGE)
def test_no_caller_makes_a_node_look_broken(number):
    """A node that could not read what we sent it was left alone for a while, by everybody."""
    mine = factories.bls(1)
    factories.wallet(mine)
    params = {"from": mine, "to": "f01000", "method": 2, "paramsType": "json", "params": number}
    call = {"id": 1, "method": "Message.Send", "params": [params]}

    answer = post("/rpc/v1", json.dumps(call), people.token("sign")).json()

    assert "failed to decode json params: " in answer["error"]["message"]


@pytest.mark.parametrize("number", LARGE)
def test_a_providers_answer_with_one_is_no_answer(number):
    with pytest.raises(ProviderRefused):
        unpack(base64.b64encode(f'{{"Data": {number}}}'.encode()).decode())
