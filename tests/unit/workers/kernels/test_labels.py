from __future__ import annotations

import time
from hashlib import sha256

import numpy as np
import pytest

from tests.naive import labels as naive
from tests.unit.workers.kernels.arrays import random_bytes
from tests.unit.workers.kernels.graph import parent_rows
from workers.kernels import labels
from workers.kernels.labels_portable import LANES, whole_addresses
from workers.kernels.lanes import WIDE


def layers_of(replica_ids: list[bytes], parents: np.ndarray, *, count: int) -> list[list[bytes]]:
    """Label `count` layers of each replica side by side; the bytes of every layer by replica."""
    ids = np.frombuffer(b"".join(replica_ids), np.uint32).reshape(-1, 8).copy()
    shape = (len(parents), len(replica_ids), 8)
    previous = np.zeros(shape, np.uint32)
    made: list[list[bytes]] = [[] for _ in replica_ids]
    for layer in range(1, count + 1):
        current = np.zeros(shape, np.uint32)
        for at, replica_id in enumerate(replica_ids):
            current[0, at] = np.frombuffer(labels.first_label(replica_id, layer), np.uint32)
        labels.label_rows(ids, current, previous, layer=layer, first=1, parents=parents[1:])
        for at, layers in enumerate(made):
            layers.append(current[:, at].tobytes())
        previous = current
    return made


@pytest.mark.usefixtures("path")
@pytest.mark.parametrize("case", ["seal_2k_v1_1", "seal_2k_v1", "seal_2k_11layers"])
def test_layers_equal_the_reference_implementation(golden, case):
    seal = golden(case)
    legacy = seal["api_version"] == "1.0.0"
    parents = parent_rows(bytes.fromhex(seal["porep_id"]), 64, 0, count=64, legacy=legacy)

    (layers,) = layers_of([bytes.fromhex(seal["replica_id"])], parents, count=seal["layers_count"])

    assert [sha256(layer).hexdigest() for layer in layers] == [layer["sha256"] for layer in seal["layers"]]


@pytest.mark.parametrize("path", ["portable"], indirect=True)
@pytest.mark.parametrize("sectors", [LANES, WIDE])
@pytest.mark.parametrize("case", ["seal_2k_v1_1", "seal_2k_11layers"])
def test_every_lane_labels_the_reference_implementation_s_sector(golden, case, sectors, path):
    """The golden sector lies in each lane in turn, beside others."""
    seal = golden(case)
    parents = parent_rows(bytes.fromhex(seal["porep_id"]), 64, 0, count=64)
    known = [layer["sha256"] for layer in seal["layers"]]
    for lanes in (range(0, sectors, 2), range(1, sectors, 2)):
        ids = [bytes.fromhex(seal["replica_id"]) if i in lanes else bytes([i]) * 32 for i in range(sectors)]

        made = layers_of(ids, parents, count=seal["layers_count"])

        for lane in lanes:
            assert [sha256(layer).hexdigest() for layer in made[lane]] == known


@pytest.mark.parametrize("path", ["fast", "portable"], indirect=True)
@pytest.mark.parametrize("sectors", [1, 2, 4, 8, 16])
def test_sectors_side_by_side_equal_the_twin(sectors, path):
    if sectors not in labels.batches() and sectors < WIDE:  # for the wide ones LLVM takes what there is
        assert (path, sectors) == ("fast", 8), "eight sectors need eight lanes"
        return
    parents = parent_rows(bytes(32), 64, 0, count=64)
    replica_ids = [random_bytes(32, seed=i) for i in range(sectors)]

    made = layers_of(replica_ids, parents, count=2)

    for replica_id, layers in zip(replica_ids, made, strict=True):
        previous: list[bytes] = []
        for layer, raw in enumerate(layers, 1):
            previous = naive.layer_labels(replica_id, layer, parents=parents.tolist(), previous=previous)
            assert raw == b"".join(previous)


@pytest.mark.parametrize(("has_unit", "is_faster"), [(True, True), (True, False), (False, False)])
def test_sixteen_lanes_are_for_machines_on_which_they_are_faster(has_unit, is_faster, monkeypatch):
    """Where there is no SHA unit nothing is tried: lanes are all there is."""
    monkeypatch.setattr(labels, "has_avx512", lambda: True)
    monkeypatch.setattr(labels, "has_sha_ni", lambda: has_unit)
    monkeypatch.setattr(labels, "_is_wide_faster", lambda: is_faster)
    assert (WIDE in labels.batches()) is (is_faster or not has_unit)


@pytest.mark.parametrize("slow", ["rows_wide", "_rows_4"])
def test_the_trial_prefers_what_is_not_held_up(slow, monkeypatch):
    """Each of the two is a tenth of a second late in turn."""
    for name in ("rows_wide", "_rows_4"):
        monkeypatch.setattr(labels, name, lambda *_, late=name == slow: time.sleep(0.1 if late else 0))
    monkeypatch.setattr(labels, "PASSES", 2)
    assert labels._is_wide_faster.__wrapped__() is (slow == "_rows_4")


@pytest.mark.usefixtures("path")
def test_labelling_in_pieces_gives_the_same_layer():
    parents = parent_rows(bytes(32), 64, 0, count=64)
    replica_id = random_bytes(32, seed=9)
    ((whole,),) = layers_of([replica_id], parents, count=1)
    ids = np.frombuffer(replica_id, np.uint32).reshape(1, 8).copy()
    current = np.zeros((64, 1, 8), np.uint32)
    current[0, 0] = np.frombuffer(labels.first_label(replica_id, 1), np.uint32)

    for first, end in ((1, 2), (2, 33), (33, 64)):
        labels.label_rows(ids, current, current, layer=1, first=first, parents=parents[first:end])

    assert current.tobytes() == whole


@pytest.mark.parametrize("path", ["fast", "portable"], indirect=True)
@pytest.mark.parametrize("sectors", [1, 2, 4, 8, 16])
def test_labels_of_a_page_s_second_group_equal_the_reference(golden, sectors, path):
    """A page has the labels of a node of three groups of sectors; only the second one is labelled."""
    if sectors not in labels.batches() and sectors < WIDE:
        assert (path, sectors) == ("fast", 8), "eight sectors need eight lanes"
        return
    seal = golden("seal_2k_v1_1")
    parents = parent_rows(bytes.fromhex(seal["porep_id"]), 64, 0, count=64)
    replica_id, offset, stride = bytes.fromhex(seal["replica_id"]), 32 * sectors, 3 * 32 * sectors
    ids = np.frombuffer(replica_id * sectors, np.uint32).reshape(-1, 8).copy()
    pages, addresses = np.full((2, 64, 3, sectors, 8), 7, np.uint32), np.zeros((63, 14), np.int64)
    for layer, known in enumerate(seal["layers"], 1):
        current, previous = pages[layer % 2], pages[(layer - 1) % 2]
        current[0, 1] = np.frombuffer(labels.first_label(replica_id, layer), np.uint32)
        whole_addresses(parents[1:], current.ctypes.data, previous.ctypes.data, stride, addresses)

        target = current.ctypes.data + stride
        labels.rows_of(sectors)(ids, layer, 1, addresses, target, stride, offset)

        for sector in range(sectors):
            assert sha256(current[:, 1, sector].tobytes()).hexdigest() == known["sha256"]
    assert (pages[:, :, [0, 2]] == 7).all()
