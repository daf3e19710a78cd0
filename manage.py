#!/usr/bin/env python3
"""Django's command line for this site."""

from __future__ import annotations

import os
import sys

from django.core.management import execute_from_command_line

from poolsite.celery import app

__all__ = ["app"]


def main() -> None:
    """Run one management command; the embedded pool's settings unless the environment names others."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "poolsite.settings.embedded")
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
