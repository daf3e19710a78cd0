"""Sectors whose files lie in a bucket: adopted, found again, and leftovers removed once approved."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from django.urls import reverse

from apps.sectors.models import Sector, StoreFinding
from apps.sectors.services.adoptions.plans import adoption_begin
from apps.users.models import AuditEntry
from apps.users.rules.principals import SYSTEM
from tests.integration.stores.adopted_files import forgotten, heads, is_idle
from tests.integration.stores.conftest import Farm
from tests.integration.stores.store_scans import found, no_chain
from tests.page_client import signed_in, text_of
from tests.people import person
from tests.s3_server import BUCKET, S3Server, serving
from tests.unit.apps.sectors.reconcile import work
from workers.storage.bucket_files import store_path
from workers.storage.bucket_settings import BucketSettings
from workers.storage.store import MARK


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    """A server that takes the hosts' key."""
    with serving(tmp_path, monkeypatch) as one:
        yield one


@pytest.fixture
def farm(server: S3Server, tmp_path: Path, db: None) -> Farm:
    """A host whose store is a bucket."""
    settings = BucketSettings(server.endpoint, "us-east-1")
    return Farm(tmp_path, store_path(f"s3://{BUCKET}/pool", settings))


def put(server: S3Server, key: str, content: bytes) -> None:
    server.client().put_object(Bucket=BUCKET, Key=f"pool/{key}", Body=content)


def test_files_of_adopted_sectors_are_found_in_a_bucket(farm: Farm, server: S3Server) -> None:
    chain = forgotten(farm)
    put(server, "cache/s-t01000-2/p_aux", bytes(32) + b"x" * 31 + b"\0")
    adoption_begin(farm.miner, numbers=None, work=work(cast("Any", chain)), by=SYSTEM)

    row = heads(farm, chain)

    assert (row.written, row.unplaced, row.unread) == (2, 1, [])
    assert dict(Sector.objects.values_list("number", "store")) == {1: farm.row.name, 2: ""}
    refused = StoreFinding.objects.get(number=2)
    assert (refused.state, refused.error) == ("REFUSED", "cache/s-t01000-2/p_aux: wrong comm r")


def test_leftovers_in_a_bucket_are_listed_and_go_once_approved(
    farm: Farm, server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_chain(monkeypatch)
    kept = [key for key in server.keys("pool") if "s-t01000-2" not in key]
    for key in server.keys("pool"):
        if "s-t01000-2" in key:
            server.client().delete_object(Bucket=BUCKET, Key=key)
    put(server, "cache/s-t01000-700/p_aux", bytes(64))
    put(server, "sealed/s-t01000-701", bytes(2048))
    put(server, "cache/s-t01000-701/p_aux", bytes(64))
    put(server, "sums/s-t01000-701.json", b"{}")
    put(server, "sealed/s-t01000-7000", bytes(2048))
    put(server, "cache/notes.txt", b"what")
    parts = server.client().create_multipart_upload(Bucket=BUCKET, Key="pool/sealed/s-t01000-702")
    server.client().upload_part(
        Bucket=BUCKET,
        Key="pool/sealed/s-t01000-702",
        UploadId=parts["UploadId"],
        PartNumber=1,
        Body=bytes(5 << 20),
    )
    farm.ask("POST", "scans")
    farm.beats(is_idle)

    rows = found(farm)
    assert {name: row["kind"] for name, row in rows.items()} == {
        "s-t01000-2": "MISSING",
        "s-t01000-700": "HALF",
        "s-t01000-701": "UNKNOWN",
        "s-t01000-702": "HALF",
        "s-t01000-7000": "HALF",
        "cache/notes.txt": "OTHER",
    }
    before = set(server.keys("pool"))
    person("ann", of="alice")
    browser = signed_in("ann")
    page = reverse("store-leftovers", args=[farm.row.uuid])
    for words in ("s-t01000-700", "s-t01000-701", "s-t01000-702"):
        assert words in text_of(browser.get(page)), words
    assert set(server.keys("pool")) == before, "nothing goes before somebody says so"
    wanted = [rows[f"s-t01000-{number}"]["uuid"] for number in (700, 701, 702)]
    done = farm.ask("POST", "findings:remove", json={"findings": wanted, "reason": "full"})
    assert done.status_code == 200, done.text
    farm.beats(is_idle)

    assert sorted(server.keys("pool")) == sorted([*kept, "pool/cache/notes.txt", "pool/sealed/s-t01000-7000"])
    assert f"pool/{MARK}" in kept
    uploads = server.client().list_multipart_uploads(Bucket=BUCKET).get("Uploads", ())
    assert not list(uploads)
    states = StoreFinding.objects.filter(number__in=(700, 701, 702)).values_list("state", flat=True)
    assert set(states) == {"REMOVED"}
    assert AuditEntry.objects.filter(action="store.remove_leftovers").count() == 1
