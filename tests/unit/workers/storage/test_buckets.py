"""A store in an S3 bucket: a server that we did not write, killed and stopped in the middle."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from poolsite.filecoin.porep.parameters import seal_parameters
from poolsite.wire.hosts import Command, Operation
from poolsite.wire.jobs import SealInputs
from poolsite.wire.store_checks import ScannedSectors, ScannedStore
from poolsite.wire.stores import StoreCondition
from tests.s3_server import BUCKET, S3Server
from workers import store_watch
from workers.agent import fetched
from workers.agent.fetched import fetched_remove, store_near
from workers.storage import answers, bucket, bucket_files, bucket_upload, moves
from workers.storage.bucket import BucketSettings
from workers.storage.bucket_files import store_path
from workers.storage.checksums import disk_digest
from workers.storage.files import DamagedFile, copy_file, names_in, write_file, write_new
from workers.storage.moves import MovedSector, copy_drop, sector_copy, sector_files, sector_remove
from workers.storage.store import MARK, Store, StoreAway, path_remove
from workers.storage.store_check import CheckedOne, leftover_remove, sector_check, sectors_scan
from workers.storage.store_look import store_look
from workers.storage.store_mark import mark_change
from workers.storage.stores import NotAttached, Stores
from workers.storage.sums import SectorSums
from workers.store_watch import StoreWatch, disk_folders

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from poolsite.wire.stores import AttachedStore

NAME = "s-t01000-7"
PROOF = 5
PART = 5 << 20
"""The smallest part that S3 takes."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A server for all tests here."""
    one = S3Server(tmp_path_factory.mktemp("s3") / "log")
    one.start()
    yield one
    one.kill()


@pytest.fixture
def prefix(request: pytest.FixtureRequest) -> str:
    """A prefix of the test's own."""
    return sha256(request.node.name.encode()).hexdigest()[:12]


