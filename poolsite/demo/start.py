"""Made-up data at the start of `make up`: made for a demo, refused otherwise."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.utils.module_loading import import_string

from apps.chain.models import Network
from poolsite.demo.errors import DemoRefused
from poolsite.embedded.errors import StartupError
from poolsite.embedded.installation import prepare_lock
from poolsite.embedded.options import DEMO_VARIABLE, demo
from poolsite.filecoin.policy import MADE_UP


def is_asked_for() -> bool:
    """Return whether DEMO asks for a made-up pool.  Raises ImproperlyConfigured where a node is named."""
    try:
        return demo(os.environ.get(DEMO_VARIABLE, ""), network=os.environ.get("POOLSITE_NETWORK", ""))
    except StartupError as refusal:
        raise ImproperlyConfigured(str(refusal)) from None


def is_made_up() -> bool:
    """Return whether this database holds the made-up pool."""
    has_tables = Network._meta.db_table in connection.introspection.table_names()
    return has_tables and Network.objects.filter(name=MADE_UP.name).exists()


def demo_require() -> None:
    """Look whether this database may be started so, before anything of it is changed.

    Raises ImproperlyConfigured for a demo beside real data, and for made-up data without DEMO.
    """
    if is_asked_for():
        if not is_made_up():
            _seed("emptiness_require")
    elif is_made_up():
        raise ImproperlyConfigured(
            f"{settings.VAR} holds the made-up data of a demo: start it by `make up DEMO=1`, "
            "or remove it by `make reset`"
        )


def demo_settle() -> None:
    """Make up a pool if DEMO asks for one.  Raises ImproperlyConfigured beside a real one, or without it."""
    demo_require()
    if not is_asked_for() or is_made_up():
        return
    with prepare_lock():  # else two starts at once make up two
        if is_made_up():
            return
        began = time.monotonic()
        sys.stderr.write("making up 90 days of a pool: two minutes, more on a busy machine\n")
        sys.stderr.flush()
        world = _seed("demo_seed")
    sys.stderr.write(
        f"made up {len(world.tenants)} tenants, {len(world.miners)} miners, {len(world.sectors)} sectors and "
        f"{len(world.messages)} messages in {time.monotonic() - began:.0f} s\n"
    )


def _seed(name: str) -> Any:
    """Call a function of what makes the rows, which no other start needs.  Raises ImproperlyConfigured."""
    try:
        return import_string(f"poolsite.demo.seed.{name}")()
    except DemoRefused as refusal:
        raise ImproperlyConfigured(
            f"no demo is made up beside real data: {refusal}; give it a folder of its own by POOLSITE_VAR, "
            "without DATABASE_URL"
        ) from None
