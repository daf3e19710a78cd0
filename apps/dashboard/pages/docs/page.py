"""The repository's documents as pages, for everybody: no session is read, no cookie set, no script loaded.

They hold no secret and read no database, so an operator who is signed in can open them while it is offline.
They exist as Markdown files only.  Links are rewritten to pages, headings get GitHub's anchors, and diagrams
become tables of their arrows, since drawing them would take a script.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Final

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path, reverse
from django.utils.cache import patch_cache_control
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe
from markdown_it import MarkdownIt
from markdown_it.token import Token

from apps.dashboard.languages import without_session

FOLDER: Final = "docs/"
DECISIONS: Final = "decisions"
"""The folder of decisions: the console adds a list of them to its own page."""
BESIDE: Final = {"about": "README.md", "contributing": "CONTRIBUTING.md"}
"""Documents outside the folder, by their path below /docs/."""
PICTURES: Final = "docs/screens/"
MARKDOWN: Final = MarkdownIt("commonmark", {"html": False}).enable("table")
MERMAID: Final = re.compile(r"^```mermaid\n(.*?)^```$", re.DOTALL | re.MULTILINE)
ARROW: Final = re.compile(
    r"^ +(?P<source>\S.*?) (?:-->|-\. (?P<over>.+?) \.->) (?P<target>\S+?(?:\[.*?\])?)(?:: (?P<by>.*))?$",
    re.MULTILINE,
)
"""An arrow of a state diagram or a flow: `A --> B: EVENT`, `a["f<br>module"] -. row .-> b["g<br>module"]`."""
BOX: Final = re.compile(r'\w+\["(.+?)<br>(.+?)"\]')
HEADING: Final = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
CODE: Final = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
LINK_TEXT: Final = re.compile(r"\[([^\]]*)\]\([^)]*\)")
MARKS: Final = re.compile(r"[`*|]|-{3,}")
"""Markup that excerpts leave out."""
FOUND_MAX: Final = 40
EXCERPT: Final = 160


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading within a page."""

    text: str
    anchor: str


@dataclass(frozen=True, slots=True)
class Page:
    """A document as HTML."""

    title: str
    html: SafeString
    """Made from this project's own files; HTML in them is escaped."""
    headings: tuple[Heading, ...]
    """Those of the second level."""


@dataclass(frozen=True, slots=True)
class Section:
    """A heading with the text below it, up to the next one."""

    name: str
    """The document's path below /docs/."""
    title: str
    """The document's title."""
    heading: Heading
    text: str
    searched: str
    """Title, heading and text in lower case."""

    @property
    def href(self) -> str:
        return f"{document_href(self.name)}#{self.heading.anchor}"


@dataclass(frozen=True, slots=True)
class Match:
    """A section with all words of a search."""

    section: Section
    excerpt: str


@cache
def documents() -> dict[str, Path]:
    """Return the file of each document by its path below /docs/; the index's is empty."""
    root = settings.BASE_DIR
    found = {_name_of(str(file.relative_to(root))): file for file in sorted((root / FOLDER).rglob("*.md"))}
    return found | {name: root / path for name, path in BESIDE.items()}


@cache
def pictures() -> dict[str, Path]:
    """Return the pictures of the documents by their names."""
    return {file.name: file for file in (settings.BASE_DIR / PICTURES).glob("*.png")}


def document_href(name: str) -> str:
    """Return the address of a document."""
    return reverse("docs-page", args=[name]) if name else reverse("docs")


def document_page(name: str) -> Page:
    """Return a document as HTML.  Raises KeyError."""
    return _rendered(name, documents()[name].stat().st_mtime_ns)


def anchor_of(heading: str) -> str:
    """Return the anchor of a heading, as GitHub makes it."""
    return re.sub(r"[^\w -]", "", heading.strip().lower()).replace(" ", "-")


def documents_search(text: str) -> list[Match]:
    """Return the sections that contain every word, those with most of them in their heading first."""
    words = text.lower().split()[:10]
    if not words:
        return []
    matching = [section for section in _sections() if all(word in section.searched for word in words)]
    phrase = " ".join(words)

    def order(section: Section) -> tuple[int, int, bool]:
        heading, title = section.heading.text.lower(), section.title.lower()
        in_heading, in_title = (sum(word in part for word in words) for part in (heading, title))
        return -in_heading, -in_title, phrase not in section.searched

    best = sorted(matching, key=order)[:FOUND_MAX]
    return [Match(section, _excerpt(section.text, [phrase, *words])) for section in best]


def _name_of(path: str) -> str:
    """Return the path below /docs/ of a file of the folder: `sealing/pledge` for `docs/sealing/pledge.md`."""
    return path.removeprefix(FOLDER).removesuffix(".md").removesuffix("README").removesuffix("/")


