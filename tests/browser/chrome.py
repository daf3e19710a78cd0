"""A Chrome for the browser tests: one that is here, else Debian's, else one sentence.

Run: python -m tests.browser.chrome    makes sure that there is one; fails without one only when CI is set.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "chrome-headless-shell",
)
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
"""It runs as root in a container, draws without a graphics card and asks nobody outside."""
CACHES = ("~/.cache/ms-playwright", "/ms-playwright")


def chrome_works(program: Path | str) -> bool:
    """Return whether it runs: a distribution may ship a name that only asks for a snap."""
    try:
        said = subprocess.run([program, "--version"], check=False, capture_output=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return said.returncode == 0


def chrome_find() -> str | None:
    """Return a Chrome that runs: POOLSITE_CHROME, one in the path, one that playwright once installed."""
    named = os.environ.get("POOLSITE_CHROME")
    found = [named, *(shutil.which(name) for name in NAMES)]
    for cache in CACHES:
        folder = Path(cache).expanduser()
        found += [
            str(file)
            for file in sorted(folder.glob("chromium*/chrome-linux*/*"), reverse=True)
            if file.name in {"chrome", "headless_shell"}
        ]
    return next((program for program in found if program and chrome_works(program)), None)


def chrome_install() -> str:
    """Install Debian's Chromium as root; gives the reason if it cannot be done, or nothing."""
    apt = shutil.which("apt-get")
    if os.geteuid() != 0 or apt is None:
        return "this account cannot install packages"
    sys.stdout.write("Installing Chromium for the browser tests\n")
    sys.stdout.flush()
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for words in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", "chromium"]):
        done = subprocess.run([apt, *words], check=False, capture_output=True, text=True, env=env)
        if done.returncode:
            return (done.stderr.strip().splitlines() or ["apt-get failed"])[-1]
    return ""


def main() -> int:
    """Find or install; 1 where the browser tests cannot run."""
    if chrome_find() is not None:
        return 0
    reason = chrome_install()
    if not reason and chrome_find() is not None:
        return 0
    sys.stdout.write(
        "The browser tests cannot run: there is no Chrome here and "
        f"{reason or 'the installed one does not start'}; install Chromium or set POOLSITE_CHROME.\n"
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
