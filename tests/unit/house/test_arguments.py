"""Files and folders named to pytest in any order keep the fixtures of their folders."""

from __future__ import annotations

import random

from tests.conftest import folders_first

NAMED = [
    "tests/integration/dashboard",
    "tests/integration/gateway/test_hub.py::test_x",
    "tests/integration/gateway/test_prover.py",
    "tests/integration/test_rpc_post.py",
    "tests/unit/devnet",
    "tests/unit/test_web.py",
]


def test_no_folder_is_named_again_after_a_file_beside_it() -> None:
    shuffled = random.Random(3).sample(NAMED, len(NAMED))
    assert shuffled != NAMED

    assert sorted(shuffled, key=folders_first) == NAMED
