"""Every page and button with values that nobody types: no 500, no traceback, nothing of another tenant.

The same everywhere unless FUZZ_SEED changes it; FUZZ_SECONDS makes it long.
"""

from __future__ import annotations

import json
import random
import re
import time
from typing import Any, Final
from urllib.parse import urlencode

import pytest
from django.test import Client

from apps.dashboard.urls import urlpatterns
from apps.users.models import Token
from apps.users.services.audit import audit_record
from apps.users.services.grants import rate_limit_set
from tests import demo_data, factories, people
from tests.integration.fuzz import KEY, NOBODY, SECONDS, SEED, WORDS
from tests.integration.fuzz_shapes import SECRET
from tests.page_client import HTMX, signed_in

pytestmark = pytest.mark.django_db

REQUESTS: Final = 350
"""At least so many."""
TYPED: Final = """
    name username role tenant perm part life methods miners signers comment miner address service api
    capacity seconds key open_mining since until who what object after q id state kind from to method
    params value nonce gas_limit gas_fee_cap gas_premium max_fee daily_budget hold_base_fee hold_epochs
    actor count count_of quota page by days filter sort next url weight test rule text message change
    seal number types keys callers sets value_max value_per_day fee_max fee_per_day hours sure confirmed
    premium_max premium_per_day
    theme answer code password again old_password confirm-password confirm-code confirm-passkey confirm-
    back passkey fault miners sector deadline tipset height draft editor digest old new label enabled
    show cursor op epochs premium over_estimation reason picked all
"""
NAMES: Final = TYPED.split()
"""Names of fields that some page knows."""
ENDS: Final = ("logout", "password", "theme")
"""Pages that would end the session, or only set a cookie."""


def words(rng: random.Random) -> str:
    """What is typed."""
    one = rng.choice(WORDS)
    text = one if isinstance(one, str) else json.dumps(one)
    return text.encode("utf-8", "replace").decode()[:3000]


def addresses_of(pool: demo_data.Pool, others: demo_data.Pool) -> dict[str, list[str]]:
    """What may stand in a path, by the name of its place."""
    token = Token.objects.filter(tenant__name="alice").first()
    assert token is not None
    uuids = [pool.active.uuid, pool.paused.uuid, pool.sealer.uuid, others.active.uuid, token.pk, NOBODY]
    known = [pool.miner.address, pool.wallet.address, others.wallet.address]
    ops = """
        close open reset role approve refuse test end pause resume
        retry remove start stop promote rate miner
    """
    return {
        "uuid": [str(one) for one in uuids],
        "int": ["0", "1", str(pool.miner.pk), "999999999999999999999"],
        "path": [pool.flying.id, pool.stuck.id, others.flying.id, "x/y", "%ff"],
        "str": [*known, KEY, "x", "%E2%98%83", *ops.split()],
    }


def path_of(route: str, parts: dict[str, list[str]], rng: random.Random) -> str:
    """An address of a route."""
    return "/" + re.sub(r"<(\w+):[^>]*>", lambda place: rng.choice(parts[place[1]]), route)


def one(client: Client, path: str, rng: random.Random) -> Any:
    """Ask for a page, or click on it."""
    form = [(rng.choice(NAMES), words(rng)) for _ in range(rng.randrange(7))]
    headers = HTMX if rng.random() < 0.3 else {}
    if rng.random() < 0.5:
        path = f"{path}?{urlencode(form)}"
        return client.get(path, headers=headers), path
    data: dict[str, list[str]] = {}
    for name, text in form:
        data.setdefault(name, []).append(text)
    return client.post(path, data, headers=headers), f"{path} {form}"


def is_bad(answer: Any, who: str) -> str:
    """Say what must not be; empty if nothing."""
    text = (
        b"".join(answer).decode(errors="replace")
        if answer.streaming
        else answer.content.decode(errors="replace")
    )
    if answer.status_code >= 500 and answer.status_code != 503:
        return f"{answer.status_code} {text[:300]}"
    if "Traceback (most" in text:
        return text[:300]
    seen = text + str(answer.headers)
    return f"shows another's: {seen[:200]}" if who != "olga" and SECRET in seen else ""


def test_no_page_breaks_or_shows_anothers(pool_redis):
    rng = random.Random(SEED)
    pool, others = demo_data.busy_pool(), demo_data.busy_pool("bob", key=50, actor_id=3001)
    people.token("read", of="alice")
    rate_limit_set(tenant=people.tenant("bob"), capacity=5, reset_ns=10**9, service=SECRET)
    strange = factories.miner(2000, of="bob", name=SECRET)
    factories.sector(strange, error=SECRET)
    factories.message(SECRET, of="bob", error=SECRET)
    factories.worker(SECRET, of="bob")
    factories.sign_record(others.wallet.address, of="bob", what=SECRET)
    audit_record(principal=people.principal("bob"), action="x", target=SECRET, after={"a": SECRET})
    people.operator_person()
    for name, role in (("adam", "TENANT_ADMIN"), ("ann", "TENANT"), ("anna", "AUDITOR")):
        people.person(name, role=role)
    clients = {name: signed_in(name) for name in ("olga", "adam", "ann", "anna")}
    routes = [str(one.pattern) for one in urlpatterns if getattr(one, "name", "") not in ENDS]
    parts = addresses_of(pool, others)
    failures: dict[str, str] = {}

    until, count = time.monotonic() + SECONDS, 0
    while time.monotonic() < until or count < REQUESTS:
        route = routes[count % len(routes)]
        who = rng.choice(list(clients))
        clients[who].raise_request_exception = False
        answer, sent = one(clients[who], path_of(route, parts, rng), rng)
        if wrong := is_bad(answer, who):
            failures.setdefault(route, f"{who}: {sent[:500]} -> {wrong}")
        count += 1

    assert not failures, f"seed {SEED}, {count} requests: {json.dumps(failures, indent=1)[:8000]}"
