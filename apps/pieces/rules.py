"""Rules of a piece: what the file may be called whose bytes it is; the name is a text here, never a path."""

from __future__ import annotations

import unicodedata
from typing import Final
from urllib.parse import unquote, urlsplit

from apps.core.errors import BadValue
from apps.core.marked_texts import gettext
from apps.core.sanitize import has_marks

BYTES_MAX: Final = 255
"""As file systems have it."""
UNSEEN: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Unicode's categories of control characters, halves of a character, ends of lines and of paragraphs."""


def file_name_require(text: str) -> str:
    """Return a file's name as it is kept.  Raises BadValue."""
    name = text.strip()
    if reason := _fault(name):
        raise BadValue(reason, field="file_name")
    return name


def file_name_or_none(text: str) -> str:
    """Return a name that came with bytes which are taken whatever they are called; empty for a bad one."""
    name = text.strip()
    return "" if _fault(name) else name


def file_name_of_url(url: str) -> str:
    """Return the end of a URL's path, if that is a name."""
    return file_name_or_none(unquote(urlsplit(url).path.rpartition("/")[2]))


def _fault(name: str) -> str:
    """Return what is wrong with a name; empty for a good one, and for none."""
    if "/" in name or "\\" in name or name in (".", ".."):
        return gettext("a file's name must not contain a folder")
    if has_marks(name) or any(unicodedata.category(one) in UNSEEN for one in name):
        return gettext(
            "a file's name must not contain invisible characters, or marks that change the direction of text"
        )
    if len(name.encode()) > BYTES_MAX:
        return gettext("a file's name must have at most {most} bytes").format(most=BYTES_MAX)
    return ""
