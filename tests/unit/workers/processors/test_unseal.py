from __future__ import annotations

import hashlib

import msgspec
import pytest

from tests.unit.workers.processors.sealing import sealing
from workers.processors import labelling, resident, unseal
from workers.processors.errors import BadFile, BadInput, BadProof, NotEnoughRoom
from workers.processors.tasks import UnsealTask
from workers.storage import memory
from workers.storage.mapped import resident_bytes

SIZE = 2032
"""Unpadded bytes of a 2 KiB sector."""


@pytest.fixture
def sealed(tmp_path):
    sector = sealing("2k_v1_1", 5, folder=tmp_path)
    sector.to_pc2()
    task = UnsealTask(
        sector.name,
        sector.value("prover_id"),
        1,
        sector.value("comm_d"),
        sector.value("ticket"),
        str(sector.cache),
        str(sector.sealed),
        str(tmp_path / "unsealed"),
        0,
        SIZE,
    )
    return sector, task


def run(sector, task, **changes):
    assert unseal.run(msgspec.structs.replace(task, **changes)).num_bytes == changes.get("num_bytes", SIZE)
    return (sector.folder / "unsealed").read_bytes()


def test_the_whole_data_are_those_of_the_reference(sealed):
    sector, task = sealed

    whole = run(sector, task)

    assert hashlib.sha256(whole).hexdigest() == sector.case["unsealed_unpadded_sha256"]


def test_without_layers_the_labels_are_made_again(sealed):
    sector, task = sealed
    whole = run(sector, task)
    for layer in sector.cache.glob("sc-02-data-layer-*"):
        layer.unlink()

    assert run(sector, task) == whole


@pytest.mark.parametrize(("has_layers", "needed"), [(True, 2048), (False, 2 * 2048)])
def test_memory_is_checked_for_all_that_is_held(sealed, monkeypatch, has_layers, needed):
    sector, task = sealed
    whole, left = run(sector, task), [needed]
    if not has_layers:
        for layer in sector.cache.glob("sc-02-data-layer-*"):
            layer.unlink()

    def allocate(size_bytes):
        left[0] -= size_bytes
        return resident_bytes(size_bytes)

    monkeypatch.setattr(memory, "available_bytes", lambda: left[0])
    monkeypatch.setattr(resident, "resident_bytes", allocate)
    assert (run(sector, task), left) == (whole, [0])

    left[0] = needed - 1
    with pytest.raises(NotEnoughRoom):
        unseal.run(task)


def test_copying_the_last_layer_reports_after_each_part(sealed, monkeypatch):
    _, task = sealed
    whole, parts = [], []
    unseal.run(task, progress=lambda *report: whole.append(report))
    monkeypatch.setattr(labelling, "PART_BYTES", 32)

    unseal.run(task, progress=lambda *report: parts.append(report))

    assert len(parts) - len(whole) == 2048 // 32 - 1


@pytest.mark.parametrize(("offset", "count"), [(0, 1), (126, 2), (127, 127), (5, 1000), (2031, 1), (77, 0)])
def test_any_range_is_a_part_of_the_whole(sealed, offset, count):
    sector, task = sealed
    whole = run(sector, task)

    assert run(sector, task, offset=offset, num_bytes=count) == whole[offset : offset + count]


@pytest.mark.parametrize(("offset", "count"), [(-1, 1), (0, 2033), (2032, 1), (0, -1)])
def test_a_range_outside_the_sector_is_refused(sealed, offset, count):
    _, task = sealed

    with pytest.raises(BadInput, match="not in a sector of 2032 unpadded bytes"):
        unseal.run(msgspec.structs.replace(task, offset=offset, num_bytes=count))


@pytest.mark.parametrize("at", [0, 700, 2047])
def test_a_flipped_bit_anywhere_is_seen_before_data_leave(sealed, at):
    sector, task = sealed
    content = bytearray(sector.sealed.read_bytes())
    content[at] ^= 1
    sector.sealed.write_bytes(content)

    with pytest.raises(BadProof, match="comm_d"):
        unseal.run(msgspec.structs.replace(task, num_bytes=1))
    assert not (sector.folder / "unsealed").exists()


def test_another_ticket_is_seen_before_data_leave(sealed):
    _, task = sealed

    with pytest.raises(BadProof):
        unseal.run(msgspec.structs.replace(task, ticket=bytes(32)))


def test_a_truncated_sealed_file_is_named(sealed):
    sector, task = sealed
    sector.sealed.write_bytes(b"short")

    with pytest.raises(BadFile, match="sealed has 5 bytes instead of 2048"):
        unseal.run(task)
