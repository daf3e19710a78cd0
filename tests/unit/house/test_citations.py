"""What texts cite can be opened: files named here exist, and no document is cited that is not shipped."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.timing import SITE

ROOTS: Final = ("apps", "docs", "poolsite", "tests", "workers")
PATH: Final = re.compile(
    rf"(?<![\w./…{{}}<>*:+-])(?:{'|'.join(ROOTS)})/[\w./{{}},*-]*[\w}}]\.(?:py|md|json|jsonl|toml|txt|rs|go)\b"
)
"""A path from the root of this repository that ends in a file; `{a,b}` and `*` as a shell takes them."""
LINK: Final = re.compile(r"\]\((?P<path>[^)\s:#]+)(?:#[^)\s]*)?\)")
"""A link of a document to a file beside it."""
ANCHOR: Final = re.compile(r"\]\((?P<path>[^)\s:#]*)#(?P<anchor>[^)\s]+)\)")
HEADING: Final = re.compile(r"^#+ (?P<text>.*)$", re.MULTILINE)
UNSHIPPED: Final = re.compile(
    r"\bspec(?:s|ification)?(?:/| )(?:\w[\w-]*(?:\.md)? )?(?:sections?\b|§)|\bspec/|\bBENCH\.md\b"
)
"""How a text was cited that developers had beside them: `spec snark section 1`, `spec/sealing.md §2`."""
OTHERS: Final = re.compile(r"Filecoin spec, sections?\b")
"""What anybody can read: spec.filecoin.io."""
SHORT: Final = re.compile(r"(?<![\w./{},-])(?P<name>\w+\.(?:go|rs))\b")
"""A file of another program without its folder."""
OF_OTHERS: Final = (".go", ".rs")
"""How such names end."""
PROGRAM: Final = re.compile(
    r"\b(?:lotus|venus|forest|neptune|\w[\w-]*/\w[\w-]*|(?:go|builtin|rust|ref)-\w[\w-]*)\b"
)
"""A repository, or a path with a folder, by which the files named after it are found."""


def texts() -> Iterator[Path]:
    """Yield the programs and documents of the repository."""
    for root in ROOTS:
        for suffix in ("py", "md"):
            yield from (SITE / root).rglob(f"*.{suffix}")
    yield from SITE.glob("*.md")


def anchors(text: str) -> set[str]:
    """Return the names by which links lead to the headings of a document."""
    headings = (match["text"].strip().lower() for match in HEADING.finditer(text))
    return {re.sub(r"[^\w -]", "", heading).replace(" ", "-") for heading in headings}


def alternatives(path: str) -> Iterator[str]:
    """Yield the paths for which `a/{b,c}.py` stands."""
    found = re.search(r"\{([^{}]*)\}", path)
    if found is None:
        yield path
        return
    for word in found[1].split(","):
        yield from alternatives(path[: found.start()] + word + path[found.end() :])


def cited_paths(text: str) -> set[str]:
    """Return the paths from the root that a text names."""
    return {path for match in PATH.finditer(text) for path in alternatives(match[0])}


def prose(source: str) -> str:
    """Return the comments and docstrings of a program: what a test says of itself, not what it tries."""
    strings = (node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Expr))
    said = [text.value for text in strings if isinstance(text, ast.Constant) and isinstance(text.value, str)]
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return "\n".join([*said, *(token.string for token in tokens if token.type == tokenize.COMMENT)])


def missing_paths(file: Path) -> list[str]:
    """Return the paths that a file cites and that lead nowhere."""
    text = file.read_text()
    missing = [path for path in sorted(cited_paths(text)) if not any(SITE.glob(path))]
    if missing and file.suffix == ".py" and file.is_relative_to(SITE / "tests"):
        said = cited_paths(prose(text))
        missing = [path for path in missing if path in said]
    return missing


def unshipped(text: str) -> list[str]:
    """Return the citations of documents that are not in the repository."""
    return UNSHIPPED.findall(OTHERS.sub("", re.sub(r"\s+(?:# )?", " ", text)))


def said_apart(source: str) -> Iterator[str]:
    """Yield each comment and each docstring of a program but the module's own."""
    tree = ast.parse(source)
    own = tree.body[0] if ast.get_docstring(tree) is not None else None
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and node is not own and isinstance(node.value, ast.Constant):
            yield str(node.value.value)
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    yield from (token.string for token in tokens if token.type == tokenize.COMMENT)


