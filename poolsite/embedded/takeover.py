"""`make takeover`: connect this folder to a database whose own folder was lost: tokens, password, key.

A start never does that: it cannot know whether the other folder is in use.
Run: python -m poolsite.embedded.takeover
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import ExitStack

from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError

from poolsite.embedded.attempts import UNAVAILABLE
from poolsite.embedded.errors import StartupError
from poolsite.embedded.folders import folders_create, passable_create
from poolsite.embedded.options import Options
from poolsite.embedded.own_folder import console_folder
from poolsite.embedded.ownership import owned
from poolsite.embedded.paths import PoolPaths
from poolsite.embedded.postgres import cluster_create, cluster_of, require_same_major
from poolsite.embedded.preflight import require_own_folder
from poolsite.embedded.preparation import prepare
from poolsite.embedded.restore import server_running

QUESTION = (
    "Take over the database with the folder {var}?\n"
    "Tokens of the pool's own programs that are only in another folder are revoked, and the operator gets a\n"
    "new password.  Without that folder's session key, authenticator apps and the secrets of alert channels\n"
    "and remote wallets cannot be read any more.  Type yes: "
)


def take_over(paths: PoolPaths, options: Options) -> None:
    """Prepare the stopped pool in `paths` and revoke other folders' tokens.  Raises StartupError."""
    with ExitStack() as held:
        passable_create(paths.var)
        lease = held.enter_context(owned(paths.var, patience_s=5.0))
        folders_create(paths)
        if options.runs_database:
            cluster = cluster_of(paths)
            require_same_major(cluster)
            cluster_create(cluster, lease=lease)
            held.enter_context(server_running(cluster, log_folder=paths.log, lease=lease))
        os.environ.update(
            DJANGO_SETTINGS_MODULE="poolsite.settings.embedded",
            POOLSITE_VAR=str(paths.var),
            POOLSITE_URL=os.environ.get("POOLSITE_URL") or options.url,
            LOG_LEVEL="ERROR",  # that no Redis runs is no news here
        )
        prepare(take_over=True)


def main() -> int:
    """Run the command after a confirmation; 0 if it was done, 1 with one sentence if nothing was changed."""
    paths = PoolPaths.of_environment()
    try:
        require_own_folder(paths.var)
        console_folder(paths)
        sys.stdout.write(QUESTION.format(var=paths.var))
        sys.stdout.flush()
        if sys.stdin.readline().strip().lower() != "yes":
            sys.stdout.write("Nothing was changed.\n")
            return 1
        take_over(paths, Options.of_environment())
    except (StartupError, ImproperlyConfigured, CommandError, *UNAVAILABLE) as refusal:
        sys.stderr.write(f"Nothing was changed: {' '.join(str(refusal).split())}.\n")
        return 1
    entry = json.loads(paths.operator.read_text())
    name = entry["username"]
    sys.stdout.write(f"{paths.operator} has the token and the password of {name}: start the pool.\n")
    return 0


if __name__ == "__main__":
    os.umask(0o077)
    sys.exit(main())
