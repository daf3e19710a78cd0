"""A bucket that is attached: its mark, keys and mistakes, a server that is gone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from poolsite.wire.stores import UNBOUNDED_BYTES, StoreCondition
from tests.integration.pools import wait_until
from tests.s3_server import BUCKET, S3Server
from tests.unit.workers.storage.buckets.stored import (
    looked,
    moved,
    settings_of,
)
from workers import store_watch
from workers.storage import answers, bucket, bucket_files, bucket_settings
from workers.storage.attachment import NotAttached
from workers.storage.bucket_path import BucketPath
from workers.storage.moves import sector_copy
from workers.storage.store import MARK, StoreAway
from workers.storage.store_condition import store_condition_read
from workers.storage.store_mark import mark_change
from workers.storage.stores import Stores
from workers.store_watch import StoreWatch, disk_folders


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


def test_what_lies_in_a_bucket_is_listed_again_long_after_a_long_listing(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bucket_files, "LIST_SHARE", 1_000_000)
    assert looked(stores).free_bytes == UNBOUNDED_BYTES
    sector_copy(stores, moved(stores))
    told = looked(stores)
    assert (told.free_bytes, told.total_bytes) == (UNBOUNDED_BYTES, UNBOUNDED_BYTES)

    monkeypatch.setattr(bucket_files, "LIST_SHARE", 0)
    used = 2048 + 64 + 1
    assert looked(stores).free_bytes == UNBOUNDED_BYTES - used


@pytest.mark.parametrize("total", [UNBOUNDED_BYTES, 1 << 20])
def test_a_look_does_not_wait_for_a_long_listing(
    stores: Stores, monkeypatch: pytest.MonkeyPatch, total: int
) -> None:
    mark_change(stores.attached()[1].store.root / MARK, {"MaxStorage": total % UNBOUNDED_BYTES})
    sector_copy(stores, moved(stores))
    is_answered, listed = threading.Event(), BucketPath.rglob

    def late(path: BucketPath, pattern: str) -> Iterator[BucketPath]:
        is_answered.wait()
        yield from listed(path, pattern)

    monkeypatch.setattr(BucketPath, "rglob", late)
    monkeypatch.setattr(bucket_files, "MEASURE_S", 0.0)
    told = looked(stores)
    assert (told.free_bytes, told.total_bytes, told.condition) == (total, total, StoreCondition.READY)

    is_answered.set()
    used = 2048 + 64 + 1
    wait_until(lambda: looked(stores).free_bytes == total - used, within_s=20, what="the listing's end")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        (
            "AWS_ACCESS_KEY_ID",
            "AKIAWRONG",
            "InvalidAccessKeyId: the access key is unknown: fix aws_access_key_id",
        ),
        ("AWS_SECRET_ACCESS_KEY", "wrong", "SignatureDoesNotMatch: the secret is wrong"),
        ("AWS_SECRET_ACCESS_KEY", "", "AWS_SECRET_ACCESS_KEY is not set: set"),
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

    with pytest.raises(StoreAway, match="NoSuchBucket: check the store's URL"):
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
    with pytest.raises(NotAttached, match="use a bucket and a prefix"):
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
        monkeypatch.setattr(answers, "CHECK_S", 1.0)
        with pytest.raises(StoreAway, match="does not answer"):
            one.read(lambda _: True)
        own.go_on()
        own.kill()
        told = store_condition_read(one, stores, sector_bytes=2048)
        assert told.condition is StoreCondition.AWAY
        assert "check that the server runs and the endpoint is right" in told.reason
        own.start()  # with nothing in it
        for name, value in own.environment.items():
            monkeypatch.setenv(name, value)
        told = store_condition_read(one, stores, sector_bytes=2048)
        assert (told.condition, "restore the sectorstore.json" in told.reason) == (StoreCondition.AWAY, True)
    finally:
        own.kill()


@pytest.mark.parametrize(
    ("text", "mode", "words"),
    [
        ("[default]\naws_access_key_id = a\naws_secret_access_key = b\n", 0o644, "chmod 600"),
        ("[default]\naws_access_key_id = a\n", 0o600, "has no aws_secret_access_key under [default]"),
        ("aws_access_key_id = a\n", 0o600, "line 1 is not key = value: use [default]"),
        ("[default]\naws_access_key_id = a\naws_secret_access_key = b\n", 0o600, ""),
    ],
)
def test_each_mistake_in_a_file_with_the_key_has_its_remedy(
    tmp_path: Path, text: str, mode: int, words: str
) -> None:
    (tmp_path / "key").write_text(text)
    (tmp_path / "key").chmod(mode)

    fault = bucket_settings.credentials_fault(tmp_path / "key")

    assert words in fault
    assert bool(fault) == bool(words)


def test_a_bucket_that_is_well_is_not_asked_at_each_look(server, stores, root, monkeypatch):
    watch = StoreWatch(stores, sector_bytes=2048)

    def condition() -> StoreCondition:
        return watch.attached()[1].condition

    def requests() -> int:
        return int(server.log.read_text().count("HTTP/1.1"))

    def requests_of_a_look(*, is_ordered: bool) -> int:
        before = requests()
        watch.tick(is_ordered=is_ordered)
        for look in watch._checks.values():
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
    monkeypatch.setattr(store_watch, "BUCKET_CHECK_S", 0.0)
    assert requests_of_a_look(is_ordered=False) > 0


def test_the_sectors_of_a_bucket_are_not_listed_at_each_look(server, stores, root):
    (root / "sealed" / "s-t01007-1").write_bytes(b"replica")

    def listings() -> int:
        return int(server.log.read_text().count("list-type=2"))

    assert stores.miners() == {1000, 1007}
    before = listings()
    assert stores.miners() == {1000, 1007}
    assert listings() == before
