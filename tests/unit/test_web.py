"""What the web process does before it serves."""

from __future__ import annotations

import gc

from poolsite.web import COLLECT, memory_settle


def test_what_was_loaded_at_the_start_is_collected_no_more():
    before = gc.get_threshold()
    gc.unfreeze()  # what the tests themselves have left out
    try:
        memory_settle()

        assert gc.get_freeze_count() > 10_000
        assert gc.get_threshold() == COLLECT
    finally:
        gc.set_threshold(*before)
