"""A farm on one machine: sealing hosts in network namespaces, with cables, disks and shares to take away."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from tests import kept_kernels
from tests.acceptance.machines import machine_kill, machine_start
from tests.acceptance.pool import RunningPool

NETWORK: Final = "10.77.13"
CONSOLE: Final = f"{NETWORK}.1"
"""Of the bridge that all cables end at."""
BRIDGE: Final = "psfarm"
PREFIX: Final = "farm-"
"""Of the hosts' names, which are those of their namespaces."""
DISK_MB: Final = 300
"""A host's own disk; a host keeps 64 MiB free for each sector that it begins."""
RESTART_S: Final = 3.0
"""A host whose program ended is started again after so long, as its service manager does."""
AWAY_S: Final = 60.0
"""A host whose disk is gone has ended after so long, on a machine with too much work."""
SLOW_RATE: Final = "40kbit"
SLOTS: Final = "add_piece=1,tree_d=1,pc1=1,pc2=1,c1=1,c2=1,finalize=1"


def root(*words: str | Path) -> None:
    """Run a command that root may."""
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(map(str, words))}: {done.stderr.strip()}"


def mount_ends(path: Path) -> None:
    """Take whatever is mounted there away, also from those who use it."""
    while is_mounted(path):
        root("umount", "-l", path)


def is_mounted(path: Path) -> bool:
    """Return whether something is mounted there, also a folder of the same file system.

    `os.path.ismount` does not see such a one.
    """
    mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    return any(line.split()[4] == str(path) for line in mounts)


def read_only(path: Path) -> Callable[[], None]:
    """Have nothing more written there, though files are open for writing; returns what ends that.

    The kernel refuses to make a file system read-only of which a file is written: it is put over itself.
    """
    root("mount", "--bind", path, path)
    root("mount", "-o", "remount,ro,bind", path)
    return lambda: root("umount", "-l", path)


def namespace_end(name: str) -> None:
    """Remove a host's namespace and its cable, which the kernel would take some seconds over by itself."""
    cable = f"psf{name.removeprefix(PREFIX)}"
    for words in (("link", "del", cable), ("netns", "del", name)):
        subprocess.run(["ip", *words], check=False, capture_output=True)


