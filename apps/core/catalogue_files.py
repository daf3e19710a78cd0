"""Reading and writing catalogues, with Babel (decision 35)."""

from __future__ import annotations

import json
import re
from io import BytesIO
from pathlib import Path
from typing import Final

from babel.messages.catalog import Catalog, Message
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

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


def is_stored(message: Message) -> bool:
    """Return whether a service may store a text."""
    return any(PAGES.match(place) is None for place, _ in message.locations)


def templates_of(catalogue: Catalog) -> bytes:
    """Return each text with values that a service may store, with its translation, for `stored_texts`.

    Both texts of a plural: Python reads a compiled catalogue without the second.  Of those that older rows
    still have, also the ones without values, which the compiled catalogue lacks.
    """
    pairs = [pair for one in catalogue if is_stored(one) for pair in _pairs(one) if HOLE.search(pair[0])]
    pairs += [pair for one in catalogue.obsolete.values() for pair in _pairs(one)]
    return json.dumps(pairs, ensure_ascii=False).encode()


def _pairs(message: Message) -> list[tuple[str, str]]:
    texts, strings = (
        (one,) if isinstance(one, str) else tuple(one) for one in (message.id, message.string or "")
    )
    return [(text, strings[-1]) for text in texts]


def po_of(catalogue: Catalog) -> bytes:
    """Return a catalogue as people read it, ordered by its texts and without numbers of lines."""
    file = BytesIO()
    write_po(file, catalogue, width=110, include_lineno=False, sort_output=True, omit_header=True)
    header = "".join(f'"{name}: {value}\\n"\n' for name, value in HEADER)
    return f'msgid ""\nmsgstr ""\n{header}\n'.encode() + file.getvalue()
