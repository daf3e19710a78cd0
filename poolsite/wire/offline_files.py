"""The file that takes messages to a key that is kept offline: its form, and the same in QR codes.

A code carries `poolsite-offline/1 INDEX/TOTAL CHECK PART`: `CHECK` is the same in all codes of one file, so
that whoever puts them together notices a code of another.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from typing import Any, Final

FORMAT: Final = "poolsite-offline/1"
PART_LEN: Final = 440
"""Characters of the file in one code: a code of 77 modules, which a phone reads from a screen."""
CHECK_LEN: Final = 8
FRAME: Final = re.compile(rf"{re.escape(FORMAT)} (\d{{1,4}})/(\d{{1,4}}) ([0-9a-f]{{{CHECK_LEN}}}) (.*)")


class BadFrames(Exception):
    """What was read is not the whole of one file."""


def frames_make(document: dict[str, Any]) -> list[str]:
    """Return a file as the texts of QR codes; the parts are ASCII without spaces, which readers trim."""
    text = json.dumps(document, separators=(",", ":")).replace(" ", "\\u0020")
    total = math.ceil(len(text) / PART_LEN)
    parts = (text[at * PART_LEN : (at + 1) * PART_LEN] for at in range(total))
    return [f"{FORMAT} {index}/{total} {_check(text)} {part}" for index, part in enumerate(parts, 1)]


def document_read(text: str) -> Any:
    """Return the JSON of a file, or of its QR codes, one a line in any order.  Raises BadFrames."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if lines and lines[0].startswith(f"{FORMAT} "):
        text = _joined(lines)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadFrames(f"this is no JSON: {error}") from None


def _joined(lines: list[str]) -> str:
    parts: dict[int, str] = {}
    known: tuple[str, str] | None = None
    for number, line in enumerate(lines, 1):
        found = FRAME.fullmatch(line)
        if found is None:
            raise BadFrames(f"line {number} is no code of a {FORMAT} file")
        index, total, check, part = found.groups()
        if known not in (None, (total, check)):
            raise BadFrames(f"line {number} is a code of another file")
        known, parts[int(index)] = (total, check), part
    assert known is not None  # there is a line
    wanted = range(1, int(known[0]) + 1)
    if missing := [str(index) for index in wanted if index not in parts]:
        raise BadFrames(f"codes {', '.join(missing[:20])} of {known[0]} are missing")
    text = "".join(parts[index] for index in wanted)
    if _check(text) != known[1]:
        raise BadFrames("the codes were not read right: read them again")
    return text


def _check(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:CHECK_LEN]