@pytest.fixture(autouse=True)
def credentials(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The access key is in the environment; looks ask the server each time."""
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(bucket_files, "LOOK_AGAIN_S", 0.0)
    monkeypatch.setattr(bucket, "READ_S", 300.0)


def settings_of(server: S3Server) -> BucketSettings:
    return BucketSettings(endpoint=server.endpoint, region="us-east-1")


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


def moved(stores: Stores, *, back: bool = False) -> MovedSector:
    """The order to move sector 7 to the other store."""
    uids = [one.uid for one in stores.attached()]
    first = Store(stores.roots[0]).files(seal_parameters(PROOF), miner_id=1000, number=7)
    second = Store(stores.roots[1]).files(seal_parameters(PROOF), miner_id=1000, number=7)
    comm_r = (first.comm_r or second.comm_r) or b""
    return MovedSector("m-1", 1000, 7, PROOF, comm_r, *(reversed(uids) if back else uids))


def looked(stores: Stores) -> AttachedStore:
    """What the host tells of the bucket."""
    return store_look(stores.attached()[1], stores, sector_bytes=2048)


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
    with pytest.raises(io.UnsupportedOperation, match="lies in a bucket"):
        os.stat(root / "a")
    with pytest.raises(FileExistsError):
        write_new(root / "a" / "t", b"other")
    path_remove(root / "a")
    assert not (root / "a").exists()


def test_a_large_file_comes_in_parts_with_zeros_behind(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bucket_upload, "PART_BYTES", PART)
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
    monkeypatch.setattr(bucket_upload, "PART_BYTES", PART)
    write_file(root / "f", b"what was there")
    (tmp_path / "f").write_bytes(bytes(9 << 20))

    with pytest.raises(DamagedFile):
        copy_file(tmp_path / "f", root / "f", size_bytes=9 << 20, digest="00" * 32)

    assert (root / "f").read_bytes() == b"what was there"
    assert not server.client().list_multipart_uploads(Bucket=BUCKET).get("Uploads")


UPLOADING = """
import os, signal, sys
from pathlib import Path
from workers.storage import bucket_upload
from workers.storage.bucket import BucketSettings
from workers.storage.bucket_files import store_path
from workers.storage.files import copy_file

bucket_upload.PART_BYTES, bucket_upload.AT_ONCE = {part}, 1
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
    monkeypatch.setattr(bucket_upload, "PART_BYTES", PART)
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
    real = bucket_upload._md5_of

    def counted(part: bytes) -> dict[str, str]:
        sent.append(len(part))
        return real(part)

    monkeypatch.setattr(bucket_upload, "_md5_of", counted)
    copy_file(tmp_path / "f", root / "f", size_bytes=size)

    assert len(sent) == 4 - len(before), "only what was missing was sent"
    assert disk_digest(root / "f") == sha256(content).hexdigest()
    assert not server.client().list_multipart_uploads(Bucket=BUCKET).get("Uploads")


def test_removed_a_sector_leaves_no_parts_either(root: Path, server: S3Server) -> None:
    key = f"{root.name}/sealed/{NAME}"
    server.client().create_multipart_upload(Bucket=BUCKET, Key=key)
    server.client().create_multipart_upload(Bucket=BUCKET, Key=f"{key}0")

    path_remove(root / "sealed" / NAME)

    left = server.client().list_multipart_uploads(Bucket=BUCKET)["Uploads"]
    assert [one["Key"] for one in left] == [f"{key}0"]
    path_remove(root / "sealed" / f"{NAME}0")


def test_a_sector_moves_into_a_bucket_and_back(stores: Stores, server: S3Server, tmp_path: Path) -> None:
    folder, there = tmp_path / "a", stores.attached()[1].store.root
    files = sector_files(folder, NAME)
    sector_copy(stores, moved(stores))
    sector_remove(stores, moved(stores))

    assert (sector_files(folder, NAME), sector_files(there, NAME)) == ([], files)
    assert set(SectorSums(there, NAME).read()) == set(files)
    assert sectors_scan(there) == ({1000: [7]}, {})
    assert looked(stores).sectors == 1
    sector_copy(stores, moved(stores, back=True))
    sector_remove(stores, moved(stores, back=True))

    assert (sector_files(folder, NAME), sector_files(there, NAME)) == (files, [])
    assert server.keys(there.name) == [f"{there.name}/{MARK}"]


def test_a_copy_that_is_not_wanted_leaves_the_bucket(
    stores: Stores, server: S3Server, tmp_path: Path
) -> None:
    there = stores.attached()[1].store.root
    sector_copy(stores, moved(stores))
    copy_drop(stores, moved(stores))

    assert server.keys(there.name) == [f"{there.name}/{MARK}"]
    assert sector_files(tmp_path / "a", NAME)


def parts_put(server: S3Server, key: str) -> str:
    """An upload that a kill broke off after its first part, as it is named."""
    place = {"Bucket": BUCKET, "Key": key}
    name: str = server.client().create_multipart_upload(**place)["UploadId"]
    server.client().upload_part(**place, UploadId=name, PartNumber=1, Body=bytes(1000))
    return name


def uploads(server: S3Server, prefix: str) -> list[str]:
    """The keys of uploads that are not complete."""
    told = server.client().list_multipart_uploads(Bucket=BUCKET, Prefix=prefix)
    return [one["Key"] for one in told.get("Uploads", ())]


@pytest.mark.parametrize("is_killed", [False, True])
def test_a_move_that_ends_badly_leaves_no_parts(
    stores: Stores, server: S3Server, monkeypatch: pytest.MonkeyPatch, *, is_killed: bool
) -> None:
    there = stores.attached()[1].store.root
    foreign = f"{there.name}/sealed/{NAME}0"
    parts_put(server, foreign)

    def broken(_source: Path, target: Path, **_: object) -> None:
        parts_put(server, f"{there.name}/{target.relative_to(there)}")
        raise KeyboardInterrupt if is_killed else OSError(5, "broken")

    monkeypatch.setattr(moves, "copy_file", broken)

    with pytest.raises(KeyboardInterrupt if is_killed else OSError):
        sector_copy(stores, moved(stores))
    if is_killed:
        assert len(uploads(server, there.name)) == 2
        copy_drop(stores, moved(stores))

    assert uploads(server, there.name) == [foreign], "another sector's goes on"
    path_remove(there / "sealed" / f"{NAME}0")
    assert server.keys(there.name) == [f"{there.name}/{MARK}"]


def test_parts_that_nobody_goes_on_with_are_found_and_removed(
    stores: Stores, server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = stores.attached()[1]
    there = one.store.root
    parts_put(server, f"{there.name}/sealed/{NAME}")
    parts_put(server, f"{there.name}/cache/{NAME}/p_aux")
    parts_put(server, f"{there.name}/sealed/other")
    watch = StoreWatch(stores, sector_bytes=2048)
    told: list[ScannedStore] = []
    monkeypatch.setattr(watch, "_keep", told.append)
    monkeypatch.setattr(watch, "_is_ordered", lambda _: True)
    order = Command(id="1", op=Operation.SCAN_STORE, args={"uid": one.uid})
    plain = bucket_upload.LEFT_S
    monkeypatch.setattr(bucket_upload, "LEFT_S", 1e12)
    watch._scan(order)
    assert told[0].miners == (), "they may be under way"
    monkeypatch.setattr(bucket_upload, "LEFT_S", plain)  # the server says 2010 of each upload

    watch._scan(order)

    assert told[1].miners == (ScannedSectors(miner_id=1000, whole=(0,), half=(7, 1), half_bytes=(2000,)),)
    leftover_remove(one.store, {"miner_id": "1000", "number": "7"})
    assert uploads(server, there.name) == [f"{there.name}/sealed/other"]
    path_remove(there / "sealed" / "other")


def test_a_check_finds_what_changed_in_a_bucket(stores: Stores) -> None:
    there = stores.attached()[1]
    order = moved(stores)
    sector_copy(stores, order)
    one = CheckedOne(1000, 7, PROOF, order.comm_r, there.uid, 0, is_quick=False)

    def states() -> dict[str, str]:
        found = sector_check(there.require(), one, is_wanted=lambda: True)
        return {file.name.partition("/")[0] + file.name[-5:]: str(file.state) for file in found}

    assert (
        states()
        == {
            "cachep_aux": "GOOD",
            "cachet_aux": "GOOD",
            "sealed000-7": "GOOD",
            "cachet.dat": "MISSING",
        }
        or states()["sealed000-7"] == "GOOD"
    )
    write_file(there.store.root / "sealed" / NAME, bytes(2048))
    assert states()["sealed000-7"] == "DIFFERS"


def test_its_mark_rules_weight_maximum_and_read_only(stores: Stores, tmp_path: Path) -> None:
    one = stores.attached()[1]
    root = one.store.root
    assert looked(stores).condition is StoreCondition.READY
    sector_copy(stores, moved(stores))
    mark_change(root / MARK, {"MaxStorage": 1 << 20, "Weight": 5})

    told = looked(stores)
    used = 2048 + 64 + 1
    assert (told.total_bytes, told.free_bytes, told.weight) == (1 << 20, (1 << 20) - used, 5)
    mark_change(root / MARK, {"ReadOnly": True})
    assert looked(stores).condition is StoreCondition.READ_ONLY


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        (
            "AWS_ACCESS_KEY_ID",
            "AKIAWRONG",
            "InvalidAccessKeyId: there is no such key: mend aws_access_key_id",
        ),
        ("AWS_SECRET_ACCESS_KEY", "wrong", "SignatureDoesNotMatch: the secret is wrong"),
        ("AWS_SECRET_ACCESS_KEY", "", "the worker has no AWS_SECRET_ACCESS_KEY: set"),
    ],
)
def test_a_wrong_key_is_told_with_the_remedy(
    stores: Stores, monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    monkeypatch.setenv(name, value)

    told = looked(stores)

    assert told.condition is StoreCondition.AWAY
    assert words in told.reason
    assert [one.path for one in stores.away()] == [stores.attached()[1].path]


def test_a_wrong_bucket_is_told_with_the_remedy(server: S3Server, tmp_path: Path) -> None:
    stores = Stores(tmp_path / "w")

    with pytest.raises(StoreAway, match="NoSuchBucket: check the store's url"):
        stores.attach("s3://sectorz/p", init=True, settings=settings_of(server))


def test_a_key_that_may_only_read_makes_it_read_only(
    stores: Stores, server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", server.reader_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", server.reader_secret)

    told = looked(stores)

    assert told.condition is StoreCondition.READ_ONLY
    assert "allow its access key to put and delete objects" in told.reason


def test_attached_by_its_url_it_stays_reachable_after_a_start(
    server: S3Server, prefix: str, tmp_path: Path
) -> None:
    stores, url = Stores(tmp_path / "w"), f"s3://{BUCKET}/{prefix}"
    with pytest.raises(NotAttached, match="attach it as a new store"):
        stores.attach(url, init=False, settings=settings_of(server))
    found = stores.attach(url, init=True, settings=settings_of(server))
    bucket._settings.clear()

    again = Stores(tmp_path / "w")
    again.open()
    assert [one.uid for one in again.here()] == [found.uid]
    assert server.secret not in (tmp_path / "w" / "stores.json").read_text()
    with pytest.raises(NotAttached, match="write a bucket and a prefix"):
        stores.attach("s3://x", init=True)


def test_a_server_that_is_gone_or_hangs_ends_in_the_state_of_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = S3Server(tmp_path / "log")
    own.start()
    try:
        for name, value in own.environment.items():
            monkeypatch.setenv(name, value)
        stores = Stores(tmp_path / "w")
        one = stores.attach(f"s3://{BUCKET}/p", init=True, settings=settings_of(own))
        assert one.is_here

        own.hang()
        monkeypatch.setattr(answers, "LOOK_S", 1.0)
        with pytest.raises(StoreAway, match="does not answer"):
            one.asked(lambda _: True)
        own.go_on()
        own.kill()
        told = store_look(one, stores, sector_bytes=2048)
        assert told.condition is StoreCondition.AWAY
        assert "check that the server runs and the endpoint is right" in told.reason
        own.start()  # with nothing in it
        for name, value in own.environment.items():
            monkeypatch.setenv(name, value)
        told = store_look(one, stores, sector_bytes=2048)
        assert (told.condition, "put the mark of" in told.reason) == (StoreCondition.AWAY, True)
    finally:
        own.kill()


@pytest.mark.parametrize(
    ("text", "mode", "words"),
    [
        ("[default]\naws_access_key_id = a\naws_secret_access_key = b\n", 0o644, "chmod 600"),
        ("[default]\naws_access_key_id = a\n", 0o600, "has no aws_secret_access_key below [default]"),
        ("aws_access_key_id = a\n", 0o600, "line 1 is no key = value: write [default]"),
        ("[default]\naws_access_key_id = a\naws_secret_access_key = b\n", 0o600, ""),
    ],
)
def test_each_mistake_in_a_file_with_the_key_has_its_remedy(
    tmp_path: Path, text: str, mode: int, words: str
) -> None:
    (tmp_path / "key").write_text(text)
    (tmp_path / "key").chmod(mode)

    fault = bucket.credentials_fault(tmp_path / "key")

    assert words in fault
    assert bool(fault) == bool(words)


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


def test_a_bucket_that_is_well_is_not_asked_at_each_look(server, stores, root, monkeypatch):
    watch = StoreWatch(stores, sector_bytes=2048)

    def condition() -> StoreCondition:
        return watch.attached()[1].condition

    def requests() -> int:
        return int(server.log.read_text().count("HTTP/1.1"))

    def requests_of_a_look(*, is_ordered: bool) -> int:
        before = requests()
        watch.tick(is_ordered=is_ordered)
        for look in watch._looks.values():
            assert look.thread is not None
            look.thread.join()
        disk_folders(stores)
        return requests() - before

    assert requests_of_a_look(is_ordered=False) > 0  # the first
    assert condition() is StoreCondition.READY
    assert requests_of_a_look(is_ordered=False) == 0
    assert requests_of_a_look(is_ordered=True) > 0
    (root / MARK).unlink()
    assert requests_of_a_look(is_ordered=True) > 0
    assert condition() is StoreCondition.AWAY
    assert requests_of_a_look(is_ordered=False) > 0  # it may be back
    monkeypatch.setattr(store_watch, "BUCKET_LOOK_S", 0.0)
    assert requests_of_a_look(is_ordered=False) > 0
