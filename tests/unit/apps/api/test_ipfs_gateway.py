"""Retrieval by the CIDs within pieces: which blocks come, in which order, under which headers; who gets none.

Expectations for the files of `tests/golden/cars` are those of ipfs/gateway-conformance.
"""

from __future__ import annotations

import asyncio
import gc
import os
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from apps.api.piece_gateway import ANSWERS_PER_ADDRESS, SLOTS
from apps.core import clock
from apps.core.metrics import RETRIEVED_BYTES
from apps.core.streams import StreamCut
from apps.market.services.markets import market_set
from apps.miners.models import Miner
from apps.pieces.data.blocks import index_unlink, volume_files
from apps.pieces.data.files import piece_path, piece_unlink
from apps.pieces.models import BlockVolume, Piece
from apps.pieces.services.indexes import indexes_update
from apps.sectors.models import Job
from poolsite.ipld.block_index import ENTRY
from poolsite.ipld.cids import text_write
from tests import factories, people
from tests.cars import blocks_of, car_of, cid_of, golden, link, names_of, piece_of

pytestmark = pytest.mark.django_db

CARS = "application/vnd.ipld.car"
RAWS = "application/vnd.ipld.raw"
CHUNKS = [
    "bafkreie5noke3mb7hqxukzcy73nl23k6lxszxi5w3dtmuwz62wnvkpsscm",
    "bafkreih4ephajybraj6wnxsbwjwa77fukurtpl7oj7t7pfq545duhot7cq",
    "bafkreigu7buvm3cfunb35766dn7tmqyh2um62zcio63en2btvxuybgcpue",
    "bafkreicll3huefkc3qnrzeony7zcfo7cr3nbx64hnxrqzsixpceg332fhe",
    "bafkreifst3pqztuvj57lycamoi7z34b4emf7gawxs74nwrc2c7jncmpaqm",
]
"""The blocks of multiblock.txt: four of 256 bytes and one of 2."""


@pytest.fixture
def miner(settings: Any, tmp_path: Path) -> Miner:
    settings.PIECES_DIR = str(tmp_path)
    row = factories.miner(2001)
    market_set(row, values={"serves_data": True}, by=people.principal())
    return row


@pytest.fixture
def merged_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """Merge indexes once there are two, instead of sixteen."""
    monkeypatch.setattr("apps.pieces.services.indexes.SINGLES_MAX", 2)


def body(answer: Any) -> bytes:
    return b"".join(answer.streaming_content)


def car(client: Client, path: str, query: str = "format=car", **headers: str) -> list[str]:
    """Return the CIDs of the CAR that comes."""
    answer = client.get(f"/ipfs/{path}?{query}", headers=headers)
    assert answer.status_code == 200, answer.content
    return names_of(body(answer))


def names(name: str) -> list[str]:
    return names_of(golden(name))


def test_a_raw_block_is_retrieved_with_its_headers(client: Client, miner: Miner) -> None:
    data = b"a block of a client"
    cid = cid_of(data)
    piece_of(miner, car_of([(cid, data)]))
    name = text_write(cid)

    for answer in (
        client.get(f"/ipfs/{name}?format=raw"),
        client.get(f"/ipfs/{name}", headers={"Accept": f"text/html;q=0.5, {RAWS}"}),
        client.get(f"/ipfs/{name}?format=raw", headers={"Accept": CARS}),
    ):
        assert (answer.status_code, body(answer)) == (200, data)
        assert answer["Content-Type"] == RAWS
        assert answer["Content-Length"] == str(len(data))
        assert answer["Content-Disposition"] == f'attachment; filename="{name}.bin"'
        assert answer["Cache-Control"] == "public, max-age=29030400, immutable"
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert (answer["X-Ipfs-Path"], answer["X-Ipfs-Roots"]) == (f"/ipfs/{name}", name)
        assert answer["ETag"] == f'"{name}.raw"'
    by_accept = client.get(f"/ipfs/{name}", headers={"Accept": RAWS})
    assert by_accept["Content-Location"] == f"/ipfs/{name}?format=raw"
    body(by_accept)
    part = client.get(f"/ipfs/{name}?format=raw", headers={"Range": "bytes=2-6"})
    assert (part.status_code, part["Content-Range"], body(part)) == (206, f"bytes 2-6/{len(data)}", b"block")
    head = client.head(f"/ipfs/{name}?format=raw")
    assert (head.status_code, head["Content-Length"], body(head)) == (200, str(len(data)), b"")
    for known in (f'"{name}.raw"', f'"a", W/"{name}.raw"', "*"):
        unmodified = client.get(f"/ipfs/{name}?format=raw", headers={"If-None-Match": known})
        assert (unmodified.status_code, unmodified.content) == (304, b"")
    named = client.get(f"/ipfs/{name}?format=raw&filename=a%22b.txt")
    assert (named["Content-Disposition"], body(named)) == ('attachment; filename="ab.txt"', data)


