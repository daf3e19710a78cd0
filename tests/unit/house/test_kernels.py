"""Kernels: a line for each parameter with dtype and shape, what each answers for, options from one place."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
WORKERS, TESTS = ROOT / "workers", ROOT / "tests"
TYPE = r"(\d+ x )?\(?(u8|u32|u64|i32|i64|f64|bool|int|tuple|step)"
"""How the type of a parameter begins: `u32[n, 8]`, `i64`, a tuple of such, a compiled step."""
PARAMETERS_MAX = 8
FIELDS = ("Cost", "Threads", "Errors", "Source", "Twin", "Golden")
"""What a kernel that Python calls says after its parameters."""


def kernels() -> Iterator[tuple[str, ast.FunctionDef]]:
    for path in sorted(WORKERS.rglob("*.py")):
        source = path.read_text()
        for node in ast.walk(ast.parse(source)) if "njit" in source else ():
            if isinstance(node, ast.FunctionDef) and any(
                "njit" in ast.unparse(d) for d in node.decorator_list
            ):
                yield f"{path.stem}.{node.name}", node


def twins_named(text: str) -> list[tuple[str, str]]:
    """The files and functions that a docstring names as twins."""
    named = re.findall(r"tests/naive/(\w+)\.py((?: \w+,?)*)", text)
    return [
        (file, function) for file, functions in named for function in re.findall(r"\w+", functions) or [""]
    ]


def naive_uses(path: Path) -> Iterator[tuple[str, str]]:
    """The files and functions of `tests.naive` that a test module uses."""
    source = path.read_text()
    if "tests.naive" not in source:
        return
    tree, modules = ast.parse(source), dict[str, str]()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "tests.naive":
            modules |= {name.asname or name.name: name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tests.naive."):
            yield from ((str(node.module).removeprefix("tests.naive."), name.name) for name in node.names)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
            yield modules[node.value.id], node.attr


KERNELS = [pytest.param(node, id=name) for name, node in kernels()]


@pytest.mark.parametrize("kernel", KERNELS)
def test_every_kernel_has_a_shape_block(kernel: ast.FunctionDef) -> None:
    text = ast.get_docstring(kernel) or ""
    names: set[str] = set()
    for line in re.finditer(rf"^(?P<names>\w+(, \w+)*): +{TYPE}", text, re.M):
        names |= set(line["names"].split(", "))

    missing = [argument.arg for argument in kernel.args.args if argument.arg not in names]
    assert not missing, f"{kernel.name} says no dtype and shape of {', '.join(missing)}"


PUBLIC = [
    pytest.param(node, id=name)
    for name, node in kernels()
    if not node.name.startswith("_") and "SERIAL" in ast.unparse(node.decorator_list[0])
]
DOCUMENTED = [
    pytest.param(text, id=f"{path.stem}.{node.name}")
    for path in sorted((WORKERS / "kernels").glob("*.py"))
    for node in ast.walk(ast.parse(path.read_text()))
    if isinstance(node, ast.FunctionDef)
    and re.search(r"\b(Twin|Golden):", text := ast.get_docstring(node) or "")
]
USED_TWINS = {use for path in (TESTS / "unit").rglob("*.py") for use in naive_uses(path)}


@pytest.mark.parametrize("kernel", PUBLIC)
def test_a_kernel_that_python_calls_says_what_it_answers_for(kernel: ast.FunctionDef) -> None:
    text = ast.get_docstring(kernel) or ""

    missing = [field for field in FIELDS if not re.search(rf"(^|   ){field}: +\S", text, re.M)]
    assert not missing, f"{kernel.name} says nothing of {', '.join(missing)}"
    assert re.search(r"Twin: +(tests/naive/|none; )", text), (
        "no file of tests/naive, and not “none” with a reason"
    )
    assert re.search(r"Golden: +(none; |.*tests/golden/)", text), (
        "no golden file, and not “none” with a reason"
    )


@pytest.mark.parametrize("text", DOCUMENTED)
def test_twins_and_golden_files_of_kernels_exist(text: str) -> None:
    for file, function in twins_named(text):
        twins = ast.parse((TESTS / "naive" / f"{file}.py").read_text()).body
        assert function in [node.name for node in twins if isinstance(node, ast.FunctionDef)]
        assert (file, function) in USED_TWINS, f"no test uses {function}"
    for name in re.findall(r"[\w*/]+\.json", text.partition("Golden:")[2]):
        assert list((TESTS / "golden").rglob(name.rpartition("/")[2])), f"there is no {name}"


@pytest.mark.parametrize("kernel", KERNELS)
def test_kernels_have_the_common_options_few_parameters_and_raise_nothing(kernel: ast.FunctionDef) -> None:
    options = [ast.unparse(d) for d in kernel.decorator_list if "njit" in ast.unparse(d)]
    assert options in (["njit(**SERIAL)"], ["njit(**STEP)"])
    assert len(kernel.args.args) <= PARAMETERS_MAX
    assert not [node for node in ast.walk(kernel) if isinstance(node, ast.Raise)]
