"""Parameters of every route, from the OpenAPI document: what cannot be read is refused by its name."""

from __future__ import annotations

import base64
import re
from typing import Any, Final

import pytest
from django.test import Client
from drf_spectacular.generators import SchemaGenerator

from apps.api.v1.pagination import cursor_read
from apps.core.errors import BadValue
from tests.demo_data import Pool, busy_pool
from tests.people import bearer, operator_token

pytestmark = pytest.mark.django_db

WRITES: Final = ("post", "put", "patch", "delete")


@pytest.fixture(scope="module")
def operations() -> list[tuple[str, str, dict[str, Any]]]:
    paths = SchemaGenerator().get_schema(request=None, public=True)["paths"]
    return [(path, method, one) for path, methods in paths.items() for method, one in methods.items()]


@pytest.fixture
def pool() -> Pool:
    return busy_pool()


@pytest.fixture
def by(pool: Pool) -> dict[str, str]:
    return bearer(operator_token())


def filled(path: str, pool: Pool) -> str:
    """Return a path with rows of the pool in the place of its parameters."""
    known = {
        "/miners/{address}": pool.miner.address,
        "/sectors/{uuid}": str(pool.active.uuid),
        "/workers/{uuid}": str(pool.sealer.uuid),
        "/messages/{id}": pool.landed.pk,
    }
    for part, text in known.items():
        path = path.replace(part, part.replace(part.rpartition("/")[2], text))
    return re.sub(r"\{\w+\}", "1", path)


def parameters(one: dict[str, Any]) -> list[dict[str, Any]]:
    return [row for row in one.get("parameters", ()) if row["in"] == "query"]


def told(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json().get("field", "")


def test_a_parameter_that_is_unknown_is_refused_wherever_it_is_read(
    client: Client, pool: Pool, by: dict[str, str], operations: list[Any]
) -> None:
    taken = []
    for path, method, _one in operations:
        answer = client.generic(method.upper(), f"{filled(path, pool)}?no_such=1", headers=by)
        if told(answer) != (400, "no_such") and answer.status_code not in (404, 403):
            taken.append((method, path, answer.status_code))
    assert taken == []


def test_a_null_character_in_any_parameter_is_refused_by_its_name(
    client: Client, pool: Pool, by: dict[str, str], operations: list[Any]
) -> None:
    wrong, asked = [], 0
    for path, method, one in operations:
        for row in parameters(one):
            answer = client.generic(method.upper(), f"{filled(path, pool)}?{row['name']}=%00", headers=by)
            asked += 1
            if told(answer) != (400, row["name"]):
                wrong.append((method, path, row["name"], answer.status_code))
    assert wrong == []
    assert asked > 100


def test_a_parameter_that_is_given_twice_is_refused_unless_it_is_a_list(
    client: Client, pool: Pool, by: dict[str, str], operations: list[Any]
) -> None:
    wrong = []
    for path, method, one in operations:
        for row in parameters(one):
            name, is_list = row["name"], row["schema"].get("type") == "array"
            answer = client.generic(method.upper(), f"{filled(path, pool)}?{name}=1&{name}=2", headers=by)
            is_refused = told(answer) == (400, name) and "more than once" in answer.json()["message"]
            if is_refused == is_list:
                wrong.append((method, path, name, answer.status_code))
    assert wrong == []


def test_an_empty_cursor_is_the_first_page_and_next_names_the_second(
    client: Client, pool: Pool, by: dict[str, str], operations: list[Any]
) -> None:
    pages = 0
    for path, method, one in operations:
        if "cursor" in {row["name"] for row in parameters(one)}:
            answer = client.generic(method.upper(), f"{filled(path, pool)}?cursor=", headers=by)
            pages += answer.status_code == 200
            assert answer.status_code in (200, 404), (path, answer.content)
            assert answer.status_code == 404 or "next" in answer.json(), path
    assert pages > 10


@pytest.mark.parametrize(
    "moment", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "1600-01-01T00:00Z"]
)
def test_a_cursor_of_a_time_without_rows_is_refused(moment: str) -> None:
    with pytest.raises(BadValue, match="not a cursor"):
        cursor_read(base64.urlsafe_b64encode(f"{moment} 1".encode()).decode())


def test_a_dry_run_without_a_word_is_refused_and_not_carried_out(
    client: Client, pool: Pool, by: dict[str, str]
) -> None:
    answer = client.post(
        f"/api/v1/sectors/{pool.active.uuid}/rebuild?dry_run", headers=by, content_type="application/json"
    )

    assert told(answer) == (400, "dry_run")


def test_a_field_that_is_given_twice_is_refused(client: Client, by: dict[str, str]) -> None:
    body = '{"name": "one", "comment": "a", "comment": "b"}'
    answer = client.post("/api/v1/tenants", body, content_type="application/json", headers=by)

    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")
    assert "comment" in answer.json()["message"]


@pytest.mark.parametrize("key", ["", "a b", "x" * 101])
def test_an_idempotency_key_that_is_no_key_is_refused(client: Client, by: dict[str, str], key: str) -> None:
    headers = {**by, "Idempotency-Key": key}
    answer = client.post(
        "/api/v1/tenants", '{"name": "one"}', content_type="application/json", headers=headers
    )

    assert told(answer) == (400, "Idempotency-Key")
