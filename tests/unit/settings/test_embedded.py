"""The settings of `make up`, as its processes read them."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

TELLS = """
import json
from django.conf import settings
print(json.dumps(settings.ALLOWED_HOSTS))
"""
OURS = ["localhost", "127.0.0.1", "[::1]"]


@pytest.mark.parametrize(
    ("env", "names"),
    [
        ({}, OURS),
        ({"POOLSITE_HOST": "10.1.2.3"}, [*OURS, "10.1.2.3"]),
        ({"POOLSITE_HOST": "fd00::2"}, [*OURS, "[fd00::2]"]),
        ({"ALLOWED_HOSTS": "pool.example, pool", "POOLSITE_HOST": "::"}, ["pool.example", "pool", "[::]"]),
    ],
)
def test_the_pool_answers_to_the_name_that_it_listens_on(env: dict[str, str], names: list[str]) -> None:
    assert told(TELLS, env) == names


def test_earlier_secret_keys_come_from_the_environment() -> None:
    tells = TELLS.replace("ALLOWED_HOSTS", "SECRET_KEY_FALLBACKS")

    assert told(tells, {"SECRET_KEY": "new", "SECRET_KEY_FALLBACKS": "old, older"}) == ["old", "older"]


def told(script: str, env: dict[str, str]) -> list[str]:
    """Run a script under the settings of `make up`, and return the list that it prints."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}

    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**kept, "DJANGO_SETTINGS_MODULE": "poolsite.settings.embedded", **env},
        capture_output=True,
        text=True,
        check=True,
    )

    names: list[str] = json.loads(done.stdout)
    return names
