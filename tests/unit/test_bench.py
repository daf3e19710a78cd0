"""`make bench`: figures are given as they come, and a part is named by a word of its name."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from tests.bench import upkeep
from tests.bench.__main__ import cases_named, modules_named
from tests.bench.pool import BARE
from tests.integration.pools import SITE

if TYPE_CHECKING:
    from collections.abc import Iterator


def module(*names: str) -> SimpleNamespace:
    """Measures these, and then a process has ended."""

    def cases() -> Iterator[SimpleNamespace]:
        yield from (SimpleNamespace(name=name) for name in names)
        raise ProcessLookupError

    return SimpleNamespace(__name__="tests.bench.upkeep", cases=cases)


def test_figures_before_a_failure_are_given() -> None:
    found = cases_named(module("memory while idle", "share of a core"), [])

    assert [next(found).name for _ in range(2)] == ["memory while idle", "share of a core"]
    with pytest.raises(ProcessLookupError):
        next(found)


def test_part_is_named_by_a_word_of_its_name() -> None:
    found = cases_named(module("memory while idle", "share of a core"), ["upkeep:share", "hub"])

    assert next(found).name == "share of a core"


def test_a_name_that_no_module_has_is_refused_with_those_there_are(capsys: Any) -> None:
    with pytest.raises(SystemExit) as ended:
        modules_named(["upkeeep"])

    assert ended.value.code == 2
    assert "no module is called upkeeep: there are" in capsys.readouterr().err


def test_upkeep_is_measured_beside_none_of_the_tests_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is found is loaded: structlog takes rich, REST framework takes requests."""
    made: list[list[object]] = []
    begun: list[object] = []
    monkeypatch.setattr("tests.bench.pool.subprocess.run", lambda words, **_: made.append(words))
    monkeypatch.setattr("tests.bench.upkeep.RunningPool", lambda **_: Begun(begun))

    with pytest.raises(InterruptedError):
        next(upkeep.cases())

    assert begun == [BARE / "bin" / "python"]
    assert made[0][-2:] == [str(BARE), str(SITE / "requirements.txt")]


class Begun:
    """A pool that notes what it is run by, and is not."""

    python: object = None

    def __init__(self, begun: list[object]) -> None:
        self.begun = begun

    def __enter__(self) -> None:
        self.begun.append(self.python)
        raise InterruptedError

    def __exit__(self, *_: object) -> None: ...
