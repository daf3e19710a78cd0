"""boxo's client and curl at our trustless gateway: files come whole and verified, and what is cut shows."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from apps.market.services.markets import market_set
from poolsite.ipld.cids import text_write
from tests import factories, people
from tests.cars import blocks_of, golden, piece_of
from tests.hub import WebProcess
from tests.peers.programs import ANSWER_S, go_program

pytestmark = [pytest.mark.peer, pytest.mark.django_db(transaction=True)]

MIXED = blocks_of(golden("subdir-with-mixed-block-files"))
SHARDED = blocks_of(golden("single-layer-hamt-with-multi-block-files"))
CUT = blocks_of(golden("file-3k-and-3-blocks-missing-block"))
MANY = b"".join(data for _, data in MIXED[5:])
"""Content of multiblock.txt: 1,026 bytes."""


@pytest.fixture
def url(settings: Any, tmp_path: Path) -> Iterator[str]:
    """The address of a console that serves the data of f02001."""
    settings.PIECES_DIR = str(tmp_path)
    miner = factories.miner(2001)
    market_set(miner, values={"serves_data": True}, by=people.principal())
    for blocks in ("subdir-with-mixed-block-files", "single-layer-hamt-with-multi-block-files"):
        piece_of(miner, golden(blocks))
    piece_of(miner, golden("file-3k-and-3-blocks-missing-block"))
    web = WebProcess()
    web.start()
    yield f"http://127.0.0.1:{web.port}"
    web.stop()


def run(*command: str | Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command, capture_output=True, timeout=ANSWER_S, check=False)


def test_a_go_client_reads_files_through_the_gateway(go: None, url: str) -> None:
    program = go_program("gateway_client")
    mixed, sharded, cut = (text_write(blocks[0][0]) for blocks in (MIXED, SHARDED, CUT))

    for path in (f"{mixed}/subdir/multiblock.txt", f"{sharded}/685.txt"):
        done = run(program, url, f"/ipfs/{path}")
        assert (done.returncode, done.stdout) == (0, MANY), done.stderr

    for path in (f"{mixed}/subdir/none", cut):
        assert run(program, url, f"/ipfs/{path}").returncode == 1


def test_curl_gets_a_block_and_learns_that_a_car_was_cut(url: str) -> None:
    cid, data = MIXED[2]
    cut = text_write(CUT[0][0])

    block = run("curl", "-sf", f"{url}/ipfs/{text_write(cid)}?format=raw")
    car = run("curl", "-s", f"{url}/ipfs/{cut}?format=car")
    part = run("curl", "-s", "-r", "5-9", f"{url}/ipfs/{text_write(cid)}?format=raw")

    assert hashlib.sha256(block.stdout).digest() == cid[-32:]
    assert (block.stdout, part.stdout) == (data, data[5:10])
    assert car.returncode == 18  # partial file
    assert [one for one, _ in blocks_of(car.stdout)] == [CUT[0][0], CUT[1][0]]
