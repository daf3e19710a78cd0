"""Requests that are nearly right: bodies after the OpenAPI schema, and recorded calls, with a value changed.

Nonsense is refused at the door; these come further.  No 500, no traceback, nothing of another tenant, and of
REST no answer that the document does not describe.
The same everywhere unless FUZZ_SEED changes it; FUZZ_SECONDS makes it long, and `make soak` runs it for ten
minutes with a new, printed seed.
"""

from __future__ import annotations

import copy
import json
import os
import random
import re
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
from drf_spectacular.generators import SchemaGenerator
from jsonschema import Draft4Validator  # type: ignore[import-untyped]  # it ships no types

from tests import factories, people
from tests.integration.fuzz import KEY, NOBODY, WORDS, value
from tests.integration.fuzz_shapes import SECRET

pytestmark = pytest.mark.django_db

SECONDS: Final = float(os.environ.get("FUZZ_SECONDS", "0"))
REQUESTS: Final = 1000
"""At least so many."""
SOAK_SECONDS: Final = 600.0
SEED: Final = int(os.environ.get("FUZZ_SEED", "1"))
GOLDEN: Final = Path(__file__).parents[1] / "golden"

Json = Any


@cache
def schema() -> Json:
    """The REST interface as it describes itself."""
    return SchemaGenerator().get_schema(request=None, public=True)


@cache
def operations() -> list[tuple[str, str, Json]]:
    """Method, path and description of every route."""
    found = [
        (method.upper(), path, row)
        for path, methods in schema()["paths"].items()
        for method, row in methods.items()
        if method in ("get", "post", "put", "patch", "delete")
    ]
    assert len(found) > 30
    return found


@cache
def recorded_calls() -> list[tuple[str, Json]]:
    """Calls that real programs made."""
    rows = json.loads((GOLDEN / "messager" / "messager_rpc.json").read_text())
    calls = [(row["method"], row["params"]) for row in rows if isinstance(row.get("params"), list)]
    for line in (GOLDEN / "gateway" / "wallet_ws_frames.jsonl").read_text().splitlines():
        frame = json.loads(line).get("frame") or {}
        if str(frame.get("method", "")).startswith("Gateway."):
            calls.append((frame["method"], frame.get("params") or []))
    kept = [(method, params) for method, params in calls if "Wait" not in method]
    assert len(kept) > 30
    return kept


def resolved(shape: Json) -> Json:
    """Follow a reference."""
    while "$ref" in shape:
        shape = schema()["components"]["schemas"][shape["$ref"].rpartition("/")[2]]
    return shape


FORMATS: Final[dict[str, Json]] = {
    "uuid": NOBODY,
    "date-time": "2026-11-20T12:00:00Z",
    "uri": "http://127.0.0.1:1/rpc/v1",
}


def made(shape: Json, rng: random.Random, depth: int = 0) -> Json:
    """A value that fits a shape."""
    shape = resolved(shape)
    if depth > 6:
        return None
    if "enum" in shape:
        return rng.choice(shape["enum"])
    for several in ("oneOf", "anyOf", "allOf"):
        if several in shape:
            return made(rng.choice(shape[several]), rng, depth + 1)
    kind = shape.get("type")
    if kind == "object" or "properties" in shape:
        needed = set(shape.get("required", ()))
        fields = shape.get("properties", {}).items()
        return {
            name: made(one, rng, depth + 1) for name, one in fields if name in needed or rng.random() < 0.6
        }
    if kind == "array":
        return [made(shape.get("items", {}), rng, depth + 1) for _ in range(rng.randrange(3))]
    makers: dict[str, Callable[[], Json]] = {
        "integer": lambda: rng.choice([0, 1, 2, 7, 1000]),
        "number": lambda: rng.choice([0, 1.5, 3]),
        "boolean": lambda: rng.random() < 0.5,
        "string": lambda: FORMATS.get(shape.get("format", ""), rng.choice(["f01000", KEY, "text", "1", ""])),
    }
    return makers[kind]() if kind in makers else rng.choice(WORDS)


