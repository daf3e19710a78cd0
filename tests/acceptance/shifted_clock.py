"""A computer whose clock is ahead: a library that a whole pool is started with.

Only what tells the time of day is moved; pauses and time-outs run on clocks that no one sets.
"""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

SOURCE: Final = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

static long ahead(void) { const char *text = getenv("POOLSITE_TEST_AHEAD_S"); return text ? atol(text) : 0; }

int clock_gettime(clockid_t id, struct timespec *out) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int code = real(id, out);
    if (!code && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) out->tv_sec += ahead();
    return code;
}
int gettimeofday(struct timeval *out, void *zone) {
    static int (*real)(struct timeval *, void *);
    if (!real) real = dlsym(RTLD_NEXT, "gettimeofday");
    int code = real(out, zone);
    if (!code) out->tv_sec += ahead();
    return code;
}
time_t time(time_t *out) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out) *out = now.tv_sec;
    return now.tv_sec;
}
"""


def compiler() -> str | None:
    """The machine's C compiler, if it has one."""
    return shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")


def clock_ahead(folder: Path, *, seconds: int) -> dict[str, str]:
    """Environment with which programs believe that it is `seconds` later; the library lies in `folder`."""
    source, library = folder / "clock.c", folder / "clock.so"
    source.write_text(SOURCE)
    program = compiler()
    assert program is not None, "moving a pool's clock needs a C compiler: install gcc"
    subprocess.run([program, "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
    library.chmod(0o755)
    return {"LD_PRELOAD": str(library), "POOLSITE_TEST_AHEAD_S": str(seconds)}
