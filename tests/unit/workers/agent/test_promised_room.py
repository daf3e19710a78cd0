"""Hosts that share a store, a folder's or a bucket's, never promise the same room to two sectors."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from poolsite.wire.job_reports import Level, StageOutputs
from tests.s3_server import BUCKET, S3Server, started
from tests.unit.workers.agent.storing import GIVEN, Host
from workers.agent import storing
from workers.agent.journal import Failure, Work
from workers.storage import bucket_client, promises
from workers.storage.attachment import Attachment
from workers.storage.bucket_files import store_path
from workers.storage.bucket_settings import SCHEME, BucketSettings
from workers.storage.promises import PROMISED, Promises, Room, RoomPromised, promise_of
from workers.storage.store import MARK, Store, stored_files
from workers.storage.store_mark import mark_change

HERE = promise_of("job", 0).host
KILLED = """
import sys, time
from pathlib import Path
from workers.storage.bucket_settings import BucketSettings
from workers.storage.stores import Stores
folder, root, endpoint, size = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
stores = Stores(folder)
one = stores.attach(root, init=False, settings=BucketSettings(endpoint, "us-east-1") if endpoint else None)
with stores.reserved("job-of-the-killed", one, size):
    print("promised", flush=True)
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A server for all tests here."""
    with started(tmp_path_factory.mktemp("s3") / "log") as one:
        yield one


class Farm:
    """Hosts that each sealed a sector, and share one store that has room for one of them."""

    def __init__(self, folder: Path, root: str, settings: BucketSettings | None) -> None:
        self.folder, self.path, self.settings = folder, root, settings
        self.root = store_path(root, settings)
        self.size = 0

    def host(self, name: str) -> Host:
        """One more host."""
        if not self.path.startswith(SCHEME):
            self.root.mkdir(exist_ok=True)
        made = Host(self.folder / name, self.folder / name / "none")
        made.stores.detach(made.stores.attached()[0].uid)
        made.stores.attach(self.path, init=True, settings=self.settings)
        kept = [made.files.sealed, *stored_files(made.files)]
        self.size = sum(file.stat().st_size for file in kept if file.exists())
        mark_change(self.root / MARK, {"MaxStorage": self.size * 3 // 2})
        return made

    def attached(self, host: Host) -> Attachment:
        """The store as a host has it."""
        [one] = host.stores.attached()
        return one

    def promised(self) -> list[str]:
        """Names of the promises in the store."""
        return sorted(path.name for path in (self.root / PROMISED).iterdir())


def persist(host: Host, *, job: str = "other", token: int = 1) -> StageOutputs | Failure:
    """Store a host's sector under a job of its own."""
    work = Work(token=token, inputs=replace(GIVEN, stage="PERSIST"))
    host.runner.journal.work_write(job, work)
    host.runner.run(job)
    outputs = host.runner.journal.outputs_read(job, work.id)
    found = outputs or host.runner.journal.failure_read(job, work.id, token=token)
    assert found is not None
    return found