def places(body: Json, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in some JSON."""
    yield path
    if isinstance(body, dict):
        for name, one in body.items():
            yield from places(one, (*path, name))
    elif isinstance(body, list):
        for number, one in enumerate(body):
            yield from places(one, (*path, number))


def changed(body: Json, rng: random.Random) -> Json:
    """The same with one or two values replaced, dropped or doubled."""
    body = copy.deepcopy(body)
    for _ in range(rng.choice([1, 1, 2])):
        *way, last = rng.choice(list(places([body])))[1:] or (None,)
        if last is None:
            return copy.deepcopy(value(rng))
        inner = body
        for step in way:
            inner = inner[step]
        kind = rng.random()
        if kind < 0.7:
            inner[last] = copy.deepcopy(value(rng))
        elif kind < 0.85 and isinstance(inner, dict):
            del inner[last]
        elif isinstance(inner, list):
            inner.insert(last, copy.deepcopy(inner[last]))
    return body


def plain(shape: Json) -> Json:
    """A part of the document as JSON schema: `nullable` is OpenAPI's own."""
    if isinstance(shape, list):
        return [plain(part) for part in shape]
    if not isinstance(shape, dict):
        return shape
    made = {key: plain(value) for key, value in shape.items() if key != "nullable"}
    return {"anyOf": [made, {"type": "null"}]} if shape.get("nullable") is True else made


@cache
def validator(method: str, path: str, status: str) -> Draft4Validator | None:
    """What the body of an answer must be; None where there is none, or it is not JSON."""
    content = schema()["paths"][path][method.lower()]["responses"][status].get("content", {})
    told = content.get("application/json")
    return Draft4Validator({**plain(told["schema"]), "components": parts()}) if told else None


@cache
def parts() -> Json:
    return plain(schema()["components"])


def undescribed(method: str, path: str, answer: Any) -> str:
    """Return what of an answer is not in the document; empty if nothing."""
    known = schema()["paths"][path][method.lower()]["responses"]
    status = str(answer.status_code)
    status = status if status in known else f"{status[0]}XX"
    if status not in known:
        return f"status {answer.status_code}"
    check = validator(method, path, status)
    if check is None or answer.streaming:
        return ""
    wrong = next(check.iter_errors(answer.json()), None)
    return "" if wrong is None else f"{'.'.join(map(str, wrong.absolute_path))}: {wrong.message}"


def rest_request(rng: random.Random) -> tuple[str, str, str, str]:
    """A call of a REST route, with the path that the document has for it."""
    method, route, row = rng.choice(operations())
    parts = {"address": ["f01000", "f02000", KEY], "uuid": [NOBODY], "height": ["1000", "0"]}

    def part(found: re.Match[str]) -> str:
        name = found[1]
        return str(rng.choice(parts.get(name, ["f01000", "alice", KEY, NOBODY, "1", "rest"])))

    path = re.sub(r"{([^}]*)}", part, route)
    content = row.get("requestBody", {}).get("content", {}).get("application/json")
    body = made(content["schema"], rng) if content else {}
    if method == "GET":
        names = [one for one in row.get("parameters", []) if one["in"] == "query"]
        asked = [f"{one['name']}={made(one['schema'], rng)}" for one in names if rng.random() < 0.5]
        return method, f"{path}?{'&'.join(asked)}", "", route
    return method, path, json.dumps(changed(body, rng) if rng.random() < 0.8 else body), route


def rpc_request(rng: random.Random) -> tuple[str, str, str, str]:
    """A recorded call with something changed."""
    method, params = rng.choice(recorded_calls())
    call = {"jsonrpc": "2.0", "id": 1, "method": method, "params": changed(params, rng)}
    return "POST", f"/rpc/{rng.choice(['v0', 'v1', 'v2'])}", json.dumps(call), ""


def is_bad(status: int, path: str, text: str) -> bool:
    """Return whether an answer must not be."""
    is_panic = status == 500 and (not path.startswith("/rpc/") or '"code":0' in text)
    return is_panic or "Traceback" in text or SECRET in text


def fuzz(client: Any, *, seconds: float, seed: int) -> None:
    """Send such requests for a while."""
    rng = random.Random(seed)
    factories.network()
    factories.head()
    factories.sector(factories.miner(1000, of="alice"))
    factories.wallet(KEY, of="alice")
    strange = factories.miner(2000, of="bob", name=SECRET)
    factories.sector(strange, error=SECRET)
    factories.message(SECRET, of="bob", error=SECRET)
    factories.worker(SECRET, of="bob")
    tokens = [people.token(perm, of="alice") for perm in ("admin", "sign", "read")]
    client.raise_request_exception = False
    failures: dict[str, str] = {}
    until, count = time.monotonic() + seconds, 0
    while time.monotonic() < until or count < REQUESTS:
        method, path, body, route = (rest_request if rng.random() < 0.6 else rpc_request)(rng)
        headers = people.bearer(rng.choice(tokens))
        answer = client.generic(method, path, body, content_type="application/json", headers=headers)
        text = b"".join(answer).decode() if answer.streaming else answer.content.decode(errors="replace")
        wrong = undescribed(method, route, answer) if route else ""
        if wrong or is_bad(answer.status_code, path, text):
            said = f"{body[:500]} -> {answer.status_code} {wrong} {text[:300]}"
            failures.setdefault(f"{method} {route or path}", said)
        count += 1
    assert not failures, f"seed {seed}, {count} requests: {json.dumps(failures, indent=1)[:6000]}"


def test_mutated_requests_give_no_500_and_no_data_of_others(client, pool_redis):
    fuzz(client, seconds=SECONDS, seed=SEED)


@pytest.mark.slow
def test_so_it_is_for_ten_minutes(client, pool_redis):
    fuzz(client, seconds=SOAK_SECONDS, seed=random.SystemRandom().randrange(2**32))
