"""Proofs out of a bucket: by ranges of a few nodes, the same as out of the whole files."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest

from poolsite.filecoin.post.parameters import PoStKind
from tests.s3_server import BUCKET, S3Server, started
from workers.kernels import poseidon
from workers.processors import window_post, winning_post
from workers.processors.post_sector import post_parameters_of, seal_parameters_of
from workers.processors.post_tasks import Replica, SectorCheckTask, WindowPostTask, WinningPostTask
from workers.processors.sector_trees import TreeRLast, tree_r_last_write
from workers.prover import near
from workers.prover.near import joined_parts, near_clear, task_near
from workers.storage import bucket_client, bucket_path
from workers.storage.bucket_files import store_path
from workers.storage.bucket_settings import BucketAway, BucketSettings
from workers.storage.files import copy_file
from workers.storage.mapped import as_nodes
from workers.storage.sector import SectorFiles
from workers.storage.stores import Stores

SIZES = {5: 2 << 10, 6: 8 << 20}
"""Registered WindowPoSt proofs: of a sector without left out rows, and of one with two of them."""
WINNING = {5: 0, 6: 1}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A server for all tests here."""
    with started(tmp_path_factory.mktemp("s3") / "log") as one:
        yield one


@pytest.fixture(autouse=True)
def credentials(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The access key is in the environment."""
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(bucket_client, "READ_S", 300.0)


@pytest.fixture(scope="module")
def made(server: S3Server, tmp_path_factory: pytest.TempPathFactory) -> dict[int, tuple[Replica, Replica]]:
    """Of each size a sector of random nodes: its replica in a folder, and in the bucket."""
    found = {}
    random = np.random.default_rng(1)
    for proof in SIZES:
        folder = tmp_path_factory.mktemp("sector")
        seal = seal_parameters_of(post_parameters_of(proof, PoStKind.WINDOW))
        files = SectorFiles(seal, folder / "cache", folder / "sealed")
        files.cache.mkdir()
        raw = random.integers(0, 256, seal.sector_bytes, np.uint8)
        raw[31::32] &= 0x3F
        files.sealed.write_bytes(raw.tobytes())
        nodes = as_nodes(raw)
        tree_r_last_write(files, lambda first, end, nodes=nodes: nodes[first:end])  # type: ignore[misc]
        files.p_aux.write_bytes(bytes(32) + TreeRLast(files).root)
        comm_r = poseidon.hash_values([bytes(32), TreeRLast(files).root])
        found[proof] = folder, comm_r, files
    with pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment.items():
            patch.setenv(name, value)
        patch.setattr(bucket_client, "READ_S", 300.0)
        replicas = {}
        for proof, (folder, comm_r, files) in found.items():
            root = store_path(f"s3://{BUCKET}/p{proof}", BucketSettings(server.endpoint, "us-east-1"))
            for path in (files.sealed, *files.cache.iterdir()):
                size = path.stat().st_size
                copy_file(path, root / path.relative_to(folder), size_bytes=size)
            replicas[proof] = (
                Replica(7, comm_r, str(files.cache), str(files.sealed)),
                Replica(7, comm_r, str(root / "cache"), str(root / "sealed")),
            )
    return replicas


def window(proof: int, *replicas: Replica) -> WindowPostTask:
    return WindowPostTask(1000, proof, replicas, bytes(range(32)))


@pytest.mark.parametrize("proof", SIZES)
def test_a_windows_proof_is_that_of_the_whole_files(
    made: dict[int, tuple[Replica, Replica]], proof: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, far = made[proof]
    fetched: list[int] = []
    real = bucket_path.BucketPath.read_range

    def counted(path: Any, first: int, count: int) -> tuple[bytes, int]:
        fetched.append(count)
        return real(path, first, count)

    monkeypatch.setattr(bucket_path.BucketPath, "read_range", counted)
    wanted = window_post.window_post_prove(window(proof, here))
    with task_near(window(proof, far), Stores(tmp_path)) as (task, _):
        assert isinstance(task, WindowPostTask)
        assert BUCKET in task.replicas[0].sealed_file, "a message names the bucket"
        assert window_post.window_post_prove(task) == wanted

    assert wanted[1] == ()
    assert sum(fetched) < max(4096, SIZES[proof] // 8), "only what is opened comes here"
    assert not list((tmp_path / near.NEAR).iterdir())


@pytest.mark.parametrize("proof", SIZES)
def test_a_win_is_proven_out_of_a_bucket(
    made: dict[int, tuple[Replica, Replica]], proof: int, tmp_path: Path
) -> None:
    here, far = made[proof]

    def task_of(replica: Replica) -> WinningPostTask:
        return WinningPostTask(1000, WINNING[proof], (replica,), bytes(range(32)))

    with task_near(task_of(far), Stores(tmp_path)) as (task, _):
        assert isinstance(task, WinningPostTask)
        assert winning_post.run(task) == winning_post.run(task_of(here))


def test_files_that_are_missing_short_or_changed_are_faults(
    made: dict[int, tuple[Replica, Replica]], server: S3Server, tmp_path: Path
) -> None:
    far = made[5][1]
    key = far.sealed_file.partition(f"{BUCKET}/")[2]
    content = store_path(far.sealed_file).read_bytes()

    def faults() -> tuple[int, ...]:
        with task_near(window(5, far), Stores(tmp_path)) as (task, _):
            assert isinstance(task, WindowPostTask)
            return window_post.window_post_prove(task)[1]

    try:
        assert faults() == ()
        for bad in (content[:-1], content[:100], bytes(2048)):
            server.client().put_object(Bucket=BUCKET, Key=key, Body=bad)
            assert faults() == (7,)
        server.client().delete_object(Bucket=BUCKET, Key=key)
        assert faults() == (7,)
    finally:
        server.client().put_object(Bucket=BUCKET, Key=key, Body=content)


def test_a_bucket_that_is_away_makes_no_sector_faulty(
    made: dict[int, tuple[Replica, Replica]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    here, far = made[5]
    task = SectorCheckTask(5, (far,), bytes(32))

    with pytest.raises(BucketAway, match="the secret is wrong"), task_near(task, Stores(tmp_path)):
        pass

    assert not list((tmp_path / near.NEAR).glob("*")), "nothing is left"
    near_clear(tmp_path)
    with task_near(window(5, here), Stores(tmp_path)) as (same, _):
        assert same.replicas == (here,)


@pytest.fixture
def two(
    made: dict[int, tuple[Replica, Replica]], server: S3Server, tmp_path: Path
) -> tuple[Stores, tuple[Replica, Replica]]:
    """A store in the bucket, and two sectors in it."""
    far = made[5][1]
    url = far.sealed_file.rpartition("/")[0]
    root = store_path(url)
    for file in (root / "sealed", *(root / "cache").iterdir()):
        (root / "other" / file.relative_to(root)).write_bytes(file.read_bytes())
    stores = Stores(tmp_path, (store_path(url),), buckets={url: BucketSettings(server.endpoint, "us-east-1")})
    stores.open()
    other = Replica(8, far.comm_r, f"{url}/other/cache", f"{url}/other/sealed")
    return stores, (far, other)


@pytest.mark.parametrize("name", ["sealed", "cache/p_aux"])
@pytest.mark.parametrize(("refusals", "faults"), [(5, ()), (6, (8,))])
def test_an_object_that_cannot_be_read_costs_no_other_sector_its_proof(
    two: tuple[Stores, tuple[Replica, Replica]],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    refusals: int,
    faults: tuple[int, ...],
) -> None:
    stores, replicas = two
    real, refused = bucket_path.BucketPath.read_range, list[str]()

    def read_range(path: Any, first: int, count: int) -> tuple[bytes, int]:
        if path.key.endswith(f"other/{name}") and len(refused) < refusals:
            refused.append(path.key)
            raise BucketAway(f"{path}: the server answers 503")
        return real(path, first, count)

    monkeypatch.setattr(bucket_path.BucketPath, "read_range", read_range)
    slept = list[float]()
    monkeypatch.setattr(near, "time", SimpleNamespace(sleep=slept.append, monotonic=time.monotonic))
    with task_near(window(5, *replicas), stores) as (task, unread):
        assert isinstance(task, WindowPostTask)
        assert window_post.window_post_prove(task)[1] == faults

    assert tuple(slept) == near.PAUSES_S

    assert set(unread) == set(faults)
    assert all("the server answers 503" in reason for reason in unread.values())


@pytest.mark.parametrize(
    ("error", "given", "is_load"),
    [
        (BucketAway("the server answers SlowDown"), 1, True),  # of what it refused before it gives some
        (BucketAway("the server answers SlowDown"), 0, False),  # as one that has lost objects answers, too
        (PermissionError("archived"), 0, False),  # the server says it of each object
    ],
)
def test_a_server_that_refuses_for_its_load_makes_no_sector_faulty(
    two: tuple[Stores, tuple[Replica, Replica]],
    monkeypatch: pytest.MonkeyPatch,
    error: OSError,
    given: int,
    is_load: bool,
) -> None:
    stores, (far, _) = two
    real, slept = bucket_path.BucketPath.read_range, list[float]()
    many = _others(far, 4 + near.BROKEN_MAX)

    def read_range(path: Any, first: int, count: int) -> tuple[bytes, int]:
        if "/lost" in str(path) and int(path.parts[-2].removeprefix("lost")) >= 8 + given * (len(slept) - 1):
            raise error
        return real(path, first, count)

    monkeypatch.setattr(bucket_path.BucketPath, "read_range", read_range)
    monkeypatch.setattr(near, "time", SimpleNamespace(sleep=slept.append, monotonic=time.monotonic))
    task = msgspec.structs.replace(window(5, far, *many), seconds_left=20)
    if is_load:
        with pytest.raises(BucketAway, match="SlowDown"), task_near(task, stores):
            pass
    else:
        with task_near(task, stores) as (near_task, unread):
            assert isinstance(near_task, WindowPostTask)
            assert set(unread) == {one.sector_id for one in many}
            assert window_post.window_post_prove(near_task)[1] == tuple(sorted(unread))
    assert 2 <= len(slept) < len(near.PAUSES_S), "not longer than a share of the window"


def _others(far: Replica, count: int) -> list[Replica]:
    """Return sectors from number 8 whose sealed files a test's server does not give."""
    url = far.sealed_file.rpartition("/")[0]
    return [
        Replica(number, far.comm_r, far.cache_dir, f"{url}/lost{number}/sealed")
        for number in range(8, 8 + count)
    ]


@pytest.mark.parametrize("kind", ["window", "win"])
def test_a_server_that_does_not_answer_is_not_waited_for_part_by_part(
    two: tuple[Stores, tuple[Replica, Replica]], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    stores, (far, _) = two
    url = far.sealed_file.rpartition("/")[0]
    lost = [
        Replica(number, far.comm_r, f"{url}/lost{number}/cache", f"{url}/lost{number}/sealed")
        for number in range(8, 18)
    ]
    real, now, requests = bucket_path.BucketPath.read_range, [0.0], list[str]()

    def read_range(path: Any, first: int, count: int) -> tuple[bytes, int]:
        if "/lost" not in str(path):
            return real(path, first, count)
        requests.append(str(path))
        now[0] += 30
        raise BucketAway("the server does not answer")

    monkeypatch.setattr(near, "AT_ONCE", 1)
    monkeypatch.setattr(bucket_path.BucketPath, "read_range", read_range)
    monkeypatch.setattr(near, "time", SimpleNamespace(sleep=lambda _: None, monotonic=lambda: now[0]))
    task: Any = (
        window(5, far, *lost)
        if kind == "window"
        else WinningPostTask(1000, WINNING[5], tuple(lost[:1]), bytes(range(32)))
    )
    with task_near(task, stores) as (_, unread):
        assert set(unread) == {one.sector_id for one in task.replicas if one != far}

    if kind == "win":
        assert len(requests) == 1
    else:  # beyond the limit's, one for each sector and try
        assert len(requests) <= near.TRY_S / 30 + 2 * len(lost)


def test_a_store_that_goes_away_makes_no_sector_faulty(
    two: tuple[Stores, tuple[Replica, Replica]], monkeypatch: pytest.MonkeyPatch
) -> None:
    stores, replicas = two

    def read_range(path: Any, _first: int, _count: int) -> tuple[bytes, int]:
        raise BucketAway(f"{path}: the server does not answer")

    monkeypatch.setattr(bucket_path.BucketPath, "read_range", read_range)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")

    with pytest.raises(BucketAway, match="does not answer"), task_near(window(5, *replicas), stores):
        pass


def test_parts_that_lie_near_are_one_request() -> None:
    gap = near.GAP_BYTES

    assert joined_parts({(0, 32), (32, 32), (100, 28)}) == [(0, 128)]
    assert joined_parts({(0, 64), (16, 8), (65 + gap, 5)}) == [(0, 64), (65 + gap, 5)]
