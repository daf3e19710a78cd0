"""Files of a bucket: paths, large ones in parts, killed and stopped in the middle."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from poolsite.wire.job_inputs import SealInputs
from tests.s3_server import BUCKET, S3Server
from tests.unit.workers.storage.buckets.stored import (
    NAME,
    PART,
    PROOF,
    moved,
)
from workers.agent import fetched
from workers.agent.fetched import fetched_remove, store_near
from workers.storage import bucket_files
from workers.storage.bucket import Bucket
from workers.storage.bucket_path import BucketPath
from workers.storage.bucket_settings import BucketAway
from workers.storage.checksums import disk_digest
from workers.storage.files import DamagedFile, copy_file, names_in, write_file, write_new
from workers.storage.moves import sector_copy, sector_files
from workers.storage.store import path_remove
from workers.storage.stores import Stores


def test_paths_of_a_bucket_answer_as_those_of_a_folder(root: Path, tmp_path: Path) -> None:
    for place in (tmp_path, root):
        (place / "a" / "b").mkdir(parents=True)
        write_file(place / "a" / "b" / "s-1", b"12345")
        write_file(place / "a" / "t", b"")
    told = [
        [
            sorted(names_in(place / "a")),
            sorted(str(one.relative_to(place)) for one in place.rglob("*") if one.is_file()),
            (place / "a").is_dir(),
            (place / "a").is_file(),
            (place / "a" / "t").is_file(),
            (place / "a" / "nothing").exists(),
            (place / "a" / "b" / "s-1").stat().st_size,
            (place / "a" / "b" / "s-1").read_bytes(),
            (place / "a" / "b" / "s-1").read_text(),
            [one.name for one in (place / "a" / "b").glob("s-*")],
            disk_digest(place / "a" / "b" / "s-1"),
        ]
        for place in (tmp_path, root)
    ]

    assert told[0] == told[1]
    assert str(root / "a") == f"{root}/a"
    assert str(root).startswith("s3://sectors/")
    with pytest.raises(FileNotFoundError):
        (root / "a" / "nothing").read_bytes()
    with pytest.raises(io.UnsupportedOperation, match="is in a bucket"):
        os.stat(root / "a")
    with pytest.raises(FileExistsError):
        write_new(root / "a" / "t", b"other")
    path_remove(root / "a")
    assert not (root / "a").exists()


def test_a_large_file_comes_in_parts_with_zeros_behind(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bucket_files, "PART_BYTES", PART)
    content = os.urandom(9 << 20)
    (tmp_path / "f").write_bytes(content)
    heard = []

    copy_file(
        tmp_path / "f",
        root / "f",
        size_bytes=11 << 20,
        digest=sha256(content).hexdigest(),
        beat=lambda: heard.append(1),
    )

    assert (root / "f").read_bytes() == content + bytes(2 << 20)
    assert len(heard) == 3
    with (root / "f").open("rb") as file:
        assert (file.read(7), file.read(PART)) == (content[:7], content[7 : 7 + PART])
    (tmp_path / "back").write_bytes(b"old")
    copy_file(root / "f", tmp_path / "back", size_bytes=11 << 20)
    assert disk_digest(tmp_path / "back") == disk_digest(root / "f")


def test_a_damaged_source_is_not_there_and_leaves_no_parts(
    root: Path, tmp_path: Path, server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bucket_files, "PART_BYTES", PART)
    write_file(root / "f", b"what was there")
    (tmp_path / "f").write_bytes(bytes(9 << 20))

    with pytest.raises(DamagedFile):
        copy_file(tmp_path / "f", root / "f", size_bytes=9 << 20, digest="00" * 32)

    assert (root / "f").read_bytes() == b"what was there"
    assert not server.client().list_multipart_uploads(Bucket=BUCKET).get("Uploads")


@pytest.mark.parametrize("has_older", [True, False])
@pytest.mark.parametrize("is_done", [True, False])
def test_an_upload_whose_end_was_not_answered_counts_by_what_is_there(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_older: bool, is_done: bool
) -> None:
    monkeypatch.setattr(bucket_files, "PART_BYTES", PART)
    target = root / "f"
    assert isinstance(target, BucketPath)
    if has_older:
        write_file(target, bytes(9 << 20))
    (tmp_path / "f").write_bytes(os.urandom(9 << 20))
    with target.bucket.requests(is_completing=True) as client:
        complete = client.complete_multipart_upload

    def asked_twice(**args: Any) -> None:
        if is_done:
            complete(**args)
        raise ClientError({"Error": {"Code": "NoSuchUpload"}}, "CompleteMultipartUpload")

    monkeypatch.setattr(client, "complete_multipart_upload", asked_twice)

    if is_done:
        copy_file(tmp_path / "f", target, size_bytes=9 << 20)
        assert target.read_bytes() == (tmp_path / "f").read_bytes()
    else:
        with pytest.raises(BucketAway, match="no longer has the upload"):
            copy_file(tmp_path / "f", target, size_bytes=9 << 20)
    path_remove(target)  # with its upload


UPLOADING = """
import os, signal, sys
from pathlib import Path
from workers.storage import bucket_files
from workers.storage.bucket_path import BucketPath
from workers.storage.bucket_settings import BucketAway
from workers.storage.bucket_settings import BucketSettings
from workers.storage.bucket_files import store_path
from workers.storage.files import copy_file

