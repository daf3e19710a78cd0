"""Services are named `<entity>_<verb>`, or ask whether something is, has or may be so."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parents[2]
SERVICES: Final = sorted((ROOT / "apps").glob("*/services/**/*.py"))
VERBS: Final = frozenset(
    verb
    for line in (HERE / "service_verbs.txt").read_text().splitlines()
    if not line.startswith("#")
    for verb in line.split()
)
PREDICATES: Final = frozenset({"is", "has", "may", "can"})


def is_fitting(name: str) -> bool:
    """Return whether a name has a verb after its entity, or asks whether something is so."""
    _, *rest = parts = name.split("_")
    return not VERBS.isdisjoint(rest) or not PREDICATES.isdisjoint(parts)


def public_names(path: Path) -> list[str]:
    """Return the names of a module's public functions."""
    return [
        one.name
        for one in ast.parse(path.read_text()).body
        if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef) and not one.name.startswith("_")
    ]


def test_an_act_has_a_verb_and_a_predicate_its_question() -> None:
    assert is_fitting("sector_remove")
    assert is_fitting("job_mark_sent")
    assert is_fitting("may_take_work")
    assert not is_fitting("removed")
    assert not is_fitting("remove")
    assert not is_fitting("funds_of")


def test_each_service_is_named_by_its_verb() -> None:
    names = {f"{path.relative_to(ROOT)}:{name}" for path in SERVICES for name in public_names(path)}

    assert len(names) > 900
    assert sorted(name for name in names if not is_fitting(name.rpartition(":")[2])) == []
