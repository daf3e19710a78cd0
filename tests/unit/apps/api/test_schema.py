"""The OpenAPI document against what the routes answer: every GET of a pool in the middle of its work."""

from __future__ import annotations

import inspect
import re
from typing import Any
from unittest.mock import MagicMock
from uuid import UUID

import pytest
from django.contrib.staticfiles import finders
from django.test import Client
from django.urls import resolve
from drf_spectacular.validation import validate_schema
from jsonschema import Draft4Validator  # type: ignore[import-untyped]  # it ships no types

from apps.users.models import Token
from tests.demo_data import Pool, busy_pool
from tests.people import bearer, operator_token, token


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    found: dict[str, Any] = Client().get("/api/schema/", {"format": "json"}).json()
    return found


def test_operations_and_states_have_names_that_stay(
    document: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert Client().get("/api/schema/").status_code == 200

    assert capsys.readouterr().err == ""
    states = {"MessageState", "MinerState", "NodeState", "SectorState", "SenderState"}
    assert states <= set(document["components"]["schemas"])


def test_the_document_is_a_page_without_inline_code_or_style() -> None:
    page = Client().get("/api/docs/")
    files = re.findall(r'(?:src|href)="(/static/[^"]+)"', page.text)

    assert (page.status_code, len(files)) == (200, 3)
    assert all(finders.find(one.removeprefix("/static/")) for one in files)
    assert (re.findall("<style|style=|<script>", page.text), "unsafe" in page["Content-Security-Policy"]) == (
        [],
        False,
    )
    script = Client().get("/api/docs/?script=")
    assert script["Content-Type"].startswith("application/javascript")
    assert "/api/schema/" in script.text.replace("\\u002D", "-") or "../schema/" in script.text


@pytest.mark.django_db
def test_the_index_says_who_calls_and_what_there_is() -> None:
    body = Client().get("/api/v1/", headers=bearer(token(of="alice"))).json()

    assert (body["actor"], body["tenant"], body["level"]) == ("token alice/alice-write", "alice", "write")
    assert body["resources"]["gas/guards"] == "/api/v1/gas/guards"
    assert Client().get("/api/v1/").status_code == 401
    for address in body["resources"].values():
        assert resolve(address).view_name


def plain(schema: Any) -> Any:
    """A part of the document as JSON schema: `nullable` is OpenAPI's own."""
    if isinstance(schema, list):
        return [plain(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: plain(value) for key, value in schema.items() if key != "nullable"}
    return {"anyOf": [made, {"type": "null"}]} if schema.get("nullable") is True else made


def values_of(pool: Pool) -> dict[str, dict[str, str]]:
    """What stands for the parameters of paths, by the first word of the route."""
    return {
        "tokens": {"uuid": str(Token.objects.values_list("pk", flat=True)[0])},
        "messages": {"id": pool.landed.pk},
        "miners": {"address": pool.miner.address},
        "sectors": {"uuid": str(pool.active.uuid)},
        "senders": {"address": pool.wallet.address},
        "wallets": {"address": pool.wallet.address},
        "statements": {"uuid": str(pool.statement.uuid)},
        "workers": {"uuid": str(pool.sealer.uuid)},
    }


def test_the_document_is_valid(document: dict[str, Any]) -> None:
    validate_schema(document)


def test_no_operation_has_a_parameter_for_the_format(document: dict[str, Any]) -> None:
    operations = [one for operations in document["paths"].values() for one in operations.values()]

    assert "format" not in {given["name"] for one in operations for given in one.get("parameters", ())}


def test_every_operation_says_how_it_refuses(document: dict[str, Any]) -> None:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert "4XX" in operation["responses"], (method, path)


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method, one) for path, methods in document["paths"].items() for method, one in methods.items()
    ]


def objects(part: Any) -> list[dict[str, Any]]:
    inner = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    return [*([part] if isinstance(part, dict) else ()), *(one for row in inner for one in objects(row))]


def test_operations_are_grouped_by_resource_and_named_for_every_language(document: dict[str, Any]) -> None:
    rows = operations(document)
    names = [one["operationId"] for _, _, one in rows]

    assert [name for name in names if not re.fullmatch("[a-z][a-z0-9_]*[a-z]", name)] == []
    assert len(names) == len(set(names))
    assert all(one["tags"] == [re.split("[/:]", path)[3] or "index"] for path, _, one in rows)
    assert all(one["summary"] for _, _, one in rows)
    assert {row["name"] for row in document["tags"] if row["description"]} == {
        tag for _, _, one in rows for tag in one["tags"]
    }
    assert document["info"]["license"]


def test_every_post_but_three_tells_of_idempotency_keys(document: dict[str, Any]) -> None:
    lacking = [
        path
        for path, method, one in operations(document)
        if method == "post" and "Idempotency-Key" not in {row["name"] for row in one.get("parameters", ())}
    ]

    assert set(lacking) == {
        "/api/v1/miners/{address}/pieces",  # its body is not read whole
        "/api/v1/deals/{uuid}/data",  # neither is this one's
        "/api/v1/consoles:join",  # its answer, the pool's secrets, is not kept
    }