@pytest.fixture(params=["folder", "bucket"])
def farm(
    request: pytest.FixtureRequest, tmp_path: Path, server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> Farm:
    """The farm, with a store of each kind."""
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(bucket_client, "READ_S", 300.0)
    monkeypatch.setattr(storing, "PROMISED_CHECK_S", 0.1)
    if request.param == "folder":
        return Farm(tmp_path, str(tmp_path / "shared"), None)
    url = f"{SCHEME}{BUCKET}/{tmp_path.name}"
    return Farm(tmp_path, url, BucketSettings(server.endpoint, "us-east-1"))


def test_what_one_host_copies_is_no_room_for_another(farm: Farm, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = farm.host("first"), farm.host("second")
    copies, goes_on, plain = threading.Event(), threading.Event(), storing.stored_in_time

    def slow(one: Attachment, files: object, **kept: object) -> None:
        copies.set()
        assert goes_on.wait(20)
        plain(one, files, **kept)  # type: ignore[arg-type]  # as they come

    monkeypatch.setattr(storing, "stored_in_time", slow)
    monkeypatch.setattr(storing, "PROMISED_WAIT_S", 0.3)
    done: list[StageOutputs | Failure] = []
    thread = threading.Thread(target=lambda: done.append(persist(first, job="job")))
    thread.start()
    assert copies.wait(20)

    failed = persist(second)

    assert isinstance(failed, Failure)
    assert failed.level is Level.TEMPORARY
    assert failed.error.startswith(f"{farm.path}: ")
    assert failed.error.endswith(f" promised to sectors on their way from {HERE}")
    assert "of disk needed" in failed.error
    found = second.stores.reserved_bytes(farm.attached(second))
    assert found == farm.size, "each host tells the console of all that is on its way"
    goes_on.set()
    thread.join()
    assert isinstance(done[0], StageOutputs), done[0]
    assert farm.promised() == []
    full = persist(second, token=2)
    assert isinstance(full, Failure)
    assert "promised" not in full.error, "the bytes are there"
    assert "of disk needed" in full.error


def test_of_hosts_that_ask_at_once_one_gets_the_last_room(farm: Farm) -> None:
    hosts = [farm.host(f"h{at}") for at in range(4)]
    begin, results = threading.Barrier(len(hosts)), dict[int, bool]()

    def ask(at: int) -> None:
        one = farm.attached(hosts[at])
        begin.wait()
        try:
            hosts[at].stores.reserve(f"job-{at}", one, farm.size)
            results[at] = True
        except RoomPromised:
            results[at] = False

    threads = [threading.Thread(target=ask, args=(at,)) for at in range(len(hosts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(results.values()) == [False, False, False, True], results
    [winner] = [at for at, is_his in results.items() if is_his]
    assert [name.partition("~")[0] for name in farm.promised()] == [f"job-{winner}"] * 2
    hosts[winner].stores.release(f"job-{winner}")
    assert farm.promised() == []


def test_the_promise_of_a_killed_host_ends(farm: Farm, monkeypatch: pytest.MonkeyPatch) -> None:
    host = farm.host("first")
    endpoint = farm.settings.endpoint if farm.settings else ""
    argv = [str(farm.folder / "killed"), farm.path, endpoint, str(farm.size)]
    with subprocess.Popen([sys.executable, "-c", KILLED, *argv], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"promised\n"
        os.kill(other.pid, signal.SIGKILL)
    assert len(farm.promised()) == 2, "nobody removed it"
    monkeypatch.setattr(storing, "PROMISED_WAIT_S", 0.0)
    failed = persist(host)
    assert isinstance(failed, Failure)
    assert "promised to sectors on their way" in failed.error
    monkeypatch.setattr(promises, "LEASE_S", 2.0)
    monkeypatch.setattr(storing, "PROMISED_WAIT_S", 60.0)

    done = persist(host, token=2)

    assert isinstance(done, StageOutputs), done
    assert done.store_uid == farm.attached(host).uid
    assert farm.promised() == [], "the killed host's is removed with the next one's"


def test_a_promise_is_renewed_while_its_sector_is_copied(farm: Farm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(promises, "RENEW_S", 0.2)
    monkeypatch.setattr(promises, "LEASE_S", 3.0)
    first, second = farm.host("first"), farm.host("second")
    one = farm.attached(second)
    with first.stores.reserved("job-1", farm.attached(first), 100):
        end = time.monotonic() + 5
        while time.monotonic() < end:
            assert second.stores.reserved_bytes(one) == 100
            time.sleep(0.2)
    assert second.stores.reserved_bytes(one) == 0
    assert farm.promised() == []


def test_a_job_that_begins_again_is_promised_once(farm: Farm) -> None:
    host = farm.host("first")
    one = farm.attached(host)
    host.stores.reserve("job-1", one, farm.size)
    host.stores.reserve("job-1", one, farm.size - 1)

    assert host.stores.reserved_bytes(one) == farm.size - 1
    assert host.stores.reserved_bytes(one, without="job-1") == 0
    assert Store(farm.root).name(), "its mark is left as it was"


@pytest.mark.parametrize("ends", ["holds", "steps back", "is killed"])
def test_a_later_name_that_asks_is_waited_for(
    tmp_path: Path, ends: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(promises, "DECIDE_S", 1.0)
    folder = tmp_path / PROMISED
    folder.mkdir()
    (folder / "z~8~other").touch()
    looks = list[int]()

    def room() -> Room:
        looks.append(1)
        if len(looks) == 2 and ends == "holds":
            (folder / "z~8~other~held").touch()
        if len(looks) == 2 and ends == "steps back":
            (folder / "z~8~other").unlink()
        return Room(10)

    if ends == "steps back":
        Promises().make(tmp_path, promise_of("a", 8), room=room)
        assert len(looks) > 2
        assert sorted(os.listdir(folder)) == [f"a~8~{HERE}", f"a~8~{HERE}~held"]
    else:
        with pytest.raises(RoomPromised, match=r"8 bytes of disk needed, 2 bytes free besides 8 bytes"):
            Promises().make(tmp_path, promise_of("a", 8), room=room)
        assert not [name for name in os.listdir(folder) if name.startswith("a~")]


def test_an_earlier_name_that_asks_goes_first(tmp_path: Path) -> None:
    (tmp_path / PROMISED).mkdir()
    (tmp_path / PROMISED / "a~8~other").touch()
    begun = time.monotonic()

    with pytest.raises(RoomPromised, match=r"from other$"):
        Promises().make(tmp_path, promise_of("b", 8), room=lambda: Room(10))

    assert time.monotonic() - begun < promises.DECIDE_S / 2
    Promises().make(tmp_path, promise_of("b", 2), room=lambda: Room(10))


@pytest.mark.parametrize("limit", [None, 10])
def test_what_another_store_on_the_disk_promised_is_no_room(tmp_path: Path, limit: int | None) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    for root in (here, there):
        root.mkdir()
    Promises().make(there, promise_of("a", 8), room=lambda: Room(18))

    with pytest.raises(RoomPromised, match=r"11 bytes of disk needed, 10 bytes free besides 8 bytes"):
        Promises().make(here, promise_of("b", 11), room=lambda: Room(18), beside=[there])
    Promises().make(here, promise_of("b", 10), room=lambda: Room(18, limit), beside=[there])


def test_of_stores_on_one_disk_that_ask_at_once_one_gets_the_last_room(tmp_path: Path) -> None:
    roots = [tmp_path / name for name in "abcd"]
    for root in roots:
        root.mkdir()
    begin, results = threading.Barrier(len(roots)), list[bool]()

    def ask(root: Path) -> None:
        beside = [other for other in roots if other != root]
        begin.wait()
        try:
            Promises().make(root, promise_of(f"job-{root.name}", 8), room=lambda: Room(12), beside=beside)
            results.append(True)
        except RoomPromised:
            results.append(False)

    threads = [threading.Thread(target=ask, args=(root,)) for root in roots]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(results) == [False, False, False, True]
