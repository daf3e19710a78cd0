"""`make backup`: the database of a running pool and the secrets that belong to it, in a folder of its own.

Run: python -m poolsite.embedded.backup FOLDER [--keep NUMBER]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import socket
import sys
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import psycopg2
from django.core.exceptions import ImproperlyConfigured

from poolsite.embedded.database import login_of, program_run
from poolsite.embedded.errors import BackupRefused, StartupError
from poolsite.embedded.own_folder import console_folder
from poolsite.embedded.ownership import is_owned
from poolsite.embedded.paths import PoolPaths
from poolsite.private_files import locked, private_folder, private_write
from poolsite.settings.environment import database_from_url, machine_name
from poolsite.wire.hosts import VERSION

DUMP: Final = "database.dump"
MANIFEST: Final = "backup.json"
"""Written last: a folder without it is no backup."""

SECRETS: Final = ("keys/django_secret", "tokens/*", "operator.json")
"""Whose hashes or ciphertexts are in the database: they are of use only together with it."""

RECORD: Final = "insert into core_backup (taken_at, machine, folder, dump_bytes) values (%s, %s, %s, %s)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """What a backup says about itself."""

    taken_at: str
    """ISO 8601, UTC: what the pool wrote later is not in it."""
    version: str
    host: str
    var: str
    """The pool's POOLSITE_VAR on that host."""
    dump_bytes: int
    dump_sha256: str

    @classmethod
    def of_folder(cls, folder: Path) -> Backup:
        """Read a backup and compare its dump with what was written.  Raises BackupRefused."""
        try:
            backup = cls(**json.loads((folder / MANIFEST).read_text()))
        except FileNotFoundError:
            raise BackupRefused(f"{folder} is not a backup: it has no {MANIFEST}") from None
        except (OSError, ValueError, TypeError) as error:
            raise BackupRefused(f"{folder / MANIFEST} cannot be read: {error}") from None
        if sha256_of(folder / DUMP) != backup.dump_sha256:
            raise BackupRefused(f"{folder / DUMP} is damaged: its SHA-256 is not that of {MANIFEST}")
        return backup


def sha256_of(file: Path) -> str:
    """Return a file's SHA-256 in hex.  Raises BackupRefused if it cannot be read."""
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise BackupRefused(f"{file} cannot be read: {error.strerror}") from None


def database_url(paths: PoolPaths) -> str:
    """Return DATABASE_URL, or where the embedded PostgreSQL answers."""
    return os.environ.get("DATABASE_URL") or paths.database_url


def secret_files(folder: Path) -> list[Path]:
    """List the files of SECRETS in `var` or in a backup, relative to it."""
    return [
        file.relative_to(folder)
        for pattern in SECRETS
        for file in sorted(folder.glob(pattern))
        if file.is_file()
    ]


def backup_take(paths: PoolPaths, target: Path) -> Path:
    """Back up the pool into a new folder of `target`, and return it.  Raises BackupRefused.

    It gets its name when it is whole.
    """
    at = datetime.now(UTC)
    partial = target / f".poolsite-{paths.digest}.partial"
    try:
        if not os.environ.get("DATABASE_URL") and not is_owned(paths.var):
            raise BackupRefused(f"no pool is running in {paths.var}: start it, or copy the whole folder")
        private_folder(target)
        with locked(target / f".poolsite-{paths.digest}.lock"):
            try:
                shutil.rmtree(partial, ignore_errors=True)  # of one that was killed
                backup_write(paths, partial, at=at)
                whole = partial.rename(target / f"poolsite-{at:%Y%m%dT%H%M%SZ}")
            finally:
                shutil.rmtree(partial, ignore_errors=True)
        entry = {"taken_at": at.isoformat(), "folder": str(whole.resolve())}
        private_write(paths.last_backup, json.dumps(entry))
        backup_record(paths, whole, taken_at=at)
    except OSError as error:
        raise BackupRefused(f"{error.filename or target}: {error.strerror}") from None
    return whole


def backup_write(paths: PoolPaths, folder: Path, *, at: datetime) -> None:
    """Write dump, secrets and manifest.  Raises BackupRefused, OSError."""
    private_folder(folder)
    row = database_from_url(database_url(paths))
    dump = folder / DUMP
    program_run("pg_dump", "--format=custom", f"--file={dump}", str(row["NAME"]), login=login_of(row))
    dump.chmod(0o600)
    program_run("pg_restore", "--list", f"--file={os.devnull}", dump, login={})
    for name in secret_files(paths.var):
        private_write(folder / name, (paths.var / name).read_text())
    manifest = Backup(
        taken_at=at.isoformat(),
        version=VERSION,
        host=socket.gethostname(),
        var=str(paths.var),
        dump_bytes=dump.stat().st_size,
        dump_sha256=sha256_of(dump),
    )
    private_write(folder / MANIFEST, json.dumps(asdict(manifest), indent=2))


def backup_record(paths: PoolPaths, folder: Path, *, taken_at: datetime) -> None:
    """Note the backup in the database, where every machine sees it; one of an older version has no table."""
    values = (taken_at, machine_name(), str(folder.resolve()), (folder / DUMP).stat().st_size)
    row = database_from_url(database_url(paths))
    try:
        with (
            closing(psycopg2.connect(**login_of(row), dbname=row["NAME"])) as link,
            link,
            link.cursor() as cursor,
        ):
            cursor.execute(RECORD, values)
    except psycopg2.Error as error:
        sys.stderr.write(f"The pool's other machines are not told of it: {' '.join(str(error).split())}\n")


def backups_of(paths: PoolPaths, target: Path) -> list[Path]:
    """List this pool's backups in a folder, oldest first; other pools may share it."""
    own = []
    for manifest in target.glob(f"poolsite-*/{MANIFEST}"):
        with suppress(ValueError, KeyError, TypeError):  # not ours
            entry = json.loads(manifest.read_text())
            if (entry["host"], entry["var"]) == (socket.gethostname(), str(paths.var)):
                own.append(manifest.parent)
    return sorted(own)


def backups_prune(paths: PoolPaths, newest: Path, *, keep: int) -> None:
    """Remove the pool's oldest backups beside the newest one until `keep` are left.  Raises OSError.

    The newest is told, as its name is older than others' where the clock was ahead and has been set right.
    """
    others = [folder for folder in backups_of(paths, newest.parent) if folder != newest]
    for old in others[: max(0, len(others) + 1 - keep)]:
        shutil.rmtree(old)


def main() -> int:
    """Write a backup; return 0 if it was, 1 with one sentence if not."""
    parser = argparse.ArgumentParser(prog="make backup", description="Back up a running pool's database.")
    parser.add_argument("folder", type=Path, help="where backups are kept, on another disk")
    parser.add_argument("--keep", type=int, default=0, help="remove the pool's oldest ones there; 0: none")
    options = parser.parse_args()
    paths = PoolPaths.of_environment()
    try:
        if options.keep < 0:
            raise BackupRefused("--keep is negative")
        console_folder(paths)
        whole = backup_take(paths, options.folder)
    except (StartupError, ImproperlyConfigured) as refusal:
        sys.stderr.write(f"No backup was taken: {refusal}.\n")
        return 1
    sys.stdout.write(
        f"Database, session key and tokens are in {whole}\n"
        f"Not in it: the signer's folder, and in {paths.var}: pieces, c1, store\n"
    )
    try:
        if options.keep:
            backups_prune(paths, whole, keep=options.keep)
    except OSError as error:
        sys.stderr.write(f"Older backups were not removed: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    os.umask(0o077)
    sys.exit(main())
