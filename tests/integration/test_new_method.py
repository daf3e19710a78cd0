"""A new JSON-RPC method: a function, a row of its table, and docs/access.md made anew (CONTRIBUTING.md)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from apps.api.access_table import table_markdown
from apps.api.rpc.dispatcher import Call
from apps.api.rpc.services.messager.table import METHODS
from poolsite.wire.jsonrpc.parameters import NUMBER, RpcMethod
from tests import people

pytestmark = pytest.mark.django_db

DOCS = Path(__file__).parents[2] / "docs" / "access.md"
NAME = "Message.GetTide"


def get_tide(call: Call, height: int) -> str:
    """Return what the caller sees; stands for a function of a module in `services/messager`."""
    return f"{call.principal.tenant_name} at {height}"


@pytest.fixture(autouse=True)
def row(monkeypatch: pytest.MonkeyPatch) -> None:
    """The row of the table."""
    monkeypatch.setitem(METHODS, NAME, RpcMethod("write", get_tide, (NUMBER,)))


def answer(client: Any, token: str, *params: Any, version: str = "v0") -> Any:
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": NAME, "params": params})
    headers = people.bearer(token)
    return client.post(f"/rpc/{version}", body, content_type="application/json", headers=headers).json()


@pytest.mark.parametrize("version", ["v0", "v1", "v2"])
def test_it_is_answered_on_every_path_as_its_callers_tenant(client: Any, version: str) -> None:
    assert answer(client, people.token("write"), 12, version=version)["result"] == "alice at 12"


def test_its_level_and_its_parameters_are_asked_for(client: Any) -> None:
    assert "missing permission" in answer(client, people.token("read"), 12)["error"]["message"]
    assert "result" not in answer(client, people.token("write"), "twelve")
    assert "result" not in answer(client, people.token("write"))


def test_the_table_of_access_gets_one_line(client: Any) -> None:
    added = set(table_markdown().splitlines()) - set(DOCS.read_text().splitlines())

    assert [line.split(" | ")[2:4] for line in added] == [[f"`{NAME}`", "write"]]
