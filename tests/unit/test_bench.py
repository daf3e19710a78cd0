"""`make bench`: figures are given as they come, and a part is named by a word of its name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.bench import upkeep
from tests.bench.__main__ import cases_named, key_of, line_of, main, modules_named
from tests.bench.baselines import MISSED, NOT_COMPARED, Baselines, processor
from tests.bench.pool import BARE
from tests.bench.rust_proofs import report
from tests.bench.rust_snark import Disagreement, compared
from tests.integration.pools import SITE


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


def test_what_fails_is_a_miss_and_the_others_are_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    def run(case: SimpleNamespace) -> SimpleNamespace:
        if case.name == "first":
            raise ValueError("no such thing")
        return figure(2.0, "s")

    (tmp_path / "baselines.json").write_text("{}")
    monkeypatch.setattr("tests.bench.__main__.BASELINES", tmp_path / "baselines.json")
    broken = module("first", "second")
    broken.run = run
    monkeypatch.setattr("tests.bench.__main__.modules_named", lambda _: [broken, broken])

    assert main([]) == MISSED

    told = capsys.readouterr().out
    assert told.count("FAILED: ValueError('no such thing')") == 2
    assert told.count("FAILED: ProcessLookupError()") == 2
    assert told.count("labels, one sector (0.2 GiB)") == 2
    assert told.endswith("4 limits missed\n")


def test_part_is_named_by_a_word_of_its_name() -> None:
    found = cases_named(module("memory while idle", "share of a core"), ["upkeep:share", "hub"])

    assert next(found).name == "share of a core"


def test_a_name_that_no_module_has_is_refused_with_those_there_are(capsys: Any) -> None:
    with pytest.raises(SystemExit) as ended:
        modules_named(["upkeeep"])

    assert ended.value.code == 2
    assert "no module is called upkeeep: there are" in capsys.readouterr().err


def figure(value: float, unit: str, **more: float) -> SimpleNamespace:
    return SimpleNamespace(name="labels, one sector (0.2 GiB)", value=value, unit=unit, **more)


@pytest.mark.parametrize(("value", "unit"), [(3.0, "/s"), (1 / 3, "s")])
def test_a_figure_a_tenth_behind_what_it_was_has_regressed(value: float, unit: str) -> None:
    measured = figure(value, unit, peer=1.0)

    assert key_of(measured) == "labels, one sector"
    assert line_of(measured, before=3.3)[1]
    assert line_of(measured)[1], "nothing is kept of this kind of processor"
    text, is_good = line_of(measured, before=3.4)
    assert not is_good
    assert "3.00 times" in text
    assert "before 3.40 times  REGRESSED" in text


def test_what_a_figure_once_was_stands_beside_it() -> None:
    measured = figure(167.0, "", limit=200.0, before=10_000.0)

    assert line_of(measured) == (
        f"  {measured.name:<64} {167.0:>12,.1f}    limit 200.0   once 10,000.0",
        True,
    )


def test_ratios_are_kept_by_kind_of_processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = tmp_path / "baselines.json"
    kept.write_text('{"other 1": {"x": 2.0}}')
    monkeypatch.setattr("tests.bench.__main__.BASELINES", kept)
    one = SimpleNamespace(
        __name__="tests.bench.x", cases=lambda: ["x"], run=lambda _: figure(2.0, "/s", peer=1.0)
    )
    monkeypatch.setattr("tests.bench.__main__.modules_named", lambda _: [one])

    assert main([], keeps=True) == 0
    [kind] = set(json.loads(kept.read_text())) - {"other 1"}
    assert json.loads(kept.read_text())[kind] == {"labels, one sector": 2.0}
    one.run = lambda _: figure(1.7, "/s", peer=1.0)
    assert main([]) == 1, "it has regressed"
    assert json.loads(kept.read_text())[kind] == {"labels, one sector": 2.0}


def test_without_baselines_a_run_is_not_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    kept = tmp_path / "baselines.json"
    kept.write_text('{"other 1": {"labels, one sector": 2.0}}')
    monkeypatch.setattr("tests.bench.__main__.BASELINES", kept)
    one = SimpleNamespace(
        __name__="tests.bench.x", cases=lambda: ["x"], run=lambda _: figure(2.0, "/s", peer=1.0)
    )
    monkeypatch.setattr("tests.bench.__main__.modules_named", lambda _: [one])

    assert main(["x"]) == NOT_COMPARED
    told = capsys.readouterr().out
    kind = processor(Path("/proc/cpuinfo").read_text())
    assert f"no baselines for {kind}; write them by `python -m tests.bench --keep x`" in told
    assert told.endswith("limits kept, ratios NOT COMPARED\n")


@pytest.fixture
def rust_kept(tmp_path: Path) -> Path:
    """Baselines of this kind of processor for one figure."""
    kept = tmp_path / "rust.json"
    kept.write_text(json.dumps({processor(Path("/proc/cpuinfo").read_text()): {"NTT 2^20": 10.0}}))
    return kept


@pytest.mark.parametrize(("seconds", "code"), [(0.11, 0), (0.12, MISSED)])
def test_a_ratio_to_rust_a_tenth_lower_is_a_miss(
    rust_kept: Path, capsys: Any, seconds: float, code: int
) -> None:
    baselines = Baselines(rust_kept, command="`x --keep`")

    assert (
        report({"NTT 2^20": (seconds, "s")}, {"NTT 2^20": (1.0, "s")}, targets={}, baselines=baselines)
        == code
    )
    assert ("before 10.00 times  REGRESSED" in capsys.readouterr().out) is bool(code)


def test_figures_new_beside_rust_are_named(rust_kept: Path, capsys: Any) -> None:
    figures = dict.fromkeys(("NTT 2^20", "h 2^17"), (0.1, "s"))
    peers = dict.fromkeys(figures, (1.0, "s"))
    baselines = Baselines(rust_kept, command="`x --keep`")

    assert report(figures, peers, targets={}, baselines=baselines) == NOT_COMPARED
    assert "they lack h 2^17; write them by `x --keep`" in capsys.readouterr().out


def test_results_that_differ_from_rusts_end_the_run() -> None:
    mine = {"name": "h 2^17", "value": 1.0, "unit": "s", "digest": "a"}

    assert compared([mine], [mine | {"value": 2.0}])[1] == {"h 2^17": (2.0, "s")}
    with pytest.raises(Disagreement, match="h 2\\^17: a here, b there"):
        compared([mine], [mine | {"digest": "b"}])


def test_processors_are_told_apart_by_what_kernels_use() -> None:
    told = "vendor_id\t: AuthenticAMD\ncpu family\t: 26\nflags\t\t: fpu sha_ni avx512ifma\n\nprocessor\t: 1\n"

    assert processor(told) == "AuthenticAMD 26 avx512ifma sha_ni"


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
