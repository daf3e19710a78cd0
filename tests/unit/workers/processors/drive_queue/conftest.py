"""Drives of two folders, sectors on them, and the same sectors sealed alone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest

from tests.unit.workers.processors.drive_queue.sectors import SECTORS, commit, layers, sector
from tests.unit.workers.processors.sealing import sealing
from workers.processors.labelling import label_sectors
from workers.processors.layer_drives import LAYERS_VARIABLE, LayerDrives
from workers.storage.page_drives import FILE_NAME


@pytest.fixture
def settings(tmp_path):
    drives = [tmp_path / f"drive-{number}" for number in range(2)]
    for drive in drives:
        drive.mkdir()
        (drive / FILE_NAME).touch()
    folder = tmp_path / "host" / "layers"
    return LayerDrives(
        folder=str(folder), drives=tuple(map(str, drives)), sectors=16, wait_minutes=0, writes_files=True
    )


@pytest.fixture
def pool():
    with ThreadPoolExecutor(16) as made:
        yield made


@pytest.fixture
def expected(tmp_path):
    """Layers' digests of each sector, labelled by itself in memory."""
    (tmp_path / "alone").mkdir()
    alone = [sector(number, tmp_path / "alone") for number in range(SECTORS)]
    for one in alone:
        label_sectors([one])
    return list(map(layers, alone))


@pytest.fixture
def seals(tmp_path, settings, monkeypatch):
    """Three golden sectors that differ by number, up to their staged files, on a host with drives."""
    settings = msgspec.structs.replace(settings, writes_files=False)
    monkeypatch.setenv(LAYERS_VARIABLE, msgspec.json.encode(settings).decode())
    made = []
    for number in range(3):
        (tmp_path / str(number)).mkdir()
        one = sealing("2k_v1_1", 5, folder=tmp_path / str(number))
        one.case["sector_id"] += number
        made.append((one, one.add_piece()))
    return made


@pytest.fixture
def alone(tmp_path, seals, monkeypatch):
    """Return comm_r and C1 digest of each sector when sealed alone, with its layers in files."""
    found = []
    with monkeypatch.context() as patch:
        patch.delenv(LAYERS_VARIABLE)
        for number in range(3):
            folder = tmp_path / f"alone-{number}"
            folder.mkdir()
            one = sealing("2k_v1_1", 5, folder=folder)
            one.case["sector_id"] += number
            infos = one.add_piece()
            found.append(commit(one, infos, one.pc1(infos)))
    return found
