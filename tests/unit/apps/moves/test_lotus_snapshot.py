"""What lotus-miner gets to go on: the next number, the pool's last blocks, sectors that it does not know."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from apps.blocks.models import Block
from apps.core import clock
from apps.miners.models import Miner
from apps.moves.selectors.lotus_metadata import lotus_snapshot
from apps.sectors.models import SectorNumbers
from poolsite.filecoin.actors.miner_sectors import PieceActivationManifest, VerifiedAllocationKey
from poolsite.filecoin.address import id_address
from poolsite.filecoin.amounts import AttoFil
from poolsite.filecoin.block import BlockHeader, BlockMsg, ElectionProof, Ticket
from poolsite.filecoin.cbor import encode, value_read
from poolsite.filecoin.cids import Cid, cid_of_cbor, cid_parse, commd_cid, commr_cid
from poolsite.filecoin.codec import from_cbor, to_cbor
from poolsite.filecoin.sha254 import sha254_zero
from poolsite.filecoin.signature import Signature
from tests import factories

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("time_stands_still")]

COMM_R, KEY, COMM_D = bytes(31) + b"\x01", bytes(31) + b"\x02", bytes(31) + b"\x03"


def entries(found: Iterable[bytes]) -> dict[str, Any]:
    """Return the values of a snapshot by their keys, read as lotus-shed does: one after the other."""
    data, at, values = b"".join(found), 0, {}
    while at < len(data):
        row, at = value_read(data, at)
        values[row["Key"].decode()] = row["Value"]
    return values


def sealed_here(of: Miner, number: int, **data: Any) -> None:
    """A sector that the pool has sealed."""
    facts: dict[str, Any] = {
        "ticket": b"t" * 32,
        "ticket_epoch": 5,
        "seed": b"s" * 32,
        "seed_epoch": 9,
        "comm_r": COMM_R,
    }
    batch = factories.batch(of, "COMMIT", message_id=f"commit-{number}")
    factories.message(f"commit-{number}", to=of.address, cid=factories.cid("commit"))
    factories.sector(of, number=number, state="PROVING", commit_batch=batch, **facts | data)


def test_a_sector_of_the_pool_is_told_and_one_of_lotus_is_left_to_it() -> None:
    miner = factories.miner(1000)
    factories.network()
    sealed_here(miner, 8, comm_d=COMM_D, pieces=[{"size": 2048, "comm_p": COMM_D.hex()}])
    factories.sector(miner, number=7, state="PROVING", comm_r=COMM_R, without_pledge=True)
    factories.sector(miner, number=9, state="TERMINATED")

    found = entries(lotus_snapshot(miner))

    assert set(found) == {"/sectors/8"}
    sector, _ = value_read(found["/sectors/8"], 0)
    assert (sector["State"], sector["SectorNumber"], sector["TicketEpoch"]) == ("Proving", 8, 5)
    assert (sector["CommR"], sector["CommD"]) == (commr_cid(COMM_R), commd_cid(COMM_D))
    assert sector["CommitMessage"] == cid_parse(factories.cid("commit"))
    assert sector["Pieces"] == [{"Piece": [2048, commd_cid(COMM_D)], "DealInfo": None}]
    assert not sector["CCUpdate"]
    assert set(entries(lotus_snapshot(miner, is_all=True))) == {"/sectors/7", "/sectors/8"}


def test_data_put_into_a_sector_are_told_with_their_allocation() -> None:
    miner = factories.miner(1000)
    factories.network()
    cid = factories.piece_cid(5)
    factories.piece(
        miner,
        piece_cid=cid,
        sector_number=8,
        offset=0,
        client=1009,
        allocation=4,
        start_epoch=77,
        state="ACTIVE",
    )
    column = [{"size": 2048, "comm_p": cid_parse(cid).digest.hex(), "payload": 2000}]
    sealed_here(miner, 8, comm_d=COMM_D, key_comm_r=KEY, pieces=column, expiration=900)

    sector, _ = value_read(entries(lotus_snapshot(miner))["/sectors/8"], 0)

    assert (sector["CommR"], sector["CommD"]) == (commr_cid(KEY), commd_cid(sha254_zero(2048)))
    assert (sector["UpdateSealed"], sector["UpdateUnsealed"]) == (commr_cid(COMM_R), commd_cid(COMM_D))
    assert sector["CCUpdate"]
    [piece] = sector["Pieces"]
    assert piece["DealInfo"]["DealSchedule"] == {"StartEpoch": 77, "EndEpoch": 900}
    manifest = from_cbor(PieceActivationManifest, encode(piece["DealInfo"]["PieceActivationManifest"]))
    assert manifest.cid == cid_parse(cid)
    assert manifest.verified_allocation_key == VerifiedAllocationKey(1009, 4)


def block(height: int, *, parents: tuple[Cid, ...]) -> BlockMsg:
    """A block of the miner's that nobody has signed yet."""
    root = cid_of_cbor(b"root")
    header = BlockHeader(
        miner=id_address(1000),
        ticket=Ticket(b"ticket"),
        election_proof=ElectionProof(1, b"proof"),
        beacon_entries=(),
        win_post_proof=(),
        parents=parents,
        parent_weight=AttoFil(77),
        height=height,
        parent_state_root=root,
        parent_message_receipts=root,
        messages=root,
        bls_aggregate=Signature(2, bytes(96)),
        timestamp=1_700_000_000,
        block_sig=None,
        fork_signaling=0,
        parent_base_fee=AttoFil(100),
    )
    return BlockMsg(header, (), ())


