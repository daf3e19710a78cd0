"""Sectors' files are looked at without a proof: what is good, what is missing, what is damaged."""

from __future__ import annotations

import errno
import os
import time

import pytest
from msgspec.structs import replace

from tests.unit.workers.processors.post import SEED, flip, sealed
from workers.processors import codec, sector_check, window_post
from workers.processors.errors import TemporaryError
from workers.processors.post_tasks import SectorCheckTask, WindowPostTask
from workers.processors.stages import stage_named
from workers.storage.sector import SectorFiles

__all__ = ["sealed"]


def test_good_sectors_are_not_named_and_each_is_read_once(sealed):
    _, replica = sealed
    told = []

    output = sector_check.run(
        SectorCheckTask(10, (replica, replica), SEED), progress=lambda *done: told.append(done)
    )

    assert (output.bad, told) == ((), [(1, 1)])


@pytest.mark.parametrize("number", [errno.ENOMEM, errno.EMFILE, errno.ENFILE])
def test_a_host_short_of_memory_or_open_files_calls_no_sector_faulty(sealed, monkeypatch, number):
    def short(_):
        raise OSError(number, os.strerror(number))

    _, replica = sealed
    monkeypatch.setattr(SectorFiles, "roots_read", short)

    with pytest.raises(TemporaryError, match=os.strerror(number)):
        sector_check.run(SectorCheckTask(10, (replica,), SEED))
    with pytest.raises(TemporaryError, match=os.strerror(number)):
        window_post.run(WindowPostTask(1000, 10, (replica,), SEED))


@pytest.mark.parametrize("name", ["sealed", "cache/p_aux", "cache/sc-02-data-tree-r-last.dat"])
def test_missing_file_is_named(sealed, name):
    sector, replica = sealed
    (sector.folder / name).unlink()

    [bad] = sector_check.run(SectorCheckTask(10, (replica,), SEED)).bad

    assert bad.sector_id == 1
    assert name.rpartition("/")[2] in bad.reason


def test_damage_at_the_challenged_leaf_is_found(sealed):
    sector, replica = sealed
    for at in range(0, 2048, 32):  # one leaf is opened, and nobody knows which
        flip(sector.sealed, at)

    [bad] = sector_check.run(SectorCheckTask(10, (replica,), SEED)).bad

    assert "damaged" in bad.reason


def test_check_keeps_its_pace(sealed):
    _, replica = sealed
    other = replace(replica, sector_id=2, sealed_file="/nowhere")
    sector_check.run(SectorCheckTask(10, (replica,), SEED))  # kernels are compiled

    begun = time.monotonic()
    output = sector_check.run(SectorCheckTask(10, (replica, other), SEED, per_second=5))

    assert time.monotonic() - begun >= 0.2
    assert [bad.sector_id for bad in output.bad] == [2]


def test_task_and_output_cross_the_processor_protocol(sealed):
    _, replica = sealed
    stage, task = stage_named("sector_check"), SectorCheckTask(10, (replica,), SEED, per_second=3)

    assert codec.decode(stage.task, codec.encode(task)) == task
    output = sector_check.run(replace(task, replicas=(replace(replica, sealed_file="/nowhere"),)))
    assert codec.decode(stage.output, codec.encode(output)) == output
