"""What a console machine keeps in `POOLSITE_VAR` of itself: its id, and the settings it has from its pool.

Rows are the pool's truth; a folder is one machine's.  Plain Python: supervisor, settings and apps read it.
"""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final, Self

from poolsite.private_files import private_write

SHARED: Final = (
    *("DATABASE_URL", "REDIS_URL", "SECRET_KEY_FALLBACKS"),
    *(
        "CHAIN_URLS",
        "NETWORK_PARAMS",
        "NODE_TIME_S",
        "NODE_RESPONSE_MAX_BYTES",
        "PROVIDER_RESPONSE_MAX_BYTES",
    ),
    *("POOLSITE_URL", "ALLOWED_HOSTS", "CSRF_TRUSTED_ORIGINS", "POOLSITE_TLS", "SOURCE_URL"),
    *("EMAIL_URL", "ALERTS_PING_URL", "ALERT_URLS_PRIVATE", "METRICS_TOKEN", "METRICS_OBJECTS"),
    *("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_TRACES_SAMPLER_ARG"),
    *("FIL_PRICES", "FIL_PRICES_CURRENCY"),
    *("BACKUP_WITHIN_H", "DATABASE_SLOW_MS", "SEALING", "EVENTS_KEPT_MONTHS", "MESSAGES_ARCHIVED_MONTHS"),
    *("BLOCK_ROUNDS_KEPT_H", "BLOCK_F3", "DISK_RESERVE_BYTES"),
    *("PIECES_DIR", "C1_DIR", "PIECE_QUOTA_BYTES", "PIECE_COMMITMENT_S", "PIECE_URLS_PRIVATE"),
    *("PIECE_DOWNLOADS", "PIECE_RETRIEVAL_RATE"),
    *("REQUEST_MAX_BYTES", "RPC_REQUEST_MAX_BYTES", "RPC_INFLIGHT_MAX_BYTES", "REST_INFLIGHT_MAX_BYTES"),
)
"""Settings that hold for the pool, whichever of its machines reads them; a machine's own environment wins."""
FORMER: Final = ("PIECE_RETRIEVAL_MINERS",)
"""Settings that earlier versions shared and a migration still reads."""

FILE: Final = "console.json"
ID_FILE: Final = "console_id"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleFolder:
    """`console.json`: what this machine has from its pool; written whole, once all of it was tried."""

    pool: str
    """Id of the pool (`Recovery.pool`): another one's database is refused."""
    is_joined: bool
    """Whether the machine was added to a pool: it runs the console alone, and migrates nothing."""
    settings: dict[str, str] = field(repr=False)
    """Values of `SHARED`, passwords among them."""

    @classmethod
    def of(cls, var: Path) -> Self | None:
        """Read it; None where there is none.  Raises ValueError if it was cut or is not ours."""
        try:
            entry = json.loads((var / FILE).read_text())
            return cls(
                pool=str(entry["pool"]),
                is_joined=bool(entry["is_joined"]),
                settings={
                    name: str(entry["settings"][name])
                    for name in (*SHARED, *FORMER)
                    if name in entry["settings"]
                },
            )
        except FileNotFoundError:
            return None
        except (OSError, KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"{var / FILE} cannot be read: {error!r}") from None

    def write(self, var: Path) -> None:
        """Write it in one step."""
        private_write(var / FILE, json.dumps(asdict(self), indent=2) + "\n")

    def environment_set(self) -> None:
        """Set for this process and its children what their own environment does not say."""
        for name, value in self.settings.items():
            os.environ[name] = os.environ.get(name) or value


def console_environment(var: Path) -> ConsoleFolder | None:
    """Set the settings that the folder has from its pool; return them.  Raises ValueError as `of`."""
    folder = ConsoleFolder.of(var)
    if folder is not None:
        folder.environment_set()
    return folder


def console_id(var: Path) -> str:
    """Return the id of this folder, made at its first use: two machines may have the same name."""
    path = var / ID_FILE
    if not path.exists():
        private_write(path, secrets.token_hex(16) + "\n")
    return path.read_text().strip()
