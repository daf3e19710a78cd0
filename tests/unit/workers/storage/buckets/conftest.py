"""An S3 server that we did not write, and a store in a bucket of it."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from tests.s3_server import BUCKET, S3Server, started
from tests.unit.workers.storage.buckets.stored import (
    NAME,
    settings_of,
)
from workers.storage import bucket_client, bucket_files
from workers.storage.bucket_files import store_path
from workers.storage.stores import Stores


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A server for all tests here."""
    with started(tmp_path_factory.mktemp("s3") / "log") as one:
        yield one


@pytest.fixture
def prefix(request: pytest.FixtureRequest) -> str:
    """A prefix of the test's own."""
    return sha256(request.node.name.encode()).hexdigest()[:12]


@pytest.fixture(autouse=True)
def credentials(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The access key is in the environment; looks ask the server each time."""
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(bucket_files, "CHECK_AGAIN_S", 0.0)
    monkeypatch.setattr(bucket_files, "LIST_SHARE", 0)
    monkeypatch.setattr(bucket_client, "READ_S", 300.0)


@pytest.fixture
def root(server: S3Server, prefix: str) -> Path:
    """Where a store lies."""
    return store_path(f"s3://{BUCKET}/{prefix}", settings_of(server))


@pytest.fixture
def stores(root: Path, server: S3Server, tmp_path: Path) -> Stores:
    """A folder with sector 7, and an empty bucket."""
    made = Stores(tmp_path / "worker", (tmp_path / "a", root), buckets={str(root): settings_of(server)})
    made.open()
    folder = tmp_path / "a"
    (folder / "sealed").mkdir()
    (folder / "cache" / NAME).mkdir(parents=True)
    (folder / "sealed" / NAME).write_bytes(bytes(range(256)) * 8)
    (folder / "cache" / NAME / "p_aux").write_bytes(bytes(32) + bytes([1]) * 31 + b"\0")
    (folder / "cache" / NAME / "t_aux").write_bytes(b"t")
    return made
