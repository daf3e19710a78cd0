"""What begins first when tests run side by side, and what stays together."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tests.schedule import LONGEST, Schedule, place, without_group
from tests.timing import SITE

GROUPS = ("pool", "browser", "snark", "pair", "lone")


def item(nodeid: str, group: str = "") -> Any:
    mark = SimpleNamespace(args=(group,)) if group else None
    return SimpleNamespace(nodeid=nodeid, get_closest_marker=lambda _name: mark)


@pytest.mark.parametrize("name", sorted({*LONGEST} - {*GROUPS}))
def test_what_begins_early_exists(name: str) -> None:
    assert (SITE / name).exists()


def test_groups_begin_before_long_files_and_those_before_the_rest() -> None:
    long, short = (
        item("tests/integration/sealing/test_life.py::test_x"),
        item("tests/unit/test_web.py::test_x"),
    )
    in_group = item("tests/unit/workers/snark/test_prover.py::test_x", "snark")
    part = item("tests/acceptance/test_main_job.py::test_x[1]", "pool/1")

    assert sorted([short, long, in_group, part], key=place) == [part, in_group, long, short]


@pytest.mark.parametrize(
    ("nodeid", "scope"),
    [
        ("tests/unit/test_web.py::test_x[a@b]", "tests/unit/test_web.py"),
        ("tests/unit/test_web.py::test_y", "tests/unit/test_web.py"),
        ("tests/acceptance/test_main_job.py::test_x[a]@pool", "pool"),
        ("tests/acceptance/test_main_job.py::test_x[1]@pool/1", "pool/1"),
    ],
)
def test_a_file_stays_whole_and_a_group_too(nodeid: str, scope: str) -> None:
    assert Schedule.__new__(Schedule)._split_scope(nodeid) == scope


@pytest.mark.parametrize(
    ("nodeid", "found"),
    [
        ("tests/x.py::test_x[a]@pool", "tests/x.py::test_x[a]"),
        ("tests/x.py::test_x@pool", "tests/x.py::test_x"),
        ("tests/x.py::test_x[a@b]", "tests/x.py::test_x[a@b]"),
        ("tests/x.py::test_x", "tests/x.py::test_x"),
    ],
)
def test_a_second_run_asks_for_a_test_without_its_group(nodeid: str, found: str) -> None:
    assert without_group(nodeid) == found
