"""A host's folder of offline deals: the host's own code against the console, and what the console refuses."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import httpx
import pytest
from django.test import Client

from apps.market.models import Deal, DealFile
from apps.miners.models import Miner
from apps.pieces.models import Piece
from apps.users.models import AuditEntry
from tests import factories, people
from tests.mk20 import sized
from tests.page_client import signed_in, text_of
from workers.agent import deal_folder
from workers.agent.deal_folder import DealFolder
from workers.console.client import Console

pytestmark = pytest.mark.django_db

DATA = b"data on a disk" * 100


@pytest.fixture
def miner(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Miner:
    settings.PIECES_DIR = str(tmp_path / "pieces")
    (tmp_path / "pieces").mkdir()
    monkeypatch.setattr(deal_folder, "SETTLED_S", 0.0)
    factories.head(1000)
    return factories.miner(2001)


def offline(of: Miner, data: bytes = DATA, **changes: Any) -> Deal:
    return factories.deal(of, sized(data), **{"source": "offline", **changes})


def host(tmp_path: Path, of: str = "alice") -> tuple[Path, DealFolder]:
    """Return a folder, and the host that watches it."""
    token, worker = people.token(of=of, scopes=["sealer"]), factories.worker(of=of)
    console = Console("http://testserver", token)
    console._client = httpx.Client(
        base_url=console.url, auth=console.auth, transport=httpx.MockTransport(answered)
    )
    folder, own = tmp_path / f"incoming-{of}", tmp_path / f"own-{of}"
    folder.mkdir(exist_ok=True)
    own.mkdir(exist_ok=True)
    config = SimpleNamespace(deal_folder=folder, folder=own)
    leases = SimpleNamespace(worker_id=str(worker.uuid))
    return folder, DealFolder(config, console, leases)  # type: ignore[arg-type]  # they have what it reads


def answered(request: httpx.Request) -> httpx.Response:
    """Answer a host's request by the console, in this thread."""
    said = Client().generic(
        request.method,
        request.url.raw_path.decode(),
        request.read(),
        content_type=request.headers.get("Content-Type", ""),
        headers={"Authorization": request.headers["Authorization"]},
    )
    return httpx.Response(said.status_code, content=said.content)


def reasons() -> dict[str, str]:
    return {row.name: str(row.reason) for row in DealFile.objects.order_by("name")}


def test_a_file_in_the_folder_becomes_the_data_of_its_deal(miner: Miner, tmp_path: Path) -> None:
    deal, of_bob = offline(miner), offline(factories.miner(2002, of="bob"))
    folder, watch = host(tmp_path)
    (folder / "disk-1.car").write_bytes(DATA)
    (folder / "other.car").write_bytes(b"other data")
    (tmp_path / "secret").write_bytes(DATA)
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "pipe").mkdir()
    (folder / ".part").write_bytes(DATA)

    watch.check()
    assert reasons() == {
        "disk-1.car": "its piece CID is being computed",
        "link": "it is a symbolic link, which is not followed",
        "other.car": "its piece CID is being computed",
        "pipe": "it is no file",
    }
    for _ in range(3):
        watch.check()

    deal.refresh_from_db()
    assert deal.piece is not None
    assert deal.piece.state == "READY"
    assert (deal.piece.file_name, deal.piece.payload_size) == ("disk-1.car", len(DATA))
    assert reasons()["disk-1.car"] == "a deal has these data"
    assert reasons()["other.car"] == "no offline deal of this host's tenant waits for these data"
    of_bob.refresh_from_db()
    assert of_bob.state == "ACCEPTED"
    assert AuditEntry.objects.filter(action="deal.import").count() == 1
    assert (folder / "disk-1.car").read_bytes() == DATA, "nothing there is changed"

    people.person()
    row = DealFile.objects.get(name="disk-1.car")
    page = text_of(signed_in().get(f"/hosts/{row.folder.worker.uuid}/"))
    assert f"/deals/{deal.uuid}/" in page
    assert "it is a symbolic link" in page
    said = (
        Client()
        .get(
            f"/api/v1/workers/{row.folder.worker.uuid}/deal-folder",
            headers=people.bearer(people.token("read")),
        )
        .json()
    )
    assert said["folder"] == str(folder)
    assert [one["deal"] for one in said["files"] if one["deal"]] == [str(deal.uuid)]
    stranger = people.bearer(people.token("read", of="bob"))
    path = f"/api/v1/workers/{row.folder.worker.uuid}/deal-folder"
    assert Client().get(path, headers=stranger).status_code == 404


def test_a_growing_file_is_left_alone_and_a_restart_computes_nothing_again(
    miner: Miner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, watch = host(tmp_path)
    monkeypatch.setattr(deal_folder, "SETTLED_S", 60.0)
    (folder / "a").write_bytes(DATA[:100])
    for _ in range(2):
        watch.check()
        with (folder / "a").open("ab") as file:
            file.write(b"more")
    assert reasons() == {"a": "it is still growing"}
    monkeypatch.setattr(deal_folder, "SETTLED_S", 0.0)
    (folder / "a").write_bytes(DATA)
    watch.check()
    [known] = watch._known.values()

    again = host(tmp_path)[1]
    monkeypatch.setattr(again, "_commitment", lambda _file: pytest.fail("computed again"))
    again.check()

    assert DealFile.objects.get(folder__worker__uuid=again.leases.worker_id).piece_cid == known
    os.rename(folder, tmp_path / "away")
    again.check()
    row = DealFile.objects.get(folder__worker__uuid=again.leases.worker_id)
    assert str(row.folder.reason) == "the host cannot read it: No such file or directory"


def test_other_bytes_than_the_deals_change_nothing(miner: Miner, tmp_path: Path) -> None:
    deal = offline(miner)
    worker, bobs = factories.worker(), factories.worker(of="bob")
    tokens = {of: people.bearer(people.token(of=of, scopes=["sealer"])) for of in ("alice", "bob")}

    def put(uuid: Any, of: str, data: bytes, name: Any = deal.uuid) -> int:
        path = f"/api/v1/workers/{uuid}/deal-files/{name}"
        kind = "application/octet-stream"
        return Client().put(path, data, content_type=kind, headers=tokens[of]).status_code

    assert put(worker.uuid, "alice", bytes(len(DATA))) == 400
    assert put(bobs.uuid, "bob", DATA) == 404
    assert put(worker.uuid, "bob", DATA) == 404
    assert put(worker.uuid, "alice", DATA, uuid4()) == 404
    deal.refresh_from_db()
    assert (deal.state, deal.piece) == ("ACCEPTED", None)
    assert not Piece.objects.exists()
    assert put(worker.uuid, "alice", DATA) == 204
    assert put(worker.uuid, "alice", DATA) == 409, "it has its data"
