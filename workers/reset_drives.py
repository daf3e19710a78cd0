"""Begin anew on the drives of [layers], once one was replaced or emptied.

By `python -m workers reset-drives`, or by an order of the console.

Each batch lies on all drives, so that what a lost one held is lost of all: their sectors are labelled again.
Drives that only failed for a while need nothing of this.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from workers.config_mistakes import BadConfig
from workers.host_file import LAYERS, host_file
from workers.host_folder import config_path
from workers.processors.errors import BadFile
from workers.processors.layer_drives import BATCH_SUFFIX, MEMBERS_SUFFIX, STORE
from workers.processors.page_stripes import batch_read
from workers.processors.terminal import error_text
from workers.storage.files import write_file
from workers.storage.page_drives import drives_open

NOT_NAMED: Final = "names no drives in [layers]"
ORDERED: Final = "reset"
"""The file in the folder of a host's batches that has the console's last order, and the batches of then."""


def _batches_ordered(folder: Path, order: str) -> list[Path]:
    """Return the batches that were there when an order came first: repeated after a kill it forgets no more.

    Raises OSError.
    """
    if not (folder / STORE).exists():
        return []
    path, batches = folder / ORDERED, _batches(folder)
    with suppress(FileNotFoundError, ValueError, KeyError):
        known = json.loads(path.read_bytes())
        if known["order"] == order:
            return [folder / name for name in known["batches"]]
    write_file(path, json.dumps({"order": order, "batches": [one.name for one in batches]}).encode())
    return batches


def main(arguments: Sequence[str]) -> int:
    """Forget all batches, and take the drives as they are now; 1 if nothing was changed."""
    parser = argparse.ArgumentParser(prog="python -m workers reset-drives", description=__doc__)
    parser.add_argument("--dir", type=Path, default=Path("var/sealer"), help="the host's own folder")
    parser.add_argument("--config", type=Path, help="its file, if it is not in that folder")
    parser.add_argument("--yes", action="store_true", help="lose the layers that are on the drives")
    parser.add_argument("--order", default="", help="the console's order that this carries out")
    wanted = parser.parse_args(arguments)
    try:
        path = config_path(wanted.dir, wanted.config)
        layers = host_file(path, is_named=wanted.config is not None).layers
        if layers is None:
            raise BadConfig(f"{path} {NOT_NAMED}")
        folder = wanted.dir / LAYERS
        batches = _batches_ordered(folder, wanted.order) if wanted.order else _batches(folder)
        if batches and not wanted.yes:
            count = sum(map(_sectors_of, batches))
            raise BadConfig(
                f"sectors of the batches there: {count}; their layers are lost, to be made again:"
                " add --yes for that"
            )
        _reset(folder, batches, layers.drives)
    except (BadConfig, OSError) as error:
        text = error_text(error) if isinstance(error, OSError) else str(error)
        sys.stderr.write(f"reset-drives: {text}\n")
        return 1
    sys.stdout.write("The drives are taken as they are: retry the sectors on Failures, from PC1.\n")
    return 0


def _batches(folder: Path) -> list[Path]:
    """Return the files of all batches."""
    return sorted(folder.glob(f"*{BATCH_SUFFIX}"))


def _sectors_of(batch: Path) -> int:
    """Return the sectors of a batch; none of one whose file is damaged."""
    try:
        return len(batch_read(batch).get("ids", ()))
    except BadFile:
        return 0


def _reset(folder: Path, batches: Sequence[Path], drives: Sequence[str]) -> None:
    """Forget batches, and divide drives anew.

    Raises OSError, before any change if a drive is not ours, and BadConfig if there is another batch by now.
    """
    store = folder / STORE
    if not store.exists():
        return  # nothing was ever labelled: the first batch takes the drives
    paths = [Path(drive) for drive in drives]
    opened = drives_open(paths, store=store.read_text(), extent_bytes=None, is_new=True)
    try:
        if not set(_batches(folder)) <= set(batches):
            raise BadConfig("a batch was begun meanwhile: try again")
        for batch in batches:  # the file last: a kill before leaves a batch that can be forgotten again
            batch.with_suffix(MEMBERS_SUFFIX).unlink(missing_ok=True)
            batch.unlink(missing_ok=True)
        opened.clear()
    finally:
        opened.close()