bucket_files.PART_BYTES, bucket_files.AT_ONCE = {part}, 1
told = []
def beat():
    told.append(1)
    if len(told) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
target = store_path("{target}", BucketSettings("{endpoint}", "us-east-1"))
copy_file(Path("{source}"), target, size_bytes={size}, beat=beat)
"""


def test_killed_in_the_middle_nothing_is_seen_and_parts_are_kept(
    root: Path, tmp_path: Path, server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bucket_files, "PART_BYTES", PART)
    content, size = os.urandom(4 * PART), 4 * PART
    (tmp_path / "f").write_bytes(content)
    words = UPLOADING.format(
        part=PART, target=root / "f", endpoint=server.endpoint, source=tmp_path / "f", size=size
    )
    done = subprocess.run([sys.executable, "-c", words], check=False, capture_output=True)

    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not (root / "f").exists()
    (upload,) = server.client().list_multipart_uploads(Bucket=BUCKET)["Uploads"]
    before = {
        one["PartNumber"]: one["LastModified"]
        for one in server.client().list_parts(Bucket=BUCKET, Key=upload["Key"], UploadId=upload["UploadId"])[
            "Parts"
        ]
    }
    assert 2 <= len(before) < 4
    sent: list[int] = []
    real = bucket_files._md5_of

    def counted(part: bytes) -> dict[str, str]:
        sent.append(len(part))
        return real(part)

    monkeypatch.setattr(bucket_files, "_md5_of", counted)
    copy_file(tmp_path / "f", root / "f", size_bytes=size)

    assert len(sent) == 4 - len(before), "only what was missing was sent"
    assert disk_digest(root / "f") == sha256(content).hexdigest()
    assert not server.client().list_multipart_uploads(Bucket=BUCKET).get("Uploads")


def test_a_folder_is_removed_where_the_server_wants_sums_of_many(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(**_: Any) -> None:
        raise ClientError({"Error": {"Code": "MissingContentMD5"}}, "DeleteObjects")

    assert isinstance(root, BucketPath)
    with root.bucket.requests() as client:
        monkeypatch.setattr(client, "delete_objects", refused)
    for name in ("p_aux", "t_aux"):
        write_file(root / "cache" / NAME / name, b"x")
    write_file(root / "cache" / f"{NAME}0" / "p_aux", b"x")

    path_remove(root / "cache" / NAME)

    assert [one.parent.name for one in root.rglob("*")] == [f"{NAME}0"]


def test_removed_a_sector_leaves_no_parts_either(root: Path, server: S3Server) -> None:
    key = f"{root.name}/sealed/{NAME}"
    server.client().create_multipart_upload(Bucket=BUCKET, Key=key)
    server.client().create_multipart_upload(Bucket=BUCKET, Key=f"{key}0")

    path_remove(root / "sealed" / NAME)

    left = server.client().list_multipart_uploads(Bucket=BUCKET)["Uploads"]
    assert [one["Key"] for one in left] == [f"{key}0"]
    path_remove(root / "sealed" / f"{NAME}0")


def test_a_sector_is_brought_here_whole_for_stages_that_read_all(
    stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = stores.attached()[1].store
    sector_copy(stores, moved(stores))
    inputs = SealInputs(miner_id=1000, number=7, seal_proof=PROOF, sector_size=2048, stage="UNSEAL", state="")
    (tmp_path / "job").mkdir()

    near = store_near(there, tmp_path / "job", inputs)

    files = sector_files(there.root, NAME)
    assert sector_files(near.root, NAME) == files
    assert all((near.root / one).read_bytes() == (there.root / one).read_bytes() for one in files)
    with monkeypatch.context() as patch:
        patch.setattr(fetched, "copy_file", None)
        store_near(there, tmp_path / "job", inputs)  # what is whole is not fetched again
    fetched_remove(tmp_path / "job")
    assert not near.root.exists()
    write_file(there.root / "sealed" / NAME, bytes(2048))
    with pytest.raises(DamagedFile):
        store_near(there, tmp_path / "job", inputs)


class EvilServer:
    """The client of a server that lists one more object."""

    def __init__(self, client: Any, listed: str) -> None:
        self.client, self.listed = client, listed

    def __getattr__(self, name: str) -> Any:
        return getattr(self.client, name)

    def list_objects_v2(self, **args: Any) -> dict[str, Any]:
        """Add the object to what lies below a prefix."""
        found: dict[str, Any] = self.client.list_objects_v2(**args)
        for one in found.get("Contents", [])[:1]:
            found["Contents"].append(one | {"Key": f"{args['Prefix']}{self.listed}"})
        return found


@pytest.mark.parametrize("listed", ["../../../keys", "a/../../keys", "//keys", "./keys"])
def test_a_listed_key_that_leaves_its_folder_is_no_file(
    root: Path, monkeypatch: pytest.MonkeyPatch, listed: str
) -> None:
    write_file(root / "cache" / NAME / "p_aux", b"12")
    real = Bucket.requests

    @contextmanager
    def requests(bucket: Bucket, key: str = "", **how: bool) -> Iterator[EvilServer]:
        with real(bucket, key, **how) as client:
            yield EvilServer(client, listed)

    monkeypatch.setattr(Bucket, "requests", requests)

    assert sector_files(root, NAME) == [f"cache/{NAME}/p_aux"]
