"""The sample table."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from django.db import connection

from tests.unit.apps.core.samples import Sample


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """Make a server that takes connections and says nothing, as a stopped process or a cut cable does."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


@pytest.fixture
def samples(db: None) -> type[Sample]:
    """Make the table inside the test's transaction, unless it was there when the database was made."""
    if Sample._meta.db_table in connection.introspection.table_names():
        return Sample
    with connection.schema_editor() as editor:
        editor.create_model(Sample)
    return Sample
