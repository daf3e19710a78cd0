"""`manage.py makemessages`: writes the texts that are marked for translation into the catalogue."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Any, Final

from babel.messages.catalog import Catalog
from django.conf import settings
from django.core.management.base import BaseCommand
from django.utils.translation import gettext
from django.utils.translation.template import templatize

from apps.core.catalogue import CATALOGUE, catalogue_compile
from apps.core.catalogue_files import LOCALE, catalogue_read, po_of
from apps.core.formatting import plural_forms
from poolsite.filecoin.actors.exitcodes import ACTOR_CODES, MEANINGS
from poolsite.wire.pipeline import PIPELINES
from poolsite.wire.pipeline.changes import EXTENDING, TERMINATING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    Text = str | tuple[str, str]
    Marked = tuple[str, Text]
    """Context, or "", and a text, or its singular and plural."""

MARKS: Final = frozenset({"_", "gettext", "gettext_lazy", "gettext_noop", "say"})
PLURAL_MARKS: Final = frozenset({"ngettext", "ngettext_lazy", "ngettext_noop"})
CONTEXT_MARKS: Final = frozenset({"pgettext", "pgettext_lazy"})
OF_DJANGO: Final = (
    (
        "This password is too short. It must contain at least %d character.",
        "This password is too short. It must contain at least %d characters.",
    ),
)
"""Texts of Django on our pages that it does not translate itself."""
LITERAL: Final = r"""u?(?:'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")"""
CALL: Final = re.compile(rf"\b(n?p?gettext|_)\(({LITERAL}(?:, {LITERAL})*)(?:, ?count)?\)")
"""How Django's `templatize` writes a marked text of a template."""


def marked_call(name: str, texts: list[str]) -> Marked | None:
    """Return what a call marks; None if it marks nothing."""
    if name in MARKS and texts:
        return "", texts[0]
    if name in CONTEXT_MARKS and len(texts) > 1:
        return texts[0], texts[1]
    if name in PLURAL_MARKS and len(texts) > 1:
        return "", (texts[0], texts[1])
    if name in ("plural", "counted", "at_least") and texts:
        return "", plural_forms(*texts[:2])
    return None


def python_texts(source: str) -> Iterator[Marked]:
    """Yield the texts that a module marks."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            texts = [
                one.value for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str)
            ]
            if (marked := marked_call(name, texts)) is not None and marked[1]:
                yield marked


def template_texts(source: str) -> Iterator[Marked]:
    """Yield the texts that a template marks."""
    for name, literals in CALL.findall(templatize(source)):
        texts = [ast.literal_eval(one) for one in re.findall(LITERAL, literals)]
        if (marked := marked_call(name, texts)) is not None and marked[1]:
            yield marked


def texts_of(path: Path) -> Iterator[Marked]:
    """Yield the texts that a file marks."""
    return (template_texts if path.suffix == ".html" else python_texts)(path.read_text())


def table_texts() -> Iterator[Marked]:
    """Yield the texts of tables that cannot mark them: stages and exit codes, and what Django leaves out."""
    changes = (*TERMINATING, *EXTENDING)
    for spec in (*(spec for table in PIPELINES.values() for spec in table), *changes):
        yield "stage", spec.label
        for text in (spec.done, spec.status or (spec.label.lower() if spec in changes else "")):
            if text:
                yield "", text
    yield from (("", text) for text in (*MEANINGS.values(), *ACTOR_CODES.values()))
    yield from (("", text) for text in OF_DJANGO)


def marked_texts() -> dict[Marked, list[str]]:
    """Return all texts that are marked, each with the files that have it."""
    site = settings.BASE_DIR
    files = [*(site / "apps").rglob("*.py"), *(site / "templates").rglob("*.html")]
    found: dict[Marked, list[str]] = {}
    for path in sorted(file for file in files if "migrations" not in file.parts):
        for marked in dict.fromkeys(texts_of(path)):
            found.setdefault(marked, []).append(str(path.relative_to(site)))
    for marked in dict.fromkeys(table_texts()):
        found.setdefault(marked, []).append("poolsite")
    return found


def catalogue_merge(old: Catalog) -> Catalog:
    """Return the catalogue of all marked texts, with the translations that there are."""
    new = Catalog(locale=LOCALE)
    for (context, text), places in marked_texts().items():
        before = old.get(text, context or None)
        string = before.string if before is not None and before.id == text else ""
        new.add(text, string, [(place, 0) for place in places], context=context or None)
    return new


class Command(BaseCommand):
    """Keeps translations, adds texts that have none yet and removes those that no file has."""

    help = "Write the texts that are marked for translation into the catalogue."

    def handle(self, **_: Any) -> None:
        """Write the catalogue, and say what is left to translate."""
        new = catalogue_merge(catalogue_read(CATALOGUE))
        CATALOGUE.write_bytes(po_of(new))
        catalogue_compile()
        missing = [message for message in new if message.id and not any(message.string or "")]
        summary = gettext("{file}: {texts} texts, {missing} to translate")
        self.stdout.write(summary.format(file=CATALOGUE, texts=len(new), missing=len(missing)))
