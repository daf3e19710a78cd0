"""`make migrate`: bring the database of several consoles to this version while they work.

One of them runs it, before any starts with this version; a start beside others migrates nothing.
Run: python -m poolsite.embedded.migration
"""

from __future__ import annotations

import os
import sys

import django
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError
from django.utils.module_loading import import_string

from poolsite.embedded.attempts import UNAVAILABLE
from poolsite.embedded.errors import RequirementMissing


def main() -> int:
    """Migrate the database that the settings name; 1 with one sentence if it is refused."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "poolsite.settings.embedded")
    try:
        django.setup()
        import_string("poolsite.embedded.installation.migrate")()
    except (ImproperlyConfigured, CommandError, RequirementMissing, *UNAVAILABLE) as refusal:
        sys.stderr.write(f"Not migrated: {' '.join(str(refusal).split())}.\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