def test_any_block_that_is_not_here_is_not_unmodified(client: Client, miner: Miner) -> None:
    piece_of(miner, golden("dir-with-duplicate-files"))
    missing = text_write(blocks_of(golden("subdir-with-mixed-block-files"))[0][0])

    answer = client.get(f"/ipfs/{missing}?format=raw", headers={"If-None-Match": "*"})

    assert answer.status_code == 404


def test_a_car_has_the_headers_of_what_it_is(client: Client, miner: Miner) -> None:
    piece_of(miner, golden("dir-with-duplicate-files"))
    root = names("dir-with-duplicate-files")[0]

    answer = client.get(f"/ipfs/{root}", headers={"Accept": f"{CARS}; version=1; order=dfs; dups=y"})
    head = client.head(f"/ipfs/{root}?format=car&dag-scope=block")

    assert answer["Content-Type"] == f"{CARS}; version=1; order=dfs; dups=y"
    assert (answer["Accept-Ranges"], "Content-Length" in answer) == ("none", False)
    assert answer["Content-Disposition"] == f'attachment; filename="{root}.car"'
    assert answer["Content-Location"] == f"/ipfs/{root}?format=car&car-dups=y&dag-scope=all"
    assert head["Content-Type"] == f"{CARS}; version=1; order=dfs; dups=n"
    assert (head.status_code, body(head)) == (200, b"")
    assert answer["ETag"] != head["ETag"]
    body(answer)
    # A cache must not give one what another's Accept had made of the same address.
    assert (head["Vary"], answer["Vary"]) == ("Accept", "Accept")
    assert "Vary" not in client.head(f"/ipfs/{root}?format=car&car-dups=n")


def target_of(file: Path) -> str:
    """Return where a descriptor of this process leads; empty once it is closed."""
    try:
        return os.readlink(file)
    except FileNotFoundError:
        return ""


def test_no_process_keeps_a_piece_or_an_index_open_that_was_removed(client: Client, miner: Miner) -> None:
    piece = piece_of(miner, golden("subdir-with-two-single-block-files"))
    root = names("subdir-with-two-single-block-files")[0]
    body(client.get(f"/ipfs/{root}?format=car"))
    index_unlink(piece)
    piece_unlink(piece)

    def held() -> list[str]:
        gc.collect()
        files = [target_of(file) for file in Path("/proc/self/fd").iterdir()]
        return [Path(file.removesuffix(" (deleted)")).suffix for file in files if str(piece.uuid) in file]

    assert held() == []


@pytest.mark.parametrize("state", ["single", "merged", "twice", "lost", "cut", "changed"])
@pytest.mark.usefixtures("merged_early")
def test_a_block_is_found_whatever_became_of_the_volumes(client: Client, miner: Miner, state: str) -> None:
    data = [b"0", b"1"]
    for one in data:
        piece_of(miner, car_of([(cid_of(one), one), (cid_of(b"everywhere"), b"everywhere")]))
    if state != "single":
        indexes_update(now=clock.now())
        [volume] = volume_files()
        whole = volume.read_bytes()
    if state == "twice":
        for one in (b"more", *data[1:]):
            piece_of(miner, car_of([(cid_of(one), one)]))
        indexes_update(now=clock.now())
        assert [BlockVolume.objects.get().blocks, len(volume_files())] == [6, 1]
    if state == "lost":
        volume.unlink()
    if state == "cut":
        volume.write_bytes(whole[:-1])
    if state == "changed":  # the starts of groups, while it is open
        client.get(f"/ipfs/{text_write(cid_of(b'none'))}?format=raw")
        at = len(whole) - ENTRY.size * 4
        volume.write_bytes(whole[: at - 8] + b"\xff" * 8 + whole[at:])

    for one in (*data, b"everywhere"):
        assert body(client.get(f"/ipfs/{text_write(cid_of(one))}?format=raw")) == one
    assert client.get(f"/ipfs/{text_write(cid_of(b'none'))}?format=raw").status_code == 404


