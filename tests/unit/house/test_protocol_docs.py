"""The protocol library is documented in full: functions, classes, fields and constants say what they are.

Functions and classes count wherever they stand, private and nested ones too.  A constant of a module or a
field of a class has a docstring of its own directly below it; one that several share below the last of them
counts for that one alone.  Members of an enumeration may leave it to the class, which says what
the codes are; but each method of an actor says who may call it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

SITE = Path(__file__).parents[3]
FILES = sorted((SITE / "poolsite/filecoin").rglob("*.py"))


def is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and bool(node.value.value)


def is_enumeration(node: ast.Module | ast.ClassDef) -> bool:
    return isinstance(node, ast.ClassDef) and any("Enum" in ast.unparse(base) for base in node.bases)


def undocumented(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not is_docstring(
            node.body[0]
        ):
            yield node.name
        if isinstance(node, ast.Module | ast.ClassDef) and not is_enumeration(node):
            yield from undocumented_values(node.body)
        if isinstance(node, ast.ClassDef) and node.name == "Method":
            yield from undocumented_methods(node)


def undocumented_methods(actor: ast.ClassDef) -> Iterator[str]:
    """Yield an actor's methods that do not say who calls them; one for contracts may be another's."""
    names = {ast.unparse(one.targets[0]) for one in actor.body if isinstance(one, ast.Assign)}
    for name in undocumented_values(actor.body):
        if not (name.endswith("_EXPORTED") and name.removesuffix("_EXPORTED") in names):
            yield name


def undocumented_values(body: list[ast.stmt]) -> Iterator[str]:
    for statement, below in pairwise([*body, ast.Pass()]):
        if isinstance(statement, ast.Assign | ast.AnnAssign) and not is_docstring(below):
            target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
            if ast.unparse(target) != "__slots__":
                yield ast.unparse(target)


@pytest.mark.parametrize("file", FILES, ids=[str(file.relative_to(SITE)) for file in FILES])
def test_every_function_class_field_and_constant_has_a_docstring(file: Path) -> None:
    assert list(undocumented(ast.parse(file.read_text()))) == []


def test_what_lacks_a_docstring_is_named() -> None:
    module = "A = 1\nB = 2\n'''Both.'''\nclass C(enum.Enum):\n  '''C.'''\n  D = 1\ndef f():\n  pass\n"

    assert list(undocumented(ast.parse(module))) == ["A", "f"]


def test_a_method_that_does_not_say_who_calls_it_is_named() -> None:
    values = "  A = 1\n  'By B.'\n  A_EXPORTED = 3\n  C_EXPORTED = 4\n"
    actor = f"class Method(enum.IntEnum):\n  'M.'\n{values}"

    assert list(undocumented(ast.parse(actor))) == ["C_EXPORTED"]
