"""Reading and writing catalogues, with Babel (decision 35)."""

from __future__ import annotations

import json
import re
from io import BytesIO
from typing import TYPE_CHECKING, Final

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

if TYPE_CHECKING:
    from pathlib import Path

    from babel.messages.catalog import Catalog

LOCALE: Final = "zh_Hans"
HOLE: Final = re.compile(r"\{[^{}]+\}")
"""A value of a text."""
PAGES: Final = re.compile(r"apps/dashboard/|templates/|apps/\w+/management/")
"""What writes texts that nobody stores."""
HEADER: Final = (
    ("Language", LOCALE),
    ("Content-Type", "text/plain; charset=utf-8"),
    ("Plural-Forms", "nplurals=1; plural=0;"),
)
"""Without dates and the names of programs: two writings of the same texts are the same file."""


def catalogue_read(path: Path) -> Catalog:
    """Read a catalogue."""
    with path.open("rb") as file:
        return read_po(file, locale=LOCALE)


def mo_of(catalogue: Catalog) -> bytes:
    """Return a catalogue as Python reads it."""
    file = BytesIO()
    write_mo(file, catalogue)
    return file.getvalue()


def templates_of(catalogue: Catalog) -> bytes:
    """Return each text with values that a service may store, with its translation, for `stored_texts`.

    Both texts of a plural: Python reads a compiled catalogue without the second.
    """
    pairs = []
    for message in catalogue:
        texts, strings = (
            (one,) if isinstance(one, str) else tuple(one) for one in (message.id, message.string or "")
        )
        if any(PAGES.match(place) is None for place, _ in message.locations):
            pairs += [(text, strings[-1]) for text in texts if HOLE.search(text)]
    return json.dumps(pairs, ensure_ascii=False).encode()


def po_of(catalogue: Catalog) -> bytes:
    """Return a catalogue as people read it, ordered by its texts and without numbers of lines."""
    file = BytesIO()
    write_po(file, catalogue, width=110, include_lineno=False, sort_output=True, omit_header=True)
    header = "".join(f'"{name}: {value}\\n"\n' for name, value in HEADER)
    return f'msgid ""\nmsgstr ""\n{header}\n'.encode() + file.getvalue()
