"""Kernels: a line for each parameter with dtype and shape, options from one place, nothing raised."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

WORKERS = Path(__file__).parents[3] / "workers"
TYPE = r"(\d+ x )?\(?(u8|u32|u64|i32|i64|bool|int|tuple|step)"
"""How the type of a parameter begins: `u32[n, 8]`, `i64`, a tuple of such, a compiled step."""
PARAMETERS_MAX = 8


def kernels() -> Iterator[tuple[str, ast.FunctionDef]]:
    for path in sorted(WORKERS.rglob("*.py")):
        source = path.read_text()
        for node in ast.walk(ast.parse(source)) if "njit" in source else ():
            if isinstance(node, ast.FunctionDef) and any(
                "njit" in ast.unparse(d) for d in node.decorator_list
            ):
                yield f"{path.stem}.{node.name}", node


KERNELS = [pytest.param(node, id=name) for name, node in kernels()]


@pytest.mark.parametrize("kernel", KERNELS)
def test_every_kernel_has_a_shape_block(kernel: ast.FunctionDef) -> None:
    text = ast.get_docstring(kernel) or ""
    names: set[str] = set()
    for line in re.finditer(rf"^(?P<names>\w+(, \w+)*): +{TYPE}", text, re.M):
        names |= set(line["names"].split(", "))

    missing = [argument.arg for argument in kernel.args.args if argument.arg not in names]
    assert not missing, f"{kernel.name} says no dtype and shape of {', '.join(missing)}"


@pytest.mark.parametrize("kernel", KERNELS)
def test_kernels_have_the_common_options_few_parameters_and_raise_nothing(kernel: ast.FunctionDef) -> None:
    options = [ast.unparse(d) for d in kernel.decorator_list if "njit" in ast.unparse(d)]
    assert options in (["njit(**SERIAL)"], ["njit(**STEP)"])
    assert len(kernel.args.args) <= PARAMETERS_MAX
    assert not [node for node in ast.walk(kernel) if isinstance(node, ast.Raise)]