@dataclass
class Host:
    """One machine: its namespace, its own disk, the shared store as it is mounted there, its program."""

    pool: RunningPool
    number: int
    token: Path
    process: subprocess.Popen[bytes] | None = None
    ended: float = 0.0
    is_off: bool = False
    """It is not started again."""
    address: int = 0

    @property
    def name(self) -> str:
        return f"{PREFIX}{self.number}"

    @property
    def folder(self) -> Path:
        """Its own disk."""
        return self.pool.base / self.name

    @property
    def share(self) -> Path:
        """Where it has the shared store."""
        return self.pool.base / f"{self.name}-share"

    def begin(self) -> None:
        """Plug its cable in, mount its disks, start it."""
        self.address = self.address or self.number + 10
        near, far = f"psf{self.number}", f"psg{self.number}"
        root("ip", "netns", "add", self.name)
        root("ip", "link", "add", near, "type", "veth", "peer", "name", far, "netns", self.name)
        root("ip", "link", "set", near, "master", BRIDGE, "up")
        self.inside("link", "set", "lo", "up")
        self.inside("link", "set", far, "up")
        self.inside("address", "add", f"{NETWORK}.{self.address}/24", "dev", far)
        self.disk_new()
        self.share_mount()
        self.start()

    def inside(self, *words: str) -> None:
        """Run `ip` in its namespace."""
        root("ip", "-n", self.name, *words)

    @property
    def disk(self) -> Path:
        """Where the disk is reached while it is not mounted on the folder."""
        return self.pool.base / f"{self.name}-disk"

    def disk_new(self) -> None:
        """Give it an empty disk."""
        self.disk_end()
        self.disk.mkdir(exist_ok=True)
        root("mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m,mode=755", "none", self.disk)
        self.disk_mount()

    def disk_mount(self) -> None:
        """Mount its disk."""
        self.folder.mkdir(exist_ok=True)
        root("mount", "--bind", self.disk, self.folder)

    def disk_end(self) -> None:
        """Take its disk away for good."""
        mount_ends(self.folder)
        mount_ends(self.disk)

    def share_mount(self, *, read_only: bool = False) -> None:
        """Mount the shared store."""
        mount_ends(self.share)
        self.share.mkdir(exist_ok=True)
        root("mount", "--bind", self.pool.var / "store", self.share)
        if read_only:
            root("mount", "-o", "remount,ro,bind", self.share)

    def start(self) -> None:
        """Start its sealer in its namespace."""
        words = ["--dir", self.folder, "--store", self.share, "--host", self.name, "--name", self.name]
        words += ["--console", f"http://{CONSOLE}:{self.pool.port}", "--token-file", self.token]
        words += ["--snark", "vanilla", "--sector-size", "2KiB", "--slots", SLOTS]
        kept = {name: value for name, value in self.pool.env.items() if name != "POOLSITE_VAR"}
        env = {**kept, kept_kernels.VARIABLE: str(kept_kernels.folder()), "POOLSITE_WORKER_THREADS": "1"}
        # `ip netns exec` gives a process mounts of its own, of which nothing could be taken away any more.
        inside = ["nsenter", f"--net=/run/netns/{self.name}", sys.executable]
        self.process = machine_start(
            [*inside, "-m", "workers", "sealer", *map(str, words)],
            log=self.pool.base / f"{self.name}.log",
            env=env,
        )

    def kill(self) -> None:
        """End it with all its children, as when it loses its power."""
        if self.process is not None:
            machine_kill(self.process)
            self.process, self.ended = None, time.monotonic()

    def look(self) -> None:
        """Start its program again if it ended."""
        if self.process is not None and self.process.poll() is not None:
            self.kill()
        if self.process is None and not self.is_off and time.monotonic() - self.ended > RESTART_S:
            self.start()

    def end(self) -> None:
        """Take the machine away."""
        self.kill()
        mount_ends(self.share)
        self.disk_end()
        namespace_end(self.name)


@dataclass
class Trouble:
    """What is wrong with a host until `until`, and how it is mended."""

    name: str
    host: Host
    until: float
    mend: Callable[[], None]


