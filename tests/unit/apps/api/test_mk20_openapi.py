"""The OpenAPI document of market 2.0: it is valid, and says what the door takes and answers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.contrib.staticfiles import finders
from django.test import Client
from drf_spectacular.validation import validate_schema
from jsonschema import Draft4Validator  # type: ignore[import-untyped]  # it ships no types

from apps.market.services.markets import market_set
from tests import factories, people
from tests.mk20 import PATH, Mk20Client, document

INFO = f"{PATH}/info/"
DATA = bytes(number % 251 for number in range(2 << 20))


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    found: dict[str, Any] = Client().get(f"{INFO}swagger.json").json()
    return found


def resolved(schema: Any, described: dict[str, Any]) -> Any:
    """Return a schema without references, as JSON schema."""
    if isinstance(schema, list):
        return [resolved(part, described) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return resolved(described["components"]["schemas"][schema["$ref"].rpartition("/")[2]], described)
    made = {key: resolved(value, described) for key, value in schema.items() if key != "nullable"}
    return {"anyOf": [made, {"type": "null"}]} if schema.get("nullable") is True else made


def test_document_is_valid_and_the_same_as_json_yaml_and_page(described: dict[str, Any]) -> None:
    validate_schema(described)
    assert yaml.safe_load(Client().get(f"{INFO}swagger.yaml").content) == described

    page = Client().get(INFO)
    files = re.findall(r'(?:src|href)="(/static/[^"]+)"', page.text)
    assert (page.status_code, len(files), "<style" in page.text) == (200, 3, False)
    assert all(finders.find(one.removeprefix("/static/")) for one in files)
    assert "swagger.json" in Client().get(f"{INFO}?script=").text.replace("\\u002D", "-")


@pytest.mark.django_db
def test_each_documented_request_answers_as_documented(
    described: dict[str, Any], settings: Any, tmp_path: Path, client: Client
) -> None:
    settings.PIECES_DIR = str(tmp_path)
    factories.head(1000)
    miner = factories.miner(2001, sector_size=8 << 20)
    market_set(miner, values={"is_open": True}, by=people.principal())
    who = Mk20Client()
    whole, chunks = document(who, miner, DATA), document(who, miner, DATA[:-1])
    name = {"whole": whole["identifier"], "chunks": chunks["identifier"]}
    begin = {"raw_size": len(DATA) - 1, "chunk_size": 1 << 20}
    octets = {"Content-Type": "application/octet-stream"}
    requests: list[tuple[str, str, str, Any]] = [
        ("/deal", "POST", "", whole),
        ("/deal", "POST", "", chunks),
        ("/status/{name}", "GET", "whole", None),
        ("/update/{name}", "POST", "whole", whole),
        ("/products", "GET", "", None),
        ("/sources", "GET", "", None),
        ("/contracts", "GET", "", None),
        ("/upload/{name}", "PUT", "whole", DATA),
        ("/upload/{name}", "POST", "whole", whole),
        ("/uploads/{name}", "POST", "chunks", begin),
        ("/uploads/{name}/{number}", "PUT", "chunks", DATA[: 1 << 20]),
        ("/uploads/{name}", "GET", "chunks", None),
        ("/uploads/{name}/{number}", "PUT", "chunks", DATA[1 << 20 : -1]),
        ("/uploads/finalize/{name}", "POST", "chunks", None),
    ]
    asked = {(path, method.lower()) for path, method, _, _ in requests}
    assert asked == {(path, method) for path, methods in described["paths"].items() for method in methods}

    number = 0
    for path, method, deal, body in requests:
        operation = described["paths"][path][method.lower()]
        number += "{number}" in path
        where = path.replace("{name}", name.get(deal, "")).replace("{number}", str(number))
        answer = who.ask(client, method, where, body, **(octets if isinstance(body, bytes) else {}))
        assert answer.status_code == 200, (path, method, answer.content)
        if "application/json" in operation["responses"]["200"].get("content", {}):
            schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
            Draft4Validator(resolved(schema, described)).validate(answer.json())
        if isinstance(body, dict):
            sent = operation["requestBody"]["content"]["application/json"]["schema"]
            Draft4Validator(resolved(sent, described)).validate(body)
        unsigned = client.generic(method, f"{PATH}{where}")
        assert unsigned.status_code == 401
        assert "401" in operation["responses"]


@pytest.mark.django_db
def test_what_the_document_requires_the_door_requires(
    described: dict[str, Any], client: Client, settings: Any, tmp_path: Path
) -> None:
    settings.PIECES_DIR = str(tmp_path)
    factories.head(1000)
    miner = factories.miner(2001)
    market_set(miner, values={"is_open": True}, by=people.principal())
    who = Mk20Client()
    schema = resolved(described["components"]["schemas"]["Deal"], described)
    statuses = described["paths"]["/deal"]["post"]["responses"]
    places: list[tuple[str, ...]] = [(), ("data",), ("products",), ("products", "ddo_v1")]
    for place in places:
        inner = schema
        for step in place:
            inner = inner["properties"][step]
        assert inner["required"]
        for name in inner["required"]:
            body = document(who, miner, b"some bytes")
            part: Any = body
            for step in place:
                part = part[step]
            del part[name]
            answer = who.ask(client, "POST", "/deal", body)
            assert (answer.status_code, str(answer.status_code) in statuses) != (200, True), (*place, name)
            assert str(answer.status_code) in statuses, (place, name, answer.content)
