"""Every class and every token of the style sheets is used."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[3]
SHEETS: Final = sorted((ROOT / "static/css").glob("*.css"))
STYLES: Final = re.sub(
    r"/\*.*?\*/", "", "".join(sheet.read_text(encoding="utf8") for sheet in SHEETS), flags=re.DOTALL
)
CLASSES: Final = re.compile(r"""\b(?:class|css)=(?:"((?:[^"{]|{{.*?}}|{%.*?%})*)"|'([^']*)')""", re.DOTALL)
"""What templates write into `class` or hand to a picture as `css`; the words of template tags count too."""
WORD: Final = re.compile(r"[\w-]+")


def _classes_used() -> set[str]:
    """Return the words of every `class` in the templates and cells, and of every string in the scripts."""
    words: set[str] = set()
    for template in (ROOT / "templates").rglob("*.html"):
        for found in CLASSES.findall(template.read_text(encoding="utf8")):
            words.update(WORD.findall(" ".join(found)))
    for module in (ROOT / "apps/dashboard").rglob("*.py"):
        for text in re.findall(r"""(?:css=|class=\\?)"([^"]*)\"""", module.read_text(encoding="utf8")):
            words.update(WORD.findall(text))
    for script in (ROOT / "static/js").glob("*.js"):
        for text in re.findall(r"""["'`]([^"'`]*)["'`]""", script.read_text(encoding="utf8")):
            words.update(WORD.findall(text))
    return words


def test_every_class_is_used() -> None:
    classes = set(re.findall(r"\.([a-zA-Z][\w-]*)", re.sub(r"{[^{}]*}", "{}", STYLES)))
    assert len(classes) > 100
    assert not sorted(classes - _classes_used())


def test_every_token_is_used() -> None:
    tokens = set(re.findall(r"(--[\w-]+):", STYLES))
    assert len(tokens) > 50
    assert not sorted(token for token in tokens if f"var({token}" not in STYLES)


def test_what_a_template_lets_wrap_is_held_in_one_line_by_no_rule() -> None:
    """A column of long reasons pushed those behind it out of the card, on wide screens alone."""
    rules = re.findall(r"([^{}]*\.sub[^{}]*)\{([^{}]*)\}", STYLES)
    held = [select.strip() for select, rule in rules if "white-space: nowrap" in rule]

    assert held
    assert [select for select in held if ":not(.wrap)" not in select] == []