def homeless(source: str) -> list[str]:
    """Return the files of other programs that are cited by bare names which lead to no folder.

    The folder stands before the name in the same text, or in the module's docstring.
    """
    if not any(suffix in source for suffix in OF_OTHERS):
        return []  # as in four files of five: to parse them would take 4 s
    head = ast.get_docstring(ast.parse(source)) or ""
    known = {name.rpartition("/")[2] for word in head.split() for name in alternatives(word.strip(",;.()"))}
    return [
        match["name"]
        for text in said_apart(source)
        for match in SHORT.finditer(text)
        if match["name"] not in known and not PROGRAM.search(text[: match.start()])
    ]


def test_cited_files_of_this_repository_exist() -> None:
    missing = [f"{file.relative_to(SITE)}: {path}" for file in texts() for path in missing_paths(file)]
    assert not missing


def test_a_bare_file_name_is_led_to_by_its_modules_docstring() -> None:
    head = '"""Fees.  Source: lotus chain/{vm/burn,store/basefee}.go."""\n'

    assert homeless(head + "# burn.go\n") == []
    assert homeless(head + "# tipset.go Ticket.Less\n") == ["tipset.go"]
    assert homeless(head + "# lotus chain/types/tipset.go, blockheader.go\n") == []


def test_files_of_other_programs_are_cited_with_their_folders() -> None:
    programs = [file for file in texts() if file.suffix == ".py" and not file.is_relative_to(SITE / "tests")]
    found = {f"{file.relative_to(SITE)}": homeless(file.read_text()) for file in programs}

    assert len(found) > 1000
    assert {file: names for file, names in found.items() if names} == {}


def test_links_of_documents_lead_to_files() -> None:
    missing = [
        f"{file.relative_to(SITE)}: {match['path']}"
        for file in texts()
        if file.suffix == ".md"
        for match in LINK.finditer(file.read_text())
        if not (file.parent / match["path"]).exists()
    ]
    assert not missing


def test_links_of_documents_lead_to_headings() -> None:
    missing = []
    for file in (file for file in texts() if file.suffix == ".md"):
        for match in ANCHOR.finditer(file.read_text()):
            target = file.parent / match["path"] if match["path"] else file
            if target.suffix == ".md" and match["anchor"] not in anchors(target.read_text()):
                missing.append(f"{file.relative_to(SITE)}: {match[0]}")
    assert not missing


def test_no_text_cites_a_document_that_is_not_shipped() -> None:
    found = [
        f"{file.relative_to(SITE)}: {words}"
        for file in texts()
        if file != Path(__file__)
        for words in unshipped(file.read_text())
    ]
    assert not found


@pytest.mark.parametrize(
    "text",
    [
        "Source: spec snark section 1.",
        "spec/sealing.md §2.1",
        "Source: spec\nproofs section 9",
        "golden/BENCH.md",
    ],
)
def test_a_citation_of_an_unshipped_document_is_found(text: str) -> None:
    assert unshipped(text)


def test_a_citation_of_the_filecoin_spec_is_no_mistake() -> None:
    assert not unshipped("Filecoin spec, section Fr32; Filecoin spec, sections Block and Tipset")


def test_alternatives_of_a_path_are_looked_for_each() -> None:
    assert cited_paths("see `docs/{api,gone}.md`.") == {"docs/api.md", "docs/gone.md"}
