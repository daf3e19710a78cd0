"""Every HTTP route and JSON-RPC method with values that nobody should send: no 500, no traceback.

The same everywhere unless FUZZ_SEED changes it; FUZZ_SECONDS makes it long.
"""

from __future__ import annotations

import json
import random
import re
import time
from typing import Any

import pytest

from apps.api.access_table import Endpoint, endpoints
from tests import factories, people
from tests.integration.fuzz import KEY, SECONDS, SEED, WORDS, value

pytestmark = pytest.mark.django_db


NAMES = """
    name Name token Token user User miner Miner signer Signers perm scopes expires_at tenant operator approve
    count id to from value method params gas_limit gas_fee_cap gas_premium max_fee expire_epoch limit offset
    state kind label comment enabled v uid boot kinds slots seq data reason Names State Perm Extra ReqLimit Id
    OpenMining From To Value Nonce GasLimit GasFeeCap GasPremium Method Params Version CID
"""
FIELDS = NAMES.split()
"""Names of fields that some route knows."""


def body(rng: random.Random) -> Any:
    """A request's body: mostly an object with names that are known somewhere."""
    if rng.random() < 0.15:
        return value(rng)
    return {rng.choice(FIELDS): value(rng) for _ in range(rng.randrange(7))}


def path_of(row: Endpoint, rng: random.Random) -> str:
    """A path with something for each part of it."""
    parts = [
        "f01000",
        "f01001",
        "x",
        KEY,
        "00000000-0000-4000-8000-000000000000",
        "%00",
        "é",
        "..",
        "0",
        "a" * 300,
    ]
    path = re.sub(r"<uuid:[^>]*>", "00000000-0000-4000-8000-000000000000", row.path)
    path = re.sub(r"<[^>]*>", lambda _: rng.choice(parts), path).replace("^", "").replace("$", "")
    if rng.random() < 0.4:
        word = str(rng.choice(WORDS))[:60].encode("utf-8", "replace").hex()
        query = (f"{rng.choice(FIELDS)}=%{word[:2]}", f"{rng.choice(FIELDS)}={rng.randrange(-2, 10**6)}")
        path += f"?{'&'.join(query)}&limit={word[:4]}"
    return path


def one(client: Any, row: Endpoint, token: str, rng: random.Random) -> Any:
    """Send one request."""
    headers = people.bearer(token)
    if row.interface == "rpc":
        count = rng.choice([0, 1, 1, 2, 2, 3, 4, 5, 7])
        call = {"id": value(rng), "method": row.path, "params": [value(rng) for _ in range(count)]}
        if rng.random() < 0.3:
            call["params"] = [body(rng) for _ in range(count)]
        path, data = f"/rpc/{rng.choice(row.method.split())}", json.dumps(call)
        return client.post(path, data, content_type="application/json", headers=headers), data
    data = json.dumps(body(rng)) if row.method != "GET" else ""
    if rng.random() < 0.05:
        data = data[: len(data) // 2]
    path = path_of(row, rng)
    answer = client.generic(row.method, path, data, content_type="application/json", headers=headers)
    return answer, f"{row.method} {path} {data}"


def test_nothing_that_is_sent_is_answered_with_500(client, pool_redis):
    rng = random.Random(SEED)
    factories.network()
    factories.head()
    miner = factories.miner(1000, of="alice")
    factories.wallet(KEY, of="alice")
    factories.sector(miner)
    factories.message(KEY)
    tokens = [people.operator_token(), people.token("admin", of="alice"), people.token("read", of="mallory")]
    table = [row for row in endpoints() if not row.is_channel and "Wait" not in row.path]
    failures: dict[str, str] = {}
    client.raise_request_exception = False

    until, count = time.monotonic() + SECONDS, 0
    while time.monotonic() < until or count < 2 * len(table):
        row = table[count % len(table)] if count < len(table) else rng.choice(table)
        answer, sent = one(client, row, rng.choice(tokens), rng)
        text = answer.content.decode(errors="replace")
        is_panic = answer.status_code == 500 and (row.interface != "rpc" or '"code":0' in text)
        if is_panic or "Traceback" in text:
            failures.setdefault(f"{row.method} {row.path}", f"{sent[:500]} -> {text[:200]}")
        count += 1

    assert not failures, f"seed {SEED}, {count} requests: {json.dumps(failures, indent=1)[:6000]}"
