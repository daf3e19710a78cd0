"""Words of our commands are found wherever options stand between them, as in their help."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management import CommandError, load_command_class

WORDS: dict[str, tuple[str, dict[str, Any]]] = {
    "deadlines": ("compact f01000 --deadline 3 0 1", {"partitions": [0, 1], "deadline": 3}),
    "failures": ("retry --state PC1_DONE 8d1c", {"fingerprint": "8d1c", "state": "PC1_DONE"}),
    "hosts": ("set --tenant alice box parallel=2", {"words": ["box", "parallel=2"], "tenant": "alice"}),
    "miners": ("move --skip-checks f01000 out height=9", {"values": ["out", "height=9"]}),
    "pieces": ("purpose --miner f01000 baga deal", {"piece": "baga", "purpose": "deal"}),
    "planner": ("f01000 --no-color count=2", {"words": ["f01000", "count=2"]}),
    "sealing": ("info --all f01000", {"miner": "f01000", "all": True}),
    "sectors": ("retry f01000 --state PC1_DONE 5 7-9", {"numbers": ["5", "7-9"], "state": "PC1_DONE"}),
    "stores": (
        "remove-leftovers --host box s-t01000-5 s-t01000-6",
        {"name": "s-t01000-5", "values": ["s-t01000-6"], "host": "box"},
    ),
}


@pytest.mark.parametrize("name", WORDS)
def test_words_are_found_behind_options(name: str) -> None:
    line, wanted = WORDS[name]

    options = vars(
        load_command_class("apps.api", name).create_parser("manage.py", name).parse_args(line.split())
    )

    assert {word: options[word] for word in wanted} == wanted


@pytest.mark.parametrize(("line", "words"), [("list --nope", "--nope"), ("nothing", "invalid choice")])
def test_what_is_not_understood_is_named(line: str, words: str) -> None:
    parser = load_command_class("apps.api", "stores").create_parser("manage.py", "stores")
    parser.called_from_command_line = False

    with pytest.raises(CommandError, match=words):
        parser.parse_args(line.split())
