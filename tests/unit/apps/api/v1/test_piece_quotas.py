"""The quota of a tenant's pieces over REST: set by the operator, seen by its tenant, held with numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from apps.miners.models import Miner
from apps.users.models import AuditEntry
from tests import factories, people

pytestmark = pytest.mark.django_db

ALICE = "/api/v1/tenants/alice/piece-quota"


@pytest.fixture
def miner(settings: Any, tmp_path: Path) -> Miner:
    settings.PIECES_DIR = str(tmp_path)
    return factories.miner(2001, of="alice")


def put(client: Client, limit: Any, *, by: str = "") -> Any:
    headers = people.bearer(by or people.operator_token())
    return client.put(ALICE, {"limit_bytes": limit}, content_type="application/json", headers=headers)


def test_the_operator_sets_a_quota_and_its_tenant_sees_it(client: Client, miner: Miner) -> None:
    factories.piece(miner)
    alice = people.bearer(people.token("read", of="alice"))

    answer = put(client, 500)

    assert answer.json() == {"used_bytes": 100, "limit_bytes": 500, "is_default": False}
    assert client.get(ALICE, headers=alice).json() == answer.json()
    assert AuditEntry.objects.filter(action="tenant.piece-quota", target="alice").count() == 1
    assert put(client, 0).json()["limit_bytes"] == 0
    default = put(client, None).json()
    assert (default["used_bytes"], default["is_default"]) == (100, True)
    assert default["limit_bytes"] > 500, "half of the disk"
    bob = people.bearer(people.token("admin", of="bob"))
    assert client.get(ALICE, headers=bob).status_code == 404
    assert put(client, 5, by=people.token("admin", of="alice")).status_code == 403
    assert [put(client, wrong).status_code for wrong in (-1, 1 << 63, "a")] == [400] * 3


@pytest.mark.parametrize("way", ["length", "parts", "url"])
def test_a_piece_beyond_the_quota_is_refused_with_the_numbers(client: Client, miner: Miner, way: str) -> None:
    factories.piece(miner)
    put(client, 120)
    headers = people.bearer(people.token("write", of="alice"))
    path, kind = "/api/v1/miners/f02001/pieces", "application/octet-stream"
    if way == "url":
        body = {"url": "https://a.example/x", "payload_size": 21}
        answer = client.post(f"{path}:fetch", body, content_type="application/json", headers=headers)
    elif way == "parts":
        answer = client.post(path, b"", content_type=kind, headers={**headers, "Upload-Length": "21"})
    else:
        answer = client.post(path, b"x" * 21, content_type=kind, headers=headers)

    said = answer.json()
    assert (answer.status_code, said["code"]) == (409, "piece_quota_exceeded")
    assert (said["limit"], said["used"], said["requested"]) == (120, 100, 21)
    assert said["field"] == ("payload_size" if way == "url" else "Upload-Length")
    assert "take 100 B of at most 120 B, and 21 B more do not fit" in said["message"]
