"""Pieces over REST: every way that an upload can go, and what is left behind."""

from __future__ import annotations

import contextlib
import io
import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.test import Client

from apps.core import clock
from apps.miners.models import Miner
from apps.pieces.models import Piece
from apps.pieces.services.fetches import pieces_fetch
from apps.pieces.services.retention import (
    FAILED_RETENTION,
    RESUMABLE_RETENTION,
    SINGLE_RETENTION,
    UNCHECKED,
    pieces_tidy,
)
from apps.users.models import AuditEntry
from poolsite.filecoin.cids import commd_cid
from poolsite.filecoin.commd import Piece as PieceSize
from poolsite.filecoin.commd import comm_d_from_pieces
from poolsite.filecoin.fr32 import fr32_pad
from poolsite.filecoin.sha254 import sha254_node, sha254_zero
from tests import factories, people
from tests.naive.pieces import data_commitment

pytestmark = pytest.mark.django_db

SECTOR = 2032
"""Raw bytes of a sector of 2 KiB."""


@pytest.fixture
def folder(settings: Any, tmp_path: Path) -> Path:
    settings.PIECES_DIR = str(tmp_path / "pieces")
    return tmp_path / "pieces"


@pytest.fixture
def miner(folder: Path) -> Miner:
    return factories.miner(2001, of="alice")


