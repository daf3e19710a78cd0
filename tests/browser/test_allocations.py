"""A client's allocation is met by one click and a file: the data wait for a sector under it."""

from __future__ import annotations

from playwright.sync_api import expect

from apps.pieces.models import Piece
from apps.users.models import User
from poolsite.filecoin.cids import commd_cid
from poolsite.filecoin.fr32 import fr32_pad
from tests import factories, verified_rows
from tests.browser.conftest import Visit
from tests.naive.pieces import data_commitment

DATA = b"what a client stores" * 5
PLACE = 1024
"""Padded bytes: the allocation is for a larger place than the data need."""


def test_one_click_and_a_file_bring_the_data_of_an_allocation(visit: Visit, alice: User) -> None:
    factories.network(params={"NetworkName": factories.NETWORK, "BlockDelaySecs": 30})
    factories.head(1000)
    padded = fr32_pad(DATA + bytes(PLACE // 128 * 127 - len(DATA)))
    miner, cid = factories.miner(2001, of="alice"), str(commd_cid(data_commitment(padded)))
    row = verified_rows.allocation(miner, piece_cid=cid, size=PLACE)
    page = visit(alice).go("/allocations/", live=False)

    page.see(f"#take-{row.number}").click()
    page.see("#file").set_input_files({"name": "a.car", "mimeType": "application/x", "buffer": DATA})
    page.see("#f-upload button[type=submit]").click()

    expect(page.see("[data-says]")).to_have_text(f"Uploaded: {cid}")
    piece = Piece.objects.get()
    assert (piece.client, piece.allocation, piece.piece_cid) == (1010, row.number, cid)
    assert (piece.padded_size, piece.payload_size, piece.state) == (PLACE, len(DATA), "READY")
    assert (piece.file_name, piece.actor) == ("a.car", "ann")
    expect(page.see("#allocation")).to_have_value("")
    page.go("/allocations/?state=here", live=False)
    expect(page.see(f"#f-allocation-{row.number}")).to_contain_text("waiting for a sector")