@lru_cache(maxsize=256)
def _rendered(name: str, _changed_ns: int) -> Page:
    file = documents()[name]
    text = MERMAID.sub(_arrows_table, file.read_text())
    tokens = MARKDOWN.parse(text + _decisions_list() if name == DECISIONS else text)
    title, headings = file.stem, []
    for index, token in enumerate(tokens):
        if token.type == "heading_open":
            inline = tokens[index + 1]
            text, anchor = _plain(inline), anchor_of(inline.content)
            token.attrSet("id", anchor)
            if token.tag == "h1":
                title = text
            elif token.tag == "h2":
                headings.append(Heading(text, anchor))
        for child in (token, *(token.children or ())):
            _references_rewrite(child, file)
    html = MARKDOWN.renderer.render(tokens, MARKDOWN.options, {})
    html = html.replace("<table", '<div class="scroll"><table').replace("</table>", "</table></div>")
    return Page(title, SafeString(html), tuple(headings))


def _references_rewrite(token: Token, file: Path) -> None:
    """Point a link to the page of its document, and a picture to its address below /docs/."""
    attribute = {"link_open": "href", "image": "src"}.get(token.type)
    target = str(token.attrGet(attribute) or "") if attribute else ""
    if attribute is None or not target or "://" in target or target.startswith(("#", "mailto:")):
        return
    path, _, anchor = target.partition("#")
    here = posixpath.dirname(file.relative_to(settings.BASE_DIR).as_posix())
    path = posixpath.normpath(posixpath.join(here, path))
    name = next((known for known, beside in BESIDE.items() if beside == path), None)
    if name is None and path.startswith(PICTURES):
        token.attrSet(attribute, reverse("docs-picture", args=[posixpath.basename(path)]))
    elif name is not None or path.startswith(FOLDER):
        href = document_href(_name_of(path) if name is None else name)
        token.attrSet(attribute, f"{href}#{anchor}" if anchor else href)


def _decisions_list() -> str:
    """Return links to all decisions."""
    files = [file for name, file in documents().items() if name.startswith(f"{DECISIONS}/")]
    return "".join(
        f"- [{file.read_text().partition(chr(10))[0].removeprefix('# ')}]({file.name})\n" for file in files
    )


def _arrows_table(found: re.Match[str]) -> str:
    """Return a diagram's arrows as a Markdown table."""
    rows = ["| from | by | to |", "|---|---|---|"]
    for arrow in ARROW.finditer(found[1]):
        ends = [BOX.sub(r"\1` in `\2", arrow[end]).replace("[*]", "end") for end in ("source", "target")]
        by = arrow["by"] or arrow["over"] or ""
        rows.append(f"| `{ends[0]}` | {by} | `{ends[1]}` |")
    return "\n".join(rows)


def _plain(token: Token) -> str:
    """Return the text of a heading without markup."""
    return "".join(child.content for child in token.children or ())


@cache
def _sections() -> tuple[Section, ...]:
    return tuple(section for name in documents() for section in _sections_of(name))


def _sections_of(name: str) -> Iterator[Section]:
    """Yield the sections of a document; lines of code that begin like headings are none."""
    text = documents()[name].read_text()
    bare = CODE.sub(lambda code: code[0].replace("#", " "), text)
    marks = [*HEADING.finditer(bare)]
    title = MARKS.sub("", marks[0][1]) if marks else name
    for mark, following in zip(marks, [*marks[1:], None], strict=True):
        body = LINK_TEXT.sub(r"\1", text[mark.end() : following.start() if following else len(text)])
        heading = Heading(MARKS.sub("", mark[1]), anchor_of(mark[1]))
        body = " ".join(MARKS.sub("", body).split())
        yield Section(name, title, heading, body, f"{title} {heading.text} {body}".lower())


def _excerpt(text: str, words: list[str]) -> str:
    """Return the text around the first of the words that occurs in it."""
    low = text.lower()
    start = max(next((low.find(word) for word in words if word in low), 0) - EXCERPT // 2, 0)
    start = text.find(" ", start) + 1 if start else 0
    part = text[start : start + EXCERPT]
    return f"{'…' if start else ''}{part}{'…' if start + EXCERPT < len(text) else ''}"


PICTURE_S: Final = 3_600
"""How long a browser keeps a picture."""


@without_session
@require_safe
def docs(request: HttpRequest, name: str = "") -> HttpResponse:
    """Show a document; with `q`, the sections of all documents that have its words."""
    text = request.GET.get("q", "").strip()[:200]
    if text and not name:
        return render(request, "docs/search.html", {"text": text, "matches": documents_search(text)})
    try:
        page = document_page(name)
    except (KeyError, FileNotFoundError):
        raise Http404 from None
    return render(request, "docs/page.html", {"page": page, "text": ""})


@without_session
@require_safe
def picture(_request: HttpRequest, name: str) -> HttpResponse:
    """Return a picture of the documents."""
    if name not in pictures():
        raise Http404
    response = HttpResponse(pictures()[name].read_bytes(), content_type="image/png")
    patch_cache_control(response, public=True, max_age=PICTURE_S)
    return response


urlpatterns: Final = [
    path("docs/", docs, name="docs"),
    path("docs/screens/<str:name>", picture, name="docs-picture"),
    path("docs/<path:name>/", docs, name="docs-page"),
]
