"""A damaged replica that was brought here out of a bucket: once it is mended there, that is what is read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from poolsite.wire.job_inputs import SealInputs
from poolsite.wire.job_reports import Level
from tests.s3_server import BUCKET, S3Server, serving
from workers.agent.fetched import FETCHED
from workers.agent.journal import Work, journal_open
from workers.agent.stages import StageRunner
from workers.processors.errors import BadProof, TemporaryError
from workers.processors.tasks import UnsealOutput
from workers.storage.bucket_files import store_path
from workers.storage.bucket_settings import BucketSettings
from workers.storage.stores import Stores

NAME = "s-t01000-7"
GOOD, DAMAGED = bytes(2048), bytes(2047) + b"x"
INPUTS = SealInputs(
    miner_id=1000,
    number=7,
    seal_proof=5,
    sector_size=2048,
    state="UNSEALING",
    stage="UNSEAL",
    ticket=bytes(32),
    comm_d=bytes(32),
    comm_r=bytes(32),
    num_bytes=127,
)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    """A server that takes the hosts' key."""
    with serving(tmp_path, monkeypatch) as one:
        yield one


def put(server: S3Server, key: str, content: bytes) -> None:
    server.client().put_object(Bucket=BUCKET, Key=f"pool/{key}", Body=content)


def test_what_was_fetched_of_a_damaged_replica_is_not_read_again(server: S3Server, tmp_path: Path) -> None:
    root = store_path(f"s3://{BUCKET}/pool", BucketSettings(server.endpoint, "us-east-1"))
    stores = Stores(tmp_path / "sealer", (root,))
    stores.open()
    put(server, f"sealed/{NAME}", DAMAGED)  # nobody has recorded its sums: it was adopted
    put(server, f"cache/{NAME}/p_aux", bytes(64))
    away = [True]

    def call(_name: str, task: Any, **_options: Any) -> UnsealOutput:
        if away[0]:
            raise TemporaryError("the child was killed")
        if Path(task.sealed_file).read_bytes() != GOOD:
            raise BadProof("the decoded data do not have comm_d")
        return UnsealOutput(127)

    pool: Any = SimpleNamespace(call=call)
    journal_open(tmp_path / "sealer")
    runner = StageRunner(folder=tmp_path / "sealer", stores=stores, pool=pool)

    def run(token: int) -> Level | None:
        work = Work(token=token, inputs=INPUTS)
        runner.journal.work_write("job", work)
        assert runner.run("job")
        failure = runner.journal.failure_read("job", work.id, token=token)
        return failure.level if failure else None

    here = runner.journal.folder("job") / FETCHED
    assert run(1) is Level.TEMPORARY
    assert (here / "sealed" / NAME).exists(), "32 GiB are not fetched again because a child was killed"
    away[0] = False
    assert run(2) is Level.PERMANENT
    put(server, f"sealed/{NAME}", GOOD)

    assert run(3) is None
    assert not here.exists()
