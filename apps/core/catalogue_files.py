"""Reading and writing catalogues, with Babel (decision 35)."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Final

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

LOCALE: Final = "zh_Hans"
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


def po_of(catalogue: Catalog) -> bytes:
    """Return a catalogue as people read it, ordered by its texts and without numbers of lines."""
    file = BytesIO()
    write_po(file, catalogue, width=110, include_lineno=False, sort_output=True, omit_header=True)
    header = "".join(f'"{name}: {value}\\n"\n' for name, value in HEADER)
    return f'msgid ""\nmsgstr ""\n{header}\n'.encode() + file.getvalue()