def test_bodies_are_schemas_with_names_and_take_nothing_else(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for path, method, one in operations(document):
        content = one.get("requestBody", {}).get("content", {})
        if "application/json" in content:
            shape = content["application/json"]["schema"]
            assert set(shape) == {"$ref"}, (path, method)
            assert schemas[shape["$ref"].rpartition("/")[2]]["additionalProperties"] is False, (path, method)
    assert not [name for name in schemas if name.startswith("Patched")]
    assert schemas["StatusChange"]["required"] == ["is_public"]
    assert "refused" not in schemas["ChangeRefusedOutput"]["required"]
    assert schemas["TokenInput"]["properties"]["name"]["minLength"] == 1
    assert "minLength" not in schemas["TokenOutput"]["properties"]["name"]


def test_whole_numbers_say_whether_they_need_64_bits(document: dict[str, Any]) -> None:
    whole = [one for one in objects(document) if one.get("type") == "integer"]

    assert len(whole) > 300
    assert all(one.get("format") == "int64" or one["maximum"] < 2**31 for one in whole)


def test_a_part_of_a_piece_is_described(document: dict[str, Any]) -> None:
    answers = document["paths"]["/api/v1/pieces/{piece_cid}/data"]["get"]["responses"]

    assert set(answers["206"]["content"]) == set(answers["200"]["content"]) == {"application/octet-stream"}
    assert set(answers["202"]["content"]) == {"application/json"}


def test_a_filter_has_the_choices_of_the_field_that_it_filters(document: dict[str, Any]) -> None:
    by_name = {row["name"]: row for row in document["paths"]["/api/v1/sectors"]["get"]["parameters"]}

    states = document["components"]["schemas"]["SectorState"]["enum"]
    assert {*states, "expiring"} < set(by_name["state"]["schema"]["items"]["enum"]), "the page's views, too"
    assert by_name["stage"]["schema"]["items"] == {"$ref": "#/components/schemas/SectorStage"}
    assert by_name["limit"]["schema"]["minimum"] == 1


OF_HOSTS = {"/api/v1/workers/{uuid}/work"}
"""A worker asks there about itself; for anybody else there is none."""


@pytest.mark.django_db
def test_every_get_answers_as_the_document_says(client: Client, document: dict[str, Any]) -> None:
    pool = busy_pool()
    by = bearer(operator_token())
    values = values_of(pool)
    asked = 0
    for path, operations in document["paths"].items():
        if "get" not in operations:
            continue
        known = values.get(path.removeprefix("/api/v1/").partition("/")[0], {})
        named = set(re.findall(r"\{(\w+)\}", path))
        answer = client.get(path.format(**dict.fromkeys(named, "1") | known), headers=by)
        is_absent = answer.status_code == 404 and (path in OF_HOSTS or not named <= known.keys())
        status = "4XX" if is_absent else str(answer.status_code)
        told = operations["get"]["responses"][status]["content"]["application/json"]["schema"]
        schema = plain({**told, "components": document["components"]})
        wrong = [error.message for error in Draft4Validator(schema).iter_errors(answer.json())]
        assert wrong == [], path
        asked += status == "200"
    assert asked > 25


def filled(path: str) -> str:
    """A path of the document with something in the place of each parameter."""
    return re.sub(r"\{\w+\}", str(UUID(int=0)), path)


def handler_of(path: str, method: str) -> Any:
    """The function behind an operation of the document."""
    match = resolve(filled(path))
    return inspect.unwrap(getattr(match.func.view_class, method))  # type: ignore[attr-defined]  # Django's as_view


def test_every_delete_answers_with_the_status_that_is_described(
    document: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each handler runs over stand-ins for its selectors and services."""
    wrong = {}
    for path, operations in document["paths"].items():
        if "delete" not in operations:
            continue
        handler = handler_of(path, "delete")
        with monkeypatch.context() as patch:
            for name in set(handler.__code__.co_names) & handler.__globals__.keys():
                if getattr(handler.__globals__[name], "__module__", "").startswith("apps."):
                    patch.setitem(handler.__globals__, name, MagicMock())
            answer = handler(*(MagicMock() for _ in inspect.signature(handler).parameters))
        told = {code: "content" in said for code, said in operations["delete"]["responses"].items()}
        given = str(answer.status_code), answer.data is not None
        if given not in told.items():
            wrong[path] = given
    assert wrong == {}


BODIES = {"application/json": '{"dry_run": true}', "application/x-www-form-urlencoded": "dry_run=true"}


@pytest.mark.django_db
def test_what_takes_no_body_refuses_one_and_names_its_field(client: Client, document: dict[str, Any]) -> None:
    by, taken, asked = bearer(operator_token()), [], 0
    for path, operations in document["paths"].items():
        for method in {"post", "put", "patch", "delete"} & operations.keys():
            if "requestBody" in operations[method]:
                continue
            asked += 1
            for kind, body in BODIES.items():
                answer = client.generic(method.upper(), filled(path), body, content_type=kind, headers=by)
                if (answer.status_code, answer.json().get("field")) != (400, "dry_run"):
                    taken.append((method, path, kind, answer.status_code))
    assert taken == []
    assert asked > 25
