"""What `make test` leaves to `make soak` is there, under the names by which it is left."""

from __future__ import annotations

import ast
import re

import pytest

from tests.left_to_soak import LEFT, is_left
from tests.timing import SITE


@pytest.mark.parametrize("nodeid", LEFT)
def test_what_is_left_exists(nodeid: str) -> None:
    file, _, test = nodeid.partition("::")
    name, _, values = test.rstrip("]").partition("[")
    functions = {
        node.name: ast.unparse(node)
        for node in ast.parse((SITE / file).read_text()).body
        if isinstance(node, ast.FunctionDef)
    }

    assert name in functions
    for value in filter(None, re.split(r"-(?=[A-Z])", values)):
        assert re.search(rf"\b{value.split()[0]}\b", functions[name]), f"{name} has no case {value}"


def test_only_named_tests_are_left() -> None:
    file = "tests/integration/sealing/test_windows.py"
    name = "test_a_branch_that_leaves_before_the_challenge_costs_no_window"

    assert is_left(f"{file}::{name}[6]")
    assert not is_left(f"{file}::{name}[2]")
    assert not is_left(f"{file}::test_kill_around_the_push_sends_one_message")