def test_numbers_and_blocks_are_guarded(tmp_path: Path) -> None:
    miner = factories.miner(1000)
    factories.network()
    SectorNumbers.objects.create(miner=miner, next_number=300)
    header = block(1019, parents=(cid_of_cbor(b"p"), cid_of_cbor(b"q")))
    facts = {"actor_id": 1000}
    Block.objects.create(height=1019, parents=b"1" * 32, unsigned=to_cbor(header), **facts)
    Block.objects.create(height=3, parents=b"2" * 32, unsigned=b"of long ago", **facts)

    found = entries(lotus_snapshot(miner))

    parents = (bytes(cid_of_cbor(b"p")) + bytes(cid_of_cbor(b"q"))).hex()
    assert found["/storage/nextid"] == bytes([0xAB, 0x02])
    assert found["/slashfilter/epoch/t01000/1019"] == bytes(header.cid)
    assert Cid(found[f"/slashfilter/parents/t01000/{parents}"]) == header.cid
    assert "/storage/sectorsids/allocated" in found
    assert len(found) == 4

    file = tmp_path / "f01000.lotus"
    call_command("sector_records", "lotus", "f01000", "--to", str(file), "--early")
    assert entries([file.read_bytes()]) == found
    with pytest.raises(CommandError):
        call_command("sector_records", "lotus", "f01000", "--to", str(file), "--early")


def test_a_snapshot_waits_for_the_last_block_and_the_last_number(tmp_path: Path) -> None:
    miner, file = factories.miner(1000), tmp_path / "f01000.lotus"
    factories.network()
    factories.head(1019)
    counter = SectorNumbers.objects.create(miner=miner)

    def refused(words: str) -> None:
        with pytest.raises(CommandError, match=words):
            call_command("sector_records", "lotus", "f01000", "--to", str(file))
        assert not file.exists()

    refused("f01000's blocks, .* set a height under Move out… and wait until it is reached")
    Miner.objects.update(works_until=1020)
    refused("the pool still makes f01000's blocks")
    factories.head(1020)
    refused("the pool still assigns f01000's sector numbers")
    SectorNumbers.objects.filter(pk=counter.pk).update(exported_at=clock.now())
    call_command("sector_records", "lotus", "f01000", "--to", str(file))
    assert file.exists()