@pytest.mark.usefixtures("merged_early")
def test_a_request_asks_as_much_of_many_pieces_as_of_few(
    client: Client, miner: Miner, django_assert_num_queries: Any
) -> None:
    for number in range(4):
        piece_of(miner, car_of([(cid_of(bytes([number])), bytes([number]))]))
    indexes_update(now=clock.now())

    with django_assert_num_queries(2):  # indexes in no volume, and volumes
        assert client.get(f"/ipfs/{text_write(cid_of(b'none'))}?format=raw").status_code == 404
    with django_assert_num_queries(3):
        assert body(client.get(f"/ipfs/{text_write(cid_of(bytes([3])))}?format=raw"))


def test_blocks_that_occur_twice_come_as_often_as_wanted(client: Client, miner: Miner) -> None:
    piece_of(miner, golden("dir-with-duplicate-files"))
    root, ascii_, hello, many, *_ = once = names("dir-with-duplicate-files")

    twice = [root, ascii_, ascii_, hello, many, *CHUNKS]
    assert car(client, root, "", Accept=f"{CARS}; order=dfs; dups=y") == twice
    assert car(client, root, "format=car&car-dups=y", Accept=f"{CARS}; dups=n") == twice
    assert car(client, root) == once == [root, ascii_, hello, many, *CHUNKS]


def test_a_path_comes_with_the_blocks_that_prove_it(client: Client, miner: Miner) -> None:
    piece_of(miner, golden("subdir-with-two-single-block-files"))
    root, subdir, ascii_, hello = names("subdir-with-two-single-block-files")

    assert car(client, f"{root}/subdir/ascii.txt") == [root, subdir, ascii_]
    assert car(client, f"{root}/subdir", "format=car&dag-scope=block") == [root, subdir]
    assert car(client, f"{root}/subdir/", "format=car&dag-scope=entity") == [root, subdir]
    assert car(client, f"{root}/subdir") == [root, subdir, ascii_, hello]
    assert car(client, root, "format=car&dag-scope=entity") == [root]
    missing = client.get(f"/ipfs/{root}/subdir/none?format=car")
    assert (missing.status_code, "'none'" in missing.content.decode()) == (404, True)
    assert client.get(f"/ipfs/{root}/subdir/ascii.txt/x?format=car").status_code == 404


def test_a_sharded_directory_is_walked_by_the_hashes_of_names(client: Client, miner: Miner) -> None:
    piece_of(miner, golden("single-layer-hamt-with-multi-block-files"))
    name = "single-layer-hamt-with-multi-block-files"
    blocks = dict(zip(names(name), blocks_of(golden(name)), strict=True))
    root = next(iter(blocks))

    found = car(client, f"{root}/685.txt")
    parts = car(client, root, "format=car&dag-scope=entity&entity-bytes=0:*")

    assert (found[0], len(found)) == (root, 3 + len(CHUNKS))
    assert found[3:] == CHUNKS
    assert sum(len(blocks[chunk][1]) for chunk in CHUNKS) == 1026
    assert car(client, f"{root}/1.txt", "format=car&dag-scope=block")[2] == found[2]
    assert (len(parts), set(parts) & {found[2], *CHUNKS}) == (len(blocks) - 1 - len(CHUNKS), set())
    assert client.get(f"/ipfs/{root}/10000.txt?format=car").status_code == 404


def test_a_document_is_walked_along_its_keys(client: Client, miner: Miner) -> None:
    piece_of(miner, golden("dir-with-dag-cbor-with-links"))
    root, document, hello, many, *_ = names("dir-with-dag-cbor-with-links")

    assert car(client, f"{document}/files/single") == [document, hello]
    assert car(client, f"{root}/document", "format=car&dag-scope=entity") == [root, document]
    assert car(client, f"{root}/document/files") == [root, document, hello, many, *CHUNKS]
    assert client.get(f"/ipfs/{document}/files/none?format=car").status_code == 404


def test_a_list_is_walked_by_numbers_and_identity_cids_are_no_blocks(client: Client, miner: Miner) -> None:
    leaf, inside = cid_of(b"leaf"), b"\x01\x55\x00\x02hi"
    data = b"\x83\xfb" + bytes(8) + link(leaf) + link(inside)
    root = cid_of(data, 0x71)
    piece_of(miner, car_of([(root, data), (leaf, b"leaf")]))
    name = text_write(root)

    assert car(client, f"{name}/1") == car(client, name) == [name, text_write(leaf)]
    assert car(client, f"{name}/2") == [name]
    assert client.get(f"/ipfs/{name}/3?format=car").status_code == 404
    assert body(client.get(f"/ipfs/{text_write(inside)}?format=raw")) == b"hi"
    assert car(client, text_write(inside)) == []
    assert body(client.get("/ipfs/bafkqaaa?format=raw")) == b""


