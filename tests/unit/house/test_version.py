"""The version that hosts and pages tell is the project's."""

from __future__ import annotations

import tomllib
from pathlib import Path

from poolsite.wire.hosts import VERSION

PROJECT = Path(__file__).resolve().parents[3] / "pyproject.toml"


def test_hosts_and_pages_tell_the_projects_version() -> None:
    assert f"poolsite/{tomllib.loads(PROJECT.read_text())['project']['version']}" == VERSION
