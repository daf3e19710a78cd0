"""The JSON of c1 that a task of c2 brings, or names; loads no kernel."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from workers.processors.errors import BadInput, file_error

if TYPE_CHECKING:
    from workers.processors.tasks import C2Task


def c1_text(task: C2Task) -> str | bytes:
    """Return the JSON of c1, wherever it is.  Raises BadInput, BadFile."""
    if task.c1_json is not None:
        return task.c1_json
    if task.c1_path is None:
        raise BadInput("neither c1_json nor c1_path")
    try:
        return Path(task.c1_path).read_bytes()
    except OSError as error:
        raise file_error(error) from None
