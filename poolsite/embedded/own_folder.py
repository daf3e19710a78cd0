"""What a pool's folder says of the servers and of the pool that its machine belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from poolsite.console_folder import console_environment
from poolsite.embedded.errors import BadFolder

if TYPE_CHECKING:
    from poolsite.console_folder import ConsoleFolder
    from poolsite.embedded.paths import PoolPaths


def console_folder(paths: PoolPaths) -> ConsoleFolder | None:
    """Set the settings that the folder has from its pool, where the environment has none; return them.

    Raises BadFolder.
    """
    try:
        return console_environment(paths.var)
    except ValueError as error:
        raise BadFolder(f"{error}: restore it, or join again (docs/operations/consoles.md)") from None
