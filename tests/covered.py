"""Which statements of services, selectors, `filecoin` and `wire` the tests begin, at next to no cost.

A tracer is called for each line of everything, which makes half of a run again.  Here the measured modules
alone are compiled with a mark before each statement, an assignment to a list's item; coverage.py knows
which lines are statements, and counts.

Run: PYTEST_PLUGINS=tests.covered pytest …; then `python -m tests.covered` prints what share was begun and
ends with 1 below LEAST_PERCENT, and `python -m coverage report` names the lines that are missing.
"""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, Final

from coverage import Coverage, CoverageData

SITE: Final = Path(__file__).resolve().parent.parent
DATA: Final = SITE / "var" / "coverage"
GROUPS: Final = {
    "services": ("apps/*/services/**/*.py",),
    "selectors": ("apps/*/*selectors.py", "apps/*/selectors/**/*.py"),
    "filecoin": ("poolsite/filecoin/**/*.py",),
    "wire": ("poolsite/wire/**/*.py",),
}
LEAST_PERCENT: Final = dict.fromkeys(GROUPS, 95.0)
"""Of the statements of each group."""
NAME: Final = "__begun__"
"""In a measured module: its list of lines, 1 for those that were begun."""
BEGUN: Final[dict[str, list[int]]] = {}
"""These lists by file."""


def files_of(patterns: Iterable[str]) -> list[str]:
    """Return the files that these patterns name."""
    return [str(path) for pattern in patterns for path in sorted(SITE.glob(pattern))]


FILES: Final = frozenset(path for patterns in GROUPS.values() for path in files_of(patterns))


def marked(tree: ast.Module) -> ast.Module:
    """Put a mark before each statement of a module; a handler and a case note those before them, too."""
    for node in list(ast.walk(tree)):
        for field in ("body", "orelse", "finalbody"):
            block = getattr(node, field, None)
            if isinstance(block, list):
                block[:] = list(with_marks(block))
        looked_at: list[int] = []
        for one in (*getattr(node, "handlers", ()), *getattr(node, "cases", ())):
            looked_at.append(getattr(one, "pattern", one).lineno)
            one.body[:0] = map(mark, looked_at)
    return tree


def with_marks(block: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements of a block, each behind its marks; those of what has to be first come after it."""
    waiting: list[ast.stmt] = []
    for statement in block:
        waiting += [mark(node.lineno) for node in (*getattr(statement, "decorator_list", ()), statement)]
        if not has_to_be_first(statement):
            yield from waiting
            waiting.clear()
        yield statement
    yield from waiting


def has_to_be_first(statement: ast.stmt) -> bool:
    """Return whether a statement may be a docstring, or is one that Python wants at a module's beginning."""
    is_text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return is_text or (isinstance(statement, ast.ImportFrom) and statement.module == "__future__")


def mark(line: int) -> ast.stmt:
    """Return the statement that notes that a line was begun."""
    here: dict[str, Any] = {"lineno": line, "col_offset": 0, "end_lineno": line, "end_col_offset": 0}
    at = ast.Subscript(ast.Name(NAME, ast.Load(), **here), ast.Constant(line, **here), ast.Store(), **here)
    return ast.Assign([at], ast.Constant(1, **here), **here)


class MarkedLoader(SourceFileLoader):
    """Runs a module with its marks."""

    def get_code(self, fullname: str) -> CodeType:
        """Compile it each time: what Python keeps of it has no marks."""
        tree = ast.parse(self.get_data(self.path), self.path)
        BEGUN[self.path] = [0] * (max((node.end_lineno or 0 for node in tree.body), default=0) + 1)
        return compile(marked(tree), self.path, "exec", dont_inherit=True)

    def exec_module(self, module: ModuleType) -> None:
        """Run a module after its list of marks was put among its names."""
        code = self.get_code(module.__name__)
        module.__dict__[NAME] = BEGUN[self.path]
        exec(code, module.__dict__)


class MarkedFinder:
    """Finds measured modules before Python's own finders do."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return how a measured module is loaded; of others nothing."""
        spec = PathFinder.find_spec(name, path, target) if name.startswith(("apps.", "poolsite.")) else None
        if spec is None or spec.origin not in FILES:
            return None
        spec.loader = MarkedLoader(name, spec.origin)
        return spec


def pytest_unconfigure() -> None:
    """Keep what this process has noted, beside what others have."""
    DATA.parent.mkdir(exist_ok=True)
    data = CoverageData(str(DATA), suffix=str(os.getpid()))
    data.add_lines({path: lines_begun(path) for path in BEGUN})
    data.write()


def lines_begun(path: str) -> list[int]:
    """Return the lines of a file that were begun."""
    return [line for line, begun in enumerate(BEGUN[path]) if begun]


def main() -> int:
    """Print the share of each group; 1 if one is too small."""
    coverage = Coverage(data_file=str(DATA))
    coverage.combine([str(DATA.parent)])
    coverage.get_data().touch_files(FILES)  # a module that no test imports counts, too
    with Path(os.devnull).open("w") as nowhere:
        shares = {
            group: coverage.report(include=files_of(patterns), file=nowhere)
            for group, patterns in GROUPS.items()
        }
    said = (f"{group} {share:.1f} % (at least {LEAST_PERCENT[group]:.0f})" for group, share in shares.items())
    sys.stdout.write(f"statements that tests begin: {', '.join(said)}\n")
    return int(any(share < LEAST_PERCENT[group] for group, share in shares.items()))


if __name__ == "__main__":
    sys.exit(main())
else:
    sys.meta_path.insert(0, MarkedFinder())
