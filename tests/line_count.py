"""Count the product's lines, each once: as import, docstring, blank, comment or statement.

Migrations are left out.  Run it in the repository's root: `python -m tests.line_count`.
"""

from __future__ import annotations

import ast
import io
import subprocess
import tokenize
from collections import Counter
from pathlib import Path
from typing import Final

KINDS: Final = ("import", "docstring", "blank", "comment", "statement")
PARTS: Final = ("apps", "poolsite", "workers", "tests")
PRODUCT: Final = ("apps", "poolsite", "workers", "manage.py")
LAYOUT: Final = (tokenize.NEWLINE, tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)


def tracked(*places: str, ending: str) -> list[Path]:
    """Return the files under version control that end so, without migrations."""
    listed = subprocess.run(["git", "ls-files", *places], capture_output=True, text=True, check=True)
    names = listed.stdout.splitlines()
    return [Path(name) for name in names if name.endswith(ending) and "/migrations/" not in name]


def module_lines(text: str) -> Counter[str]:
    """Return how many lines of a module are of which kind.

    A line that only names types for the checker (`if TYPE_CHECKING:`) is an import; so is each line of an
    import in brackets.  Blank lines in a docstring belong to it.
    """
    tree = ast.parse(text)
    kinds: dict[int, str] = {}
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        kind = "comment" if token.type == tokenize.COMMENT else "statement"
        if token.type not in LAYOUT:
            for line in range(token.start[0], token.end[0] + 1):
                if kinds.get(line) != "statement":
                    kinds[line] = kind
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            kinds |= dict.fromkeys(range(node.lineno, (node.end_lineno or node.lineno) + 1), "import")
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            kinds[node.lineno] = "import"
        elif (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            kinds |= dict.fromkeys(range(node.lineno, (node.end_lineno or node.lineno) + 1), "docstring")
    return Counter(kinds.get(line, "blank") for line in range(1, len(text.splitlines()) + 1))


def counted(files: list[Path]) -> Counter[str]:
    """Return the sum over files; `files` is how many there are."""
    total = Counter(files=len(files))
    for file in files:
        total += module_lines(file.read_text(encoding="utf8"))
    return total


def main() -> None:
    """Print a line for each part, for the product, and for its templates."""
    print(f"{'':10} {'files':>7} {'lines':>8} " + " ".join(f"{kind:>16}" for kind in KINDS))
    for name, places in [*((part, (part,)) for part in PARTS), ("product", PRODUCT)]:
        count = counted(tracked(*places, ending=".py"))
        lines = sum(count[kind] for kind in KINDS)
        shares = " ".join(f"{count[kind]:9,} ({100 * count[kind] / lines:3.0f}%)" for kind in KINDS)
        print(f"{name:10} {count['files']:7,} {lines:8,} {shares}")
    templates = tracked("templates", ending=".html")
    lines = sum(file.read_text(encoding="utf8").count("\n") for file in templates)
    print(f"{'templates':10} {len(templates):7,} {lines:8,}")


if __name__ == "__main__":
    main()