def comm_p(data: bytes, padded: int) -> bytes:
    return data_commitment(fr32_pad(data + bytes(padded // 128 * 127 - len(data))))


@pytest.fixture
def http_bytes() -> Iterator[Callable[[bytes], str]]:
    """Serve bytes from a port of this machine; gives the URL."""

    class Handler(BaseHTTPRequestHandler):
        data = b""

        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(self.data)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()

    def serve(data: bytes) -> str:
        Handler.data = data
        return f"http://127.0.0.1:{server.server_port}/file"

    yield serve
    server.shutdown()
    server.server_close()
    thread.join()


def send(
    client: Client, data: bytes, *, by: str = "", path: str = "miners/f02001/pieces", **headers: str
) -> Any:
    return client.generic(
        "PATCH" if "uploads" in path else "POST",
        f"/api/v1/{path}",
        data,
        content_type="application/octet-stream",
        headers={**people.bearer(by or people.token("write")), **headers},
    )


def cid_of(data: bytes, padded: int) -> str:
    return str(commd_cid(comm_p(data, padded)))


def kept(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*"))


def test_one_byte_and_a_whole_sector_are_taken_with_their_commitment(client, miner, folder):
    data = bytes(range(256)) * 8
    small = send(client, b"x", **{"Piece-Cid": cid_of(b"x", 128)})
    whole = send(client, data[:SECTOR])

    assert small.status_code == whole.status_code == 201
    assert small.json()["piece_cid"] == cid_of(b"x", 128)
    assert small.json()["padded_size"] == 128
    assert whole.json()["piece_cid"] == cid_of(data[:SECTOR], 2048)
    assert whole.json()["state"] == "READY"
    reader = people.bearer(people.token("read"))
    shown = client.get(f"/api/v1/pieces/{whole.json()['piece_cid']}", headers=reader).json()
    assert (shown["sector"], shown["offset"]) == (None, None)
    assert (shown["active"], shown["is_stored"]) == (False, True)
    assert len(kept(folder)) == 2
    assert [entry.action for entry in AuditEntry.objects.order_by("-pk")[:2]] == ["piece.add"] * 2


def test_the_same_bytes_again_are_the_same_piece(client, miner, folder):
    first, again = send(client, b"same"), send(client, b"same")

    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["uuid"] == again.json()["uuid"]
    assert len(kept(folder)) == 1


def test_sending_a_piece_again_changes_by_when_it_must_be_active(client, miner, folder):
    terms = "client=f0100&allocation=3"
    send(client, b"moved", path=f"miners/f02001/pieces?{terms}&start_epoch=500")

    def shown(path: str) -> Any:
        answer = send(client, b"moved", path=f"miners/f02001/pieces?{path}")
        return (answer.status_code, answer.json()["start_epoch"])

    assert shown(f"{terms}&start_epoch=900") == (200, 900)
    assert AuditEntry.objects.latest("pk").after == {"miner": "f02001", "active_by": "epoch 900"}
    assert shown(terms) == (200, 900), "nothing said changes nothing"
    assert shown("start_epoch=100") == (200, 900), "without its terms it is said of no allocation's piece"
    Piece.objects.update(state="PACKED", sector_number=7, offset=0)
    assert shown(f"{terms}&start_epoch=800") == (200, 800)


def test_a_larger_place_has_the_commitment_of_zeros_behind_the_bytes(client, miner, folder):
    answer = send(client, b"x", **{"Piece-Size": "512"}).json()

    assert (answer["piece_cid"], answer["padded_size"]) == (cid_of(b"x", 512), 512)


@pytest.mark.parametrize(
    ("data", "headers", "status", "code"),
    [
        (bytes(SECTOR + 1), {}, 413, "piece_too_large"),
        (b"", {}, 400, "piece_empty"),
        (b"x" * 200, {"Piece-Size": "128"}, 413, "piece_too_large"),
        (b"x", {"Piece-Cid": factories.piece_cid(7)}, 400, "piece_mismatch"),
        (b"x", {"Piece-Cid": "bafkqaaa"}, 400, "bad_value"),
        (b"x", {"Piece-Size": "4096"}, 400, "bad_value"),
        (b"x", {"Piece-Size": "100"}, 400, "bad_value"),
        (b"", {"Upload-Length": "9999"}, 413, "piece_too_large"),
    ],
)
def test_what_is_refused_leaves_nothing_behind(client, miner, folder, data, headers, status, code):
    answer = send(client, data, **headers)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert not Piece.objects.exists()
    assert kept(folder) == []


@pytest.mark.parametrize("name", ["1", "x", "bafy", "b" * 200])
def test_what_is_no_commitment_is_no_piece(client, miner, folder, name):
    for path in (f"pieces/{name}", f"pieces/{name}/data"):
        assert client.get(f"/api/v1/{path}", headers=people.bearer(people.token("read"))).status_code == 404


def test_another_tenant_may_neither_send_nor_see(client, miner, folder):
    cid = send(client, b"mine").json()["piece_cid"]
    other = people.token("admin", of="bob")

    assert send(client, b"x", by=other).status_code == 404
    assert send(client, b"x", by=people.token("read")).status_code == 403
    for path in (f"pieces/{cid}", f"pieces/{cid}/data"):
        assert client.get(f"/api/v1/{path}", headers=people.bearer(other)).status_code == 404
    assert client.get("/api/v1/pieces", headers=people.bearer(other)).json()["results"] == []
    assert len(kept(folder)) == 1


def test_an_upload_goes_on_where_it_was_cut(client, miner, folder):
    writer = people.token("write")
    begun = send(client, b"", by=writer, **{"Upload-Length": "10", "Piece-Cid": cid_of(b"0123456789", 128)})
    path = f"pieces/uploads/{begun.json()['uuid']}"

    first = send(client, b"0123", by=writer, path=path, **{"Upload-Offset": "0"})
    wrong = send(client, b"x", by=writer, path=path, **{"Upload-Offset": "3"})
    more = send(client, b"4567890123", by=writer, path=path, **{"Content-Range": "bytes 4-13/10"})
    shown = client.get(f"/api/v1/{path}", headers=people.bearer(writer)).json()
    last = send(client, b"456789", by=writer, path=path, **{"Content-Range": "bytes 4-9/10"})

    assert begun.status_code == 201
    assert (first.json()["state"], first.json()["received"]) == ("UPLOADING", 4)
    assert (wrong.status_code, wrong.json()["code"], wrong.json()["received"]) == (409, "bad_offset", 4)
    assert more.status_code == 413
    assert shown["received"] == 4
    assert (last.json()["state"], last.json()["piece_cid"]) == ("READY", cid_of(b"0123456789", 128))
    assert [e.action for e in AuditEntry.objects.order_by("pk")][-2:] == ["piece.begin", "piece.add"]


def test_a_wrong_commitment_of_a_resumed_upload_leaves_nothing(client, miner, folder):
    begun = send(client, b"", **{"Upload-Length": "1", "Piece-Cid": factories.piece_cid(3)}).json()

    answer = send(client, b"x", path=f"pieces/uploads/{begun['uuid']}", **{"Upload-Offset": "0"})

    assert answer.json()["code"] == "piece_mismatch"
    assert (Piece.objects.count(), kept(folder)) == (0, [])


def test_data_comes_back_whole_and_in_ranges(client, miner, folder):
    data = bytes(range(200))
    path = f"/api/v1/pieces/{send(client, data).json()['piece_cid']}/data"
    reader = people.bearer(people.token("read"))
    sealer = people.bearer(people.token("write", scopes=["sealer"]))

    def part(wanted: str) -> Any:
        return client.get(path, headers={**reader, "Range": wanted})

    assert b"".join(client.get(path, headers=sealer).streaming_content) == data
    for wanted, first, last in (("bytes=5-9", 5, 9), ("bytes=190-", 190, 199), ("bytes=-3", 197, 199)):
        answer = part(wanted)
        assert answer.status_code == 206
        assert answer["Content-Range"] == f"bytes {first}-{last}/200"
        assert b"".join(answer.streaming_content) == data[first : last + 1]
    refused = part("bytes=200-")
    assert (refused.status_code, refused["Content-Range"]) == (416, "bytes */200")
    for whole in ("items=1-2", "bytes=0-1,5-6", "bytes=-", "bytes=9-5"):
        assert (part(whole).status_code, part(whole)["Content-Length"]) == (200, "200"), whole
    assert part("bytes=-0").status_code == 416
    etag = part("bytes=5-9")["ETag"]
    for named, status in ((etag, 206), ('"another"', 200)):
        headers = {**reader, "Range": "bytes=5-9", "If-Range": named}
        assert client.get(path, headers=headers).status_code == status


def test_a_list_is_paged_and_narrowed(client, miner, folder):
    rows = [factories.piece(miner, state="READY" if number else "FAILED") for number in range(3)]
    reader = people.bearer(people.token("read"))

    first = client.get("/api/v1/pieces?limit=2", headers=reader).json()
    rest = client.get(f"/api/v1/pieces?cursor={first['next']}", headers=reader).json()

    assert (len(first["results"]), len(rest["results"]), rest["next"]) == (2, 1, None)
    failed = client.get("/api/v1/pieces?state=FAILED&miner=f02001", headers=reader).json()
    assert [row["state"] for row in failed["results"]] == ["FAILED"]
    named = client.get(f"/api/v1/pieces?piece_cid={rows[1].piece_cid}", headers=reader).json()["results"]
    assert [row["uuid"] for row in named] == [str(rows[1].uuid)]
    assert client.get("/api/v1/pieces?state=NONE", headers=reader).status_code == 400


def test_a_piece_is_removed_unless_it_is_in_a_sector(client, miner, folder):
    writer = people.bearer(people.token("write"))
    cid = send(client, b"gone").json()["piece_cid"]
    packed = factories.piece(miner, state="PACKED", sector_number=1, offset=0)
    waiting = factories.piece(miner, state="UPLOADING")

    assert client.delete(f"/api/v1/pieces/{packed.piece_cid}", headers=writer).status_code == 409
    assert client.delete(f"/api/v1/pieces/{cid}", headers=writer).status_code == 204
    assert client.delete(f"/api/v1/pieces/uploads/{waiting.uuid}", headers=writer).status_code == 204
    assert kept(folder) == []
    assert [e.action for e in AuditEntry.objects.order_by("-pk")[:2]] == ["piece.remove"] * 2


def test_of_several_pieces_with_a_commitment_none_is_removed_by_it(client, miner, folder):
    writer = people.bearer(people.token("write"))
    first, second = (send(client, b"x", path=f"miners/f02001/pieces?deal={deal}").json() for deal in (3, 4))
    path = f"/api/v1/pieces/{first['piece_cid']}"

    refused = client.delete(path, headers=writer)

    assert (refused.status_code, refused.json()["code"]) == (409, "piece_ambiguous")
    assert all(one["uuid"] in refused.json()["message"] for one in (first, second))
    assert client.delete(f"/api/v1/pieces/uploads/{second['uuid']}", headers=writer).status_code == 204
    assert client.delete(path, headers=writer).status_code == 204
    factories.piece(miner, state="FAILED", piece_cid=first["piece_cid"])
    assert client.delete(path, headers=writer).status_code == 204, "what is shown by it is removed by it"


def test_bytes_of_a_sector_that_has_ended_wait_for_another_when_sent_again(client, miner, folder):
    uuid = send(client, b"again").json()["uuid"]
    Piece.objects.filter(uuid=uuid).update(state="ENDED", sector_number=7, offset=0, start_epoch=5)

    back = send(client, b"again")

    assert (back.status_code, back.json()["uuid"], back.json()["state"]) == (200, uuid, "READY")
    assert [back.json()[name] for name in ("sector", "offset", "start_epoch")] == [None, None, None]
    assert kept(folder) == [uuid]
    Piece.objects.filter(uuid=uuid).update(state="ENDED", sector_number=7, client=100, allocation=3)
    other = send(client, b"again").json()
    assert (other["uuid"] != uuid, other["state"]) == (True, "READY"), "its allocation is used up"


def test_a_commitment_names_the_piece_that_lives_before_one_that_has_ended(client, miner, folder):
    ended = factories.piece(miner, state="ENDED", sector_number=7, offset=0)
    lives = factories.piece(
        miner, state="ACTIVE", sector_number=8, offset=0, piece_cid=ended.piece_cid, deal=3
    )

    shown = client.get(f"/api/v1/pieces/{ended.piece_cid}", headers=people.bearer(people.token("read")))

    assert shown.json()["uuid"] == str(lives.uuid)


def test_a_part_of_an_upload_that_was_removed_this_moment_finds_none(client, miner, folder, monkeypatch):
    piece = factories.piece(miner, state="UPLOADING", payload_size=200, received=0)

    @contextlib.contextmanager
    def opened(_piece: Any) -> Iterator[Any]:
        Piece.objects.filter(pk=piece.pk).delete()
        yield io.BytesIO()

    monkeypatch.setattr("apps.pieces.services.uploads.piece_opened", opened)
    headers = {**people.bearer(people.token("write")), "Upload-Offset": "0"}

    answer = client.patch(
        f"/api/v1/pieces/uploads/{piece.uuid}",
        b"x" * 9,
        content_type="application/octet-stream",
        headers=headers,
    )

    assert (answer.status_code, answer.json()["code"]) == (404, "piece_unknown")


def test_a_piece_of_a_sector_that_has_ended_can_be_removed(client, miner, folder):
    cid = send(client, b"over").json()["piece_cid"]
    Piece.objects.update(state="ENDED", sector_number=7, offset=0)

    removed = client.delete(f"/api/v1/pieces/{cid}", headers=people.bearer(people.token("write")))

    assert (removed.status_code, Piece.objects.count(), kept(folder)) == (204, 0, [])


def test_uploads_that_nobody_ends_are_cleared_away(miner, folder):
    folder.mkdir()
    killed = factories.piece(miner, state="UPLOADING")
    resumable = factories.piece(miner, state="UPLOADING", is_resumable=True)
    for row in (killed, resumable):
        (folder / str(row.uuid)).write_bytes(b"x")
    later = clock.now() + SINGLE_RETENTION * 2

    pieces_tidy(now=later)
    assert kept(folder) == [str(resumable.uuid)]
    failed = factories.piece(miner, state="FAILED")
    pieces_tidy(now=clock.now() + RESUMABLE_RETENTION * 3)
    assert (kept(folder), Piece.objects.get()) == ([], failed), "who comes back on Monday is told"
    pieces_tidy(now=clock.now() + FAILED_RETENTION * 2)
    assert not Piece.objects.exists()


def test_a_commitment_that_a_kill_interrupted_is_computed_later(miner, folder):
    folder.mkdir()
    good = factories.piece(miner, state="RECEIVED", padded_size=0, payload_size=1)
    announced = {"padded_size": 0, "payload_size": 1, "announced_cid": factories.piece_cid(5)}
    wrong = factories.piece(miner, state="RECEIVED", **announced)
    for row in (good, wrong):
        (folder / str(row.uuid)).write_bytes(b"x")

    pieces_tidy(now=clock.now() + UNCHECKED * 2)

    good.refresh_from_db()
    assert (good.state, good.piece_cid) == ("READY", cid_of(b"x", 128))
    assert kept(folder) == [str(good.uuid)]


@pytest.mark.parametrize("address", ["64:ff9b::a00:1", "::ffff:10.0.0.1", "2002:a00:1::1", "fec0::1"])
def test_no_form_of_a_private_address_is_fetched_from(client, miner, folder, monkeypatch, address):
    found = [(socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, 80, 0, 0))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_given, **_how: found)
    body = json.dumps({"url": "http://files.example/x", "piece_cid": cid_of(b"x", 128)})

    answer = client.post(
        "/api/v1/miners/f02001/pieces:fetch",
        body,
        content_type="application/json",
        headers=people.bearer(people.token("write")),
    )
    pieces_fetch()

    assert Piece.objects.get(uuid=answer.json()["uuid"]).error == "its host has no public address"


def test_a_piece_is_fetched_from_a_url(client, miner, folder, settings, http_bytes):
    data = b"from elsewhere"
    url = http_bytes(data)
    body = json.dumps({"url": url, "piece_cid": cid_of(data, 128)})
    path, by = "/api/v1/miners/f02001/pieces:fetch", people.bearer(people.token("write"))

    private = client.post(path, body, content_type="application/json", headers=by)
    pieces_fetch()
    refused = Piece.objects.get(uuid=private.json()["uuid"])
    settings.PIECE_URLS_PRIVATE = True
    fetched = client.post(path, body, content_type="application/json", headers=by)
    pieces_fetch()
    pieces_tidy(now=clock.now() + UNCHECKED * 2)

    assert (refused.state, refused.error) == ("FAILED", "its host has no public address")
    row = Piece.objects.get(uuid=fetched.json()["uuid"])
    assert (row.state, row.payload_size) == ("READY", len(data))
    assert kept(folder) == [str(row.uuid)]
    assert AuditEntry.objects.filter(action="piece.begin").count() == 2


def test_commitments_are_those_of_the_plain_tree():
    nodes = [fr32_pad(b"x" + bytes(126))[at : at + 32] for at in range(0, 128, 32)]
    root = sha254_node((sha254_node((nodes[0], nodes[1])), sha254_node((nodes[2], nodes[3]))))

    assert comm_p(b"x", 128) == root
    grown = comm_d_from_pieces(256, [PieceSize(128, root), PieceSize(128, sha254_zero(128))])
    assert comm_p(b"x", 256) == grown


def test_a_piece_sent_again_replaces_the_one_that_failed(client, miner, folder):
    cid, terms = cid_of(b"x", 128), {"client": 100, "allocation": 3}
    other = factories.piece(miner, state="FAILED", piece_cid=cid, client=100, allocation=4)
    for names in ("piece_cid", "announced_cid"):
        factories.piece(miner, state="FAILED", **{names: cid}, **terms)

    again = send(client, b"x", path="miners/f02001/pieces?client=f0100&allocation=3").json()

    assert set(Piece.objects.values_list("uuid", flat=True).order_by()) == {other.uuid, UUID(again["uuid"])}


def purpose(client: Client, piece: Any, value: str) -> Any:
    return client.put(
        f"/api/v1/pieces/uploads/{piece.uuid}/purpose",
        {"purpose": value},
        content_type="application/json",
        headers=people.bearer(people.token("write")),
    )


def test_a_piece_says_into_which_sectors_it_goes_until_it_is_in_one(client, miner):
    body = send(client, b"x", path="miners/f02001/pieces?purpose=snap-up").json()
    row = Piece.objects.get()

    assert (body["purpose"], row.purpose) == ("snap-up", "snap-up")
    assert purpose(client, row, "any").json()["purpose"] == "any"
    entry = AuditEntry.objects.get(action="piece.purpose")
    assert (entry.before, entry.after) == ({"purpose": "snap-up"}, {"purpose": "any"})
    assert purpose(client, row, "sold").json()["field"] == "purpose"
    assert send(client, b"x", path="miners/f02001/pieces?purpose=snap-up").json()["purpose"] == "snap-up"
    assert send(client, b"x").json()["purpose"] == "snap-up", "nothing said changes nothing"
    assert send(client, b"x", path="miners/f02001/pieces?purpose=any").json()["purpose"] == "snap-up"
    assert send(client, b"y", path="miners/f02001/pieces?purpose=sold").status_code == 400
    packed = factories.piece(miner, state="PACKED", sector_number=3, offset=0)
    failed = factories.piece(miner, state="FAILED", error="the deal is over")
    assert purpose(client, packed, "snap-up").json()["code"] == "piece_in_sector"
    assert purpose(client, failed, "snap-up").json()["code"] == "piece_over"


def test_a_download_and_parts_have_a_purpose_too(client, miner, settings):
    settings.PIECE_URLS_PRIVATE = True
    fetched = client.post(
        "/api/v1/miners/f02001/pieces:fetch",
        {"url": "http://127.0.0.1:9/a", "purpose": "snap-up"},
        content_type="application/json",
        headers=people.bearer(people.token("write")),
    )
    begun = send(client, b"", path="miners/f02001/pieces?purpose=snap-up", **{"Upload-Length": "5"})

    assert [fetched.json()["purpose"], begun.json()["purpose"]] == ["snap-up", "snap-up"]


def test_a_failed_piece_answers_by_its_commitment_until_one_lives(client, miner):
    reader = people.bearer(people.token("read"))
    refused = factories.piece(miner, state="FAILED", error="the deal is over", announced_cid="")
    Piece.objects.filter(pk=refused.pk).update(piece_cid=factories.piece_cid(9))
    announced = factories.piece_cid(8)
    factories.piece(miner, state="FAILED", error="not fetched", announced_cid=announced)

    found = client.get(f"/api/v1/pieces/{factories.piece_cid(9)}", headers=reader).json()
    assert (found["state"], found["error"], found["active"]) == ("FAILED", "the deal is over", False)
    assert client.get(f"/api/v1/pieces/{announced}", headers=reader).json()["error"] == "not fetched"
    assert client.get(f"/api/v1/pieces/{announced}/data", headers=reader).status_code == 404
    stranger = people.bearer(people.token("read", of="bob"))
    assert client.get(f"/api/v1/pieces/{announced}", headers=stranger).status_code == 404

    factories.piece(miner, piece_cid=announced)
    assert client.get(f"/api/v1/pieces/{announced}", headers=reader).json()["state"] == "READY"
