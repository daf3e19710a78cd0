"""The translations of the pages' texts: each process sees as it starts that what Python reads is of them."""

from __future__ import annotations

import errno
import os
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.core.checks import Warning as Advice
from django.core.checks import register
from django.utils.translation import gettext

CATALOGUE: Final[Path] = settings.LOCALE_PATHS[0] / "zh_Hans" / "LC_MESSAGES" / "django.po"
"""What translators write: each marked text with its translation."""
COMPILED: Final = CATALOGUE.with_suffix(".mo")
STAMP: Final = CATALOGUE.with_suffix(".sha256")
"""Digest of the catalogue and its compiler: times of files differ between copies of a checkout."""
COMPILER: Final = Path(__file__).with_name("catalogue_files.py")
"""The source of the compiler: a change of it compiles the same catalogue again."""


def digest() -> str:
    """Return the digest of the catalogue and of what compiles it."""
    return sha256(CATALOGUE.read_bytes() + COMPILER.read_bytes()).hexdigest()


def is_compiled() -> bool:
    """Return whether what is compiled is this catalogue."""
    return all(one.exists() for one in (COMPILED, STAMP)) and STAMP.read_text() == digest()


def catalogue_compile() -> None:
    """Compile the catalogue if it has changed; whoever may not write here reads what is compiled already."""
    if is_compiled():
        return
    made = digest()  # before it is read: one that changes meanwhile is compiled again
    babel = import_module("apps.core.catalogue_files")  # by name: a process that need not compile loads none
    catalogue = babel.catalogue_read(CATALOGUE)
    try:
        replace(COMPILED, babel.mo_of(catalogue))
        replace(STAMP, made.encode())
    except OSError as refusal:
        if refusal.errno not in {errno.EACCES, errno.EPERM, errno.EROFS}:
            raise
        # `catalogue_check` says so


def replace(path: Path, content: bytes) -> None:
    """Write a file at once: other processes start at the same time."""
    written = path.with_name(f"{path.name}.{os.getpid()}")
    written.write_bytes(content)
    written.replace(path)


@register()
def catalogue_check(**_: Any) -> list[Advice]:
    """Return a warning unless the compiled translations are those of the catalogue."""
    if is_compiled():
        return []
    hint = gettext("Let the owner of {folder} run `manage.py check` once.").format(folder=COMPILED.parent)
    text = gettext("The translations of the pages are not compiled, or were compiled of others.")
    return [Advice(text, hint=hint, id="core.W001")]
