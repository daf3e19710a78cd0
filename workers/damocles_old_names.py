"""The names that a worker's file had before: venus-worker's and early damocles-worker's, read as today's.

Source: the history of ipfs-force-community/damocles damocles-worker/src/config.rs, sealing/config.rs,
sealing/processor/external/config.rs, and of ipfs-force-community/venus-cluster venus-worker/.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from workers.config_mistakes import FileChecks
from workers.damocles_keys import is_tables

if TYPE_CHECKING:
    from workers.config_mistakes import Path

MOVED: Final[dict[Path, Path]] = {
    ("store",): ("sealing_thread",),
    ("instance",): ("worker",),
    ("worker_server",): ("worker", "rpc_server"),
    ("sealer_rpc",): ("sector_manager", "rpc_client"),
    ("rpc",): ("sector_manager", "rpc_client"),
    ("static_tree_d",): ("processors", "static_tree_d"),
    ("limit",): ("processors", "limitation", "concurrent"),
    ("processor_limit",): ("processors", "limitation", "concurrent"),
    ("processors", "limits"): ("processors", "limitation"),
    ("processors", "limitation", "delay"): ("processors", "limitation", "staggered"),
    ("processors", "wdpost"): ("processors", "window_post"),
}
"""Tables by their path, and the path that each has now; in this order."""
IGNORED: Final[dict[Path, str]] = {
    ("host",): "the host's name is worker.name",
    ("piece_store",): "client data comes from the console, page Pieces",
    ("attached_selection",): "the console spreads sectors over the stores by their free space",
    ("processors", "static_staged"): "this host makes the data of empty sectors itself",
    ("processors", "static_pieces"): "this host makes the data of empty sectors itself",
}
"""Tables that have no present name, and what stands for them."""
SEALING: Final = {
    "enable_deal": "enable_deals",
    "allocate_max_retries": "request_task_max_retries",
}
"""Keys of `sealing`, of the host or of a thread."""
STORES: Final = ("remote", "remote_store")
"""The one store of a file that had no [[attached]]."""
STORE: Final = {"read_only": "readonly", "path": "location"}
"""Keys of a store."""
STORE_IGNORED: Final = ("id", "meta")
"""Keys of a store that its own mark has."""


def present_names(
    data: Mapping[str, Any], lines: Mapping[Path, int]
) -> tuple[dict[str, Any], dict[Path, int], list[str]]:
    """Return a file's tables by their present names, the lines of those, and what was read so.

    Raises BadFile where a table has its old and its present name.
    """
    renaming = _Renaming(data, lines)
    renaming.run()
    return renaming.data, renaming.lines, renaming.notes


class _Renaming(FileChecks):
    """One file."""

    def __init__(self, data: Mapping[str, Any], lines: Mapping[Path, int]) -> None:
        self.data: dict[str, Any] = _copied(data)
        self.lines: dict[Path, int] = dict(lines)
        self.notes: list[str] = []

    def run(self) -> None:
        """Rename what has an old name.  Raises BadFile."""
        if any("location" in one for one in _tables_of(self.data.get("sealing_store"))):
            self.move(("sealing_store",), ("sealing_thread",))  # ours have a path
        for old, new in MOVED.items():
            self.move(old, new)
        for path, instead in IGNORED.items():
            if self.removed(path) is not None:
                self.notes.append(f"[{'.'.join(map(str, path))}] is ignored: {instead}")
        self.stores()
        threads = _tables_of(self.data.get("sealing_thread"))
        owners: list[tuple[dict[str, Any], Path]] = [(self.data, ())]
        owners += ((one, ("sealing_thread", at)) for at, one in enumerate(threads))
        for owner, path in owners:
            self.keys_rename(owner.get("sealing"), (*path, "sealing"), SEALING)
        self.keys_rename(self.data.get("worker"), ("worker",), {"instance": "name"})
        self.processors()

    def stores(self) -> None:
        """Read the stores by their present names.  Raises BadFile."""
        for name in STORES:
            self.store(name)
        for number, one in enumerate(_tables_of(self.data.get("attached"))):
            self.keys_rename(one, ("attached", number), STORE)
            for name in STORE_IGNORED:
                if one.pop(name, None) is not None:
                    self.notes.append(f"{name} of [[attached]] is ignored: the store's own mark has it")

    def removed(self, path: Path) -> Any:
        """Remove a value from the file and return it; None if it is not there."""
        table: Any = self.data
        for name in path[:-1]:
            table = table.get(name) if isinstance(table, dict) else None
        return table.pop(path[-1], None) if isinstance(table, dict) else None

    def move(self, old: Path, new: Path) -> None:
        """Rename a table to its present name.  Raises BadFile."""
        value = self.removed(old)
        if value is None:
            return
        table: Any = self.data
        for name in new[:-1]:
            table = table.setdefault(name, {})
            if not isinstance(table, dict):
                raise self.wrong(old, "has no place", f"move it to [{_shown(new)}]")
        if new[-1] in table:
            raise self.wrong(old, f"is the old name of {_shown(new)}, which is there, too", "remove one")
        table[new[-1]] = value
        self.moved(old, new)

    def moved(self, old: Path, new: Path) -> None:
        """Note a new name, and keep the line of each key below."""
        self.lines |= {
            (*new, *path[len(old) :]): number
            for path, number in self.lines.items()
            if path[: len(old)] == old
        }
        if _shown(old) != _shown(new):
            self.notes.append(f"{_shown(old)} is read as {_shown(new)}, its present name")

    def store(self, name: str) -> None:
        """Read the one store of an old file as an attached one.  Raises BadFile."""
        value = self.removed((name,))
        if value is None:
            return
        if not isinstance(value, dict):
            raise self.wrong((name,), "is not a table", "use [[attached]]")
        attached = self.data.setdefault("attached", [])
        if not isinstance(attached, list):
            raise self.wrong(("attached",), "is not an array of tables", "use [[attached]]")
        attached.append(value)
        self.moved((name,), ("attached", len(attached) - 1))

    def keys_rename(self, table: Any, path: Path, names: Mapping[str, str]) -> None:
        """Rename the keys of a table to their present names.  Raises BadFile."""
        for old, new in names.items():
            if not isinstance(table, dict) or old not in table:
                continue
            if new in table:
                raise self.wrong((*path, old), f"is the old name of {new}, which is there, too", "remove one")
            table[new] = table.pop(old)
            self.moved((*path, old), (*path, new))

    def processors(self) -> None:
        """Read a stage's one table, with `external` and `subs`, as an array of tables."""
        processors = self.data.get("processors")
        if not isinstance(processors, dict):
            return
        if isinstance(processors.get("add_piece"), dict) or is_tables(processors.get("add_piece")):
            self.move(("processors", "add_piece"), ("processors", "add_pieces"))
        for name, value in list(processors.items()):
            if name in ("limitation", "limit", "ext_locks", "static_tree_d") or not isinstance(value, dict):
                continue
            path: Path = ("processors", name)
            subs = value.pop("subs", None)
            if not value.pop("external", True):
                del processors[name]  # by the worker itself, as without a table
                continue
            if subs is None:
                processors[name] = [value]
                self.moved(path, (*path, 0))
            else:
                processors[name] = _tables_of(subs)
                self.moved((*path, "subs"), path)
            for key in value if subs is not None else ():
                raise self.wrong((*path, key), "is beside subs", f"put it into each [[processors.{name}]]")


def _tables_of(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _copied(one) for name, one in value.items()}
    return [_copied(one) for one in value] if isinstance(value, list) else value


def _shown(path: Path) -> str:
    return ".".join(str(part) for part in path if not isinstance(part, int))
