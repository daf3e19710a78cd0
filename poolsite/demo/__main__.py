"""The process of the made-up pool that gives its signs of life.

Run: python -m poolsite.demo
"""

from __future__ import annotations

import os

import django
from django.utils.module_loading import import_string

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "poolsite.settings.embedded")
    django.setup()
    import_string("poolsite.demo.life.run")()
