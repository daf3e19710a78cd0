"""What a start of `make up` does about made-up data: make them for a demo, and refuse them else."""

from __future__ import annotations

import sys
import time

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from apps.chain.models import Network
from poolsite.demo.errors import DemoRefused
from poolsite.filecoin.policy import MADE_UP
from poolsite.settings.environment import env_flag


def is_made_up() -> bool:
    """Return whether this database holds the made-up pool."""
    return Network.objects.filter(name=MADE_UP.name).exists()


def demo_settle() -> None:
    """Make up a pool if DEMO asks for one.  Raises ImproperlyConfigured beside a real one, or without it."""
    is_there = is_made_up()
    if not env_flag("DEMO"):
        if is_there:
            raise ImproperlyConfigured(
                f"{settings.VAR} holds the made-up data of a demo: start it by `make up DEMO=1`, "
                "or remove it by `make reset`"
            )
        return
    if is_there:
        return
    began = time.monotonic()
    try:
        world = import_string("poolsite.demo.seed.demo_seed")()  # no other start needs it
    except DemoRefused as refusal:
        raise ImproperlyConfigured(
            f"no demo is made up beside real data: {refusal}; give it a folder of its own by POOLSITE_VAR"
        ) from None
    sys.stderr.write(
        f"made up {len(world.tenants)} tenants, {len(world.miners)} miners, {len(world.sectors)} sectors and "
        f"{len(world.messages)} messages in {time.monotonic() - began:.0f} s\n"
    )
