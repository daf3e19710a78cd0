"""What a start of `make up` does about made-up data: make them for a demo, and refuse them else."""

from __future__ import annotations

import sys

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from poolsite.demo.errors import DemoRefused
from poolsite.demo.seed import demo_prepare, is_made_up
from poolsite.settings.environment import env_flag


def demo_settle() -> None:
    """Make up a pool if DEMO asks for one.  Raises ImproperlyConfigured beside a real one, or without it."""
    if not env_flag("DEMO"):
        if is_made_up():
            raise ImproperlyConfigured(
                f"{settings.VAR} holds the made-up data of a demo: start it by `make up DEMO=1`, "
                "or remove it by `make reset`"
            )
        return
    try:
        sys.stderr.write(f"{demo_prepare()}\n")
    except DemoRefused as refusal:
        raise ImproperlyConfigured(
            f"no demo is made up beside real data: {refusal}; give it a folder of its own by POOLSITE_VAR"
        ) from None