@pytest.mark.parametrize(
    ("asked", "chunks"),
    [
        ("512:*", slice(2, 5)),
        ("512:1023", slice(2, 4)),
        ("512:-256", slice(2, 4)),
        ("-5:*", slice(3, 5)),
        ("-9999:*", slice(0, 5)),
        ("-9999:-3", slice(0, 4)),
        ("0:0", slice(0, 1)),
        ("0:*", slice(0, 5)),
        ("1020:9999", slice(3, 5)),
        ("2000:*", slice(0, 0)),
        ("10:5", slice(0, 0)),
    ],
)
def test_bytes_of_a_file_come_with_the_fewest_blocks(
    client: Client, miner: Miner, asked: str, chunks: slice
) -> None:
    piece_of(miner, golden("subdir-with-mixed-block-files"))
    many = names("subdir-with-mixed-block-files")[4]

    assert car(client, many, f"format=car&entity-bytes={asked}") == [many, *CHUNKS[chunks]]


def test_only_bytes_whose_blocks_are_here_come_whole(client: Client, miner: Miner) -> None:
    piece_of(miner, golden("file-3k-and-3-blocks-missing-block"))
    root, first, last = names("file-3k-and-3-blocks-missing-block")

    assert car(client, root, "format=car&dag-scope=entity&entity-bytes=0:1000") == [root, first]
    assert car(client, root, "format=car&dag-scope=entity&entity-bytes=2200:*") == [root, last]
    answer: Any = client.get(f"/ipfs/{root}?format=car")
    came = next(answer._iterator)
    with pytest.raises(StreamCut):
        next(answer._iterator)
    assert names_of(came) == [root, first]
    again: Any = client.get(f"/ipfs/{root}?format=car")

    async def read() -> list[bytes]:
        return [chunk async for chunk in again]

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(read())
    assert SLOTS._counts.total() == 0


def test_a_dag_lies_in_several_pieces(client: Client, miner: Miner) -> None:
    blocks = blocks_of(golden("subdir-with-mixed-block-files"))
    for block in blocks:
        piece_of(miner, car_of([block]))
    piece_of(miner, car_of(blocks[5:]))

    assert car(client, text_write(blocks[0][0])) == [text_write(cid) for cid, _ in blocks]


@pytest.mark.parametrize(
    ("path", "headers", "status", "says"),
    [
        ("nonsense?format=raw", {}, 400, "no CID"),
        ("{root}", {}, 400, "format=raw or format=car"),
        ("{root}", {"Accept": "*/*"}, 400, "format=raw or format=car"),
        ("{root}", {"Accept": "text/html"}, 406, "only application/vnd.ipld.raw"),
        ("{root}", {"Accept": f"{CARS}; version=2"}, 406, "version 1"),
        ("{root}?format=dag-json", {}, 406, "raw or car"),
        ("{root}?format=zip", {}, 400, "raw or car"),
        ("{root}?format=car&car-order=bfs", {}, 400, "car-order"),
        ("{root}?format=car&dag-scope=some", {}, 400, "dag-scope"),
        ("{root}?format=car&entity-bytes=5", {}, 400, "entity-bytes"),
        ("{root}/subdir?format=raw", {}, 400, "without a path"),
        ("{root}?format=raw", {"Range": "bytes=9999-"}, 416, ""),
        ("{other}?format=car", {}, 404, "no piece here"),
        ("{other}?format=car", {"Cache-Control": "only-if-cached"}, 412, "no piece here"),
    ],
)
def test_what_cannot_be_served_is_refused_with_its_reason(
    client: Client, miner: Miner, path: str, headers: dict[str, str], status: int, says: str
) -> None:
    piece_of(miner, golden("subdir-with-two-single-block-files"))
    root = names("subdir-with-two-single-block-files")[0]

    answer = client.get(f"/ipfs/{path.format(root=root, other=CHUNKS[0])}", headers=headers)

    assert (answer.status_code, says in answer.content.decode()) == (status, True)
    assert answer["Content-Type"].startswith("text/plain")
    assert SLOTS._counts.total() == 0
    assert client.post(f"/ipfs/{root}").status_code == 405


