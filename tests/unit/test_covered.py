"""Marks of statements: what they note is what coverage.py's own tracer sees."""

from __future__ import annotations

from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from pathlib import Path

import pytest
from coverage import Coverage

from tests import covered

SAMPLE = '''"""A module."""

from __future__ import annotations

import functools


@functools.cache
def once(number):
    """Return it."""
    if number > 5:
        return 5
    elif number > 3:
        number += 1
    else:
        number = (
            number - 1
        )
    return number


class Row:
    """A row."""

    name: str = ""
    """What it is called."""

    async def told(self):
        return self.name


def kind(value):
    match value:
        case int():
            return "whole"
        case str():
            return "text"
    for _ in range(3):
        continue
    else:
        value = None
    try:
        value.none
    except KeyError:
        raise
    except AttributeError:
        pass
    finally:
        value = 0
    with open("/dev/null"):
        raise ValueError
    return value


once(4)
kind("text")
try:
    kind([])
except ValueError:
    never = False
'''


def missing(coverage: Coverage, path: Path) -> list[int]:
    """The statements of a file that the data of a run lacks."""
    return list(coverage.analysis2(str(path))[3])


def test_marks_note_what_a_tracer_sees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "sample.py"
    path.write_text(SAMPLE)
    monkeypatch.setattr(covered, "BEGUN", {})
    loader = covered.MarkedLoader("sample", str(path))
    tracing = Coverage(data_file=None, include=[str(path)])

    with tracing.collect():
        exec(compile(SAMPLE, str(path), "exec", dont_inherit=True), {"__name__": "sample"})
    loader.exec_module(module_from_spec(ModuleSpec("sample", loader)))

    marking = Coverage(data_file=None)
    marking.get_data().add_lines({str(path): covered.lines_begun(str(path))})
    assert missing(marking, path) == missing(tracing, path)
    assert missing(tracing, path)


@pytest.mark.parametrize(("least", "code"), [(60.0, 0), (80.0, 1)])
def test_a_share_below_the_least_ends_with_1(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    least: float,
    code: int,
) -> None:
    begun, never = tmp_path / "begun.py", tmp_path / "never.py"
    begun.write_text("a = 1\nb = 2\n")
    never.write_text("c = 3\n")
    monkeypatch.setattr(covered, "SITE", tmp_path)
    monkeypatch.setattr(covered, "DATA", tmp_path / "coverage")
    monkeypatch.setattr(covered, "FILES", frozenset(map(str, (begun, never))))
    monkeypatch.setattr(covered, "GROUPS", {"sample": ("*.py",)})
    monkeypatch.setattr(covered, "LEAST_PERCENT", {"sample": least})
    monkeypatch.setattr(covered, "BEGUN", {str(begun): [0, 1, 1]})
    covered.pytest_unconfigure()

    assert covered.main() == code
    assert capsys.readouterr().out == f"statements that tests begin: sample 66.7 % (at least {least:.0f})\n"


def test_every_group_names_files_and_only_those_are_marked() -> None:
    assert all(covered.files_of(patterns) for patterns in covered.GROUPS.values())
    assert covered.GROUPS.keys() == covered.LEAST_PERCENT.keys()
    measured = covered.SITE / "poolsite" / "wire" / "codec.py"
    spec = covered.MarkedFinder.find_spec("poolsite.wire.codec", [str(measured.parent)])
    assert spec is not None
    assert isinstance(spec.loader, covered.MarkedLoader)
    assert covered.MarkedFinder.find_spec("poolsite.web", [str(covered.SITE / "poolsite")]) is None