@dataclass
class Farm:
    """All hosts, and what is wrong with which."""

    pool: RunningPool
    token: Path
    count: int
    dice: random.Random
    hosts: list[Host] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)
    clones: list[Host] = field(default_factory=list)
    happened: list[str] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._leftovers_remove()
        root("ip", "link", "add", "name", BRIDGE, "type", "bridge")
        root("ip", "address", "add", f"{CONSOLE}/24", "dev", BRIDGE)
        root("ip", "link", "set", BRIDGE, "up")
        with contextlib.ExitStack() as begun:
            begun.push(self)
            for number in range(self.count):
                self.hosts.append(Host(self.pool, number, self.token))
                self.hosts[-1].begin()
            begun.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        for host in [*self.clones, *self.hosts]:
            host.end()
        self._leftovers_remove()

    def _leftovers_remove(self) -> None:
        """Remove what a run that was killed has left: its namespaces, and the bridge."""
        known = subprocess.run(["ip", "netns", "list"], check=True, capture_output=True, text=True).stdout
        for name in (line.split()[0] for line in known.splitlines()):
            if name.startswith(PREFIX):
                namespace_end(name)
        subprocess.run(["ip", "link", "del", BRIDGE], check=False, capture_output=True)

    # What goes wrong: each returns how it is mended

    def cable_cut(self, host: Host) -> Callable[[], None]:
        root("ip", "link", "set", f"psf{host.number}", "down")
        return lambda: root("ip", "link", "set", f"psf{host.number}", "up")

    def cable_slow(self, host: Host) -> Callable[[], None]:
        place = ("dev", f"psf{host.number}", "root")
        root("tc", "qdisc", "add", *place, "tbf", "rate", SLOW_RATE, "burst", "4k", "latency", "900ms")
        return lambda: root("tc", "qdisc", "del", *place)

    def cables_swapped(self, host: Host) -> Callable[[], None]:
        """Two hosts have each other's addresses, and keep them."""
        other = self.dice.choice([one for one in self.hosts if one is not host])
        for one in (host, other):
            one.inside("address", "flush", "dev", f"psg{one.number}")
        host.address, other.address = other.address, host.address
        for one in (host, other):
            one.inside("address", "add", f"{NETWORK}.{one.address}/24", "dev", f"psg{one.number}")
        return lambda: None

    def disk_full(self, host: Host) -> Callable[[], None]:
        filler = host.folder / "filler"
        with contextlib.suppress(OSError), filler.open("wb") as out:
            while True:
                out.write(bytes(1 << 16))
        return filler.unlink

    def disk_read_only(self, host: Host) -> Callable[[], None]:
        return read_only(host.folder)

    def disk_lost(self, host: Host) -> Callable[[], None]:
        """Its disk dies; it comes back with an empty one."""
        host.kill()
        host.disk_new()
        return lambda: None

    def disk_away(self, host: Host) -> Callable[[], None]:
        """Its disk is gone while it runs: it ends, and its service waits for the mount."""
        process, host.is_off = host.process, True
        mount_ends(host.folder)

        def mend() -> None:
            assert process is None or process.wait(AWAY_S) != 0, "a host went on without its disk"
            written = sorted(str(path.relative_to(host.folder)) for path in host.folder.rglob("*"))
            assert not written, f"a host has written where its disk was: {written}"
            host.disk_mount()
            host.is_off = False

        return mend

    def share_gone(self, host: Host) -> Callable[[], None]:
        mount_ends(host.share)
        return host.share_mount

    def share_read_only(self, host: Host) -> Callable[[], None]:
        return read_only(host.share)

    def power_lost(self, host: Host) -> Callable[[], None]:
        host.kill()
        host.is_off = True
        return lambda: setattr(host, "is_off", False)

    def cloned(self, host: Host) -> Callable[[], None]:
        """A copy of its disk runs on another machine: the same identity twice."""
        clone = Host(self.pool, 100 + host.number, self.token, address=100 + host.number)
        clone.begin()
        clone.kill()
        clone.disk_new()
        root("cp", "-a", f"{host.folder}/.", clone.folder)
        clone.start()
        self.clones.append(clone)
        return clone.end

    def disturb(self, *, for_s: tuple[float, float], at_once: int) -> None:
        """Have something go wrong with a host with which nothing is wrong."""
        well = [host for host in self.hosts if host not in [one.host for one in self.troubles]]
        if len(self.troubles) >= at_once or not well:
            return
        host = self.dice.choice(well)
        what = self.dice.choice(TROUBLES)
        mend = what(self, host)
        self.troubles.append(Trouble(what.__name__, host, time.monotonic() + self.dice.uniform(*for_s), mend))
        self.happened.append(f"{time.strftime('%H:%M:%S')} {host.name} {what.__name__}")

    def look(self, *, mends_all: bool = False) -> None:
        """Mend what is due, and start what has ended again."""
        for trouble in list(self.troubles):
            if mends_all or time.monotonic() > trouble.until:
                trouble.mend()
                self.troubles.remove(trouble)
        for host in self.hosts:
            host.look()

    def words(self) -> str:
        """What happened, and what the hosts said last."""
        logs = [self.pool.base / f"{host.name}.log" for host in self.hosts]
        tails = [
            f"== {path.name}\n{path.read_text(errors='replace')[-800:]}" for path in logs if path.exists()
        ]
        return "\n".join([*self.happened, *tails])


TROUBLES: Final = (
    Farm.cable_cut,
    Farm.cable_slow,
    Farm.cables_swapped,
    Farm.disk_full,
    Farm.disk_read_only,
    Farm.disk_lost,
    Farm.disk_away,
    Farm.share_gone,
    Farm.share_read_only,
    Farm.power_lost,
    Farm.cloned,
)


def sealing_names(host: Host) -> set[str]:
    """Return the names of sectors that have files on a host's own disk."""
    folder = host.folder
    found = [path.name for path in folder.rglob("s-t0*")]
    return {name.split(".")[0] for name in found}


def is_possible() -> bool:
    """Return whether namespaces and mounts can be made here."""
    return os.geteuid() == 0 and all(shutil.which(program) is not None for program in ("ip", "tc", "nsenter"))