@pytest.mark.parametrize("change", ["closed", "ended", "sealed", "lost", "damaged"])
def test_no_block_of_another_piece_is_served(client: Client, miner: Miner, change: str) -> None:
    piece = piece_of(miner, golden("subdir-with-two-single-block-files"))
    root, subdir, *_ = names("subdir-with-two-single-block-files")
    body(client.get(f"/ipfs/{root}?format=car"))
    if change == "closed":
        market_set(miner, values={"serves_data": False}, by=people.principal())
        assert client.get("/ipfs/bafkqaaa?format=raw").status_code == 404
    elif change == "lost":
        piece_path(piece).unlink()
        Piece.objects.update(has_data=False)
    elif change == "damaged":
        data = bytearray(piece_path(piece).read_bytes())
        place = data.index(dict(blocks_of(bytes(data)))[blocks_of(bytes(data))[0][0]])
        data[place] ^= 1
        piece_path(piece).write_bytes(data)
    else:
        Piece.objects.update(**{"state": "ENDED"} if change == "ended" else {"has_data": False})

    assert client.get(f"/ipfs/{root}?format=car").status_code == 404
    if change == "damaged":
        assert car(client, subdir)[0] == subdir


def test_a_block_is_unsealed_where_the_miner_does_that(client: Client, miner: Miner) -> None:
    piece = piece_of(miner, golden("subdir-with-two-single-block-files"))
    root = names("subdir-with-two-single-block-files")[0]
    piece_unlink(factories.sealed_piece(piece))
    assert client.get(f"/ipfs/{root}?format=car").status_code == 404
    market_set(miner, values={"unseals_data": True}, by=people.principal())

    none = client.get(f"/ipfs/{text_write(cid_of(b'none'))}?format=raw")
    answers = [client.get(f"/ipfs/{root}{rest}") for rest in ("?format=car", "/subdir/ascii.txt?format=car")]

    assert none.status_code == 404
    assert [(answer.status_code, answer["Retry-After"]) for answer in answers] == [(503, "300")] * 2
    assert [job.inputs["piece"] for job in Job.objects.filter(kind="unseal")] == [str(piece.uuid)]
    assert SLOTS._counts.total() == 0


def test_a_car_is_cut_at_a_sealed_block_which_is_unsealed(client: Client, miner: Miner) -> None:
    market_set(miner, values={"unseals_data": True}, by=people.principal())
    root, *below = blocks_of(golden("subdir-with-two-single-block-files"))
    piece_of(miner, car_of([root]))
    sealed = piece_of(miner, car_of(below))
    piece_unlink(factories.sealed_piece(sealed))

    answer: Any = client.get(f"/ipfs/{text_write(root[0])}?format=car")
    came = next(answer._iterator)
    with pytest.raises(StreamCut):
        next(answer._iterator)

    assert names_of(came) == [text_write(root[0])]
    assert [job.inputs["piece"] for job in Job.objects.filter(kind="unseal")] == [str(sealed.uuid)]


def test_retrievals_share_slots_and_counts_with_those_by_piece(client: Client, miner: Miner) -> None:
    piece_of(miner, golden("subdir-with-two-single-block-files"))
    root = names("subdir-with-two-single-block-files")[0]
    before = RETRIEVED_BYTES.labels("f02001")._value.get()

    slow = [client.get(f"/ipfs/{root}?format=car") for _ in range(ANSWERS_PER_ADDRESS)]
    refused = client.get(f"/ipfs/{root}?format=car")

    assert (refused.status_code, refused["Retry-After"]) == (429, "5")
    sizes = [len(body(answer)) for answer in slow]
    assert body(client.get(f"/ipfs/{root}?format=raw"))
    assert RETRIEVED_BYTES.labels("f02001")._value.get() - before >= sum(sizes)


def test_a_dag_counts_for_the_address_and_its_limit(
    client: Client, miner: Miner, shared_reports: str
) -> None:
    data = golden("file-3k-and-3-blocks-missing-block")
    whole = blocks_of(data)
    piece_of(miner, data)
    market_set(miner, values={"retrieval_day_bytes": 1}, by=people.principal())
    path = f"/ipfs/{text_write(whole[-1][0])}?format=raw"

    first = client.get(path)
    assert (first.status_code, body(first)) == (200, whole[-1][1])
    second = client.get(path)

    assert second.status_code == 429
    assert int(second["Retry-After"]) > 0
    assert client.head(path).status_code == 200
