"""Reading settings out of environment variables, and the URLs in which services are named.

An empty variable counts as one that is not set, here as in `poolsite.embedded`: units and compose files pass
on what somebody left blank.  Only a list that has a default may be told to be empty (`env_list`).
"""

from __future__ import annotations

import json
import os
import re
import socket
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

# Over TCP neither side is told of a cut cable, or of a machine that lost power: both must find out within
# 15 s.  A follower would go on for minutes as if it led, and the server, which looks after two hours unless
# told otherwise, would keep locks and open transactions of a session that is gone from all others.
CLIENT_TIMEOUTS: Final = {
    "keepalives_idle": "5",
    "keepalives_interval": "5",
    "keepalives_count": "2",
    "tcp_user_timeout": "15000",
}
SERVER_TIMEOUTS: Final = (
    "-c tcp_keepalives_idle=5 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=2"
    " -c tcp_user_timeout=15000"
)
SEVERAL_HOSTS: Final = {"target_session_attrs": "read-write", "connect_timeout": "5"}
"""libpq's options for several servers: use the one that takes writes, wait briefly for a lost one."""
PLACE: Final = re.compile(r"(\[[\w:.%-]+\]|[^:\[\]]*)(?::(\d*))?", re.ASCII)
"""A host with its port, between the commas of a URL."""
GROUP_ROLE: Final = re.compile(r"OPERATOR|(TENANT_ADMIN|TENANT|AUDITOR) \S+")
"""The role of a group's members: an operator, or a role in a tenant."""
CURRENCY: Final = re.compile("[A-Za-z]{1,8}")
ACTOR: Final = re.compile(r"[ft]0(0|[1-9]\d{0,18})", re.ASCII)
ORIGIN: Final = re.compile(
    r'^\[remote "origin"\]\n(?:[ \t]+\S.*\n)*?[ \t]+url = ((?:https?://|ssh://|[\w.-]+@)[\w.:/@~+%-]+)$',
    re.MULTILINE,
)
"""The address of a clone's origin in its `.git/config`, unless it is a folder of this machine."""
CREDENTIALS: Final = re.compile(r"^(https?://)[^/@]*@")
CERTIFICATES: Final = ("required", "optional", "none")
"""Values of redis-py's `ssl_cert_reqs`: whether the server's certificate must be trusted."""
FILES: Final = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_ca_path")
"""Options of a Redis URL that name a file, or a folder of them."""
LOG_LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def machine_name() -> str:
    """Return what this console machine is called beside others."""
    return env_text("POOLSITE_MACHINE", socket.gethostname().partition(".")[0])[:30]


def env_text(name: str, default: str | None = None) -> str:
    """Return a variable, or `default`.  Raises ImproperlyConfigured if it is missing and has no default."""
    value = os.environ.get(name) or default
    if value is None:
        raise ImproperlyConfigured(f"the environment variable {name} is not set")
    return value


def env_flag(name: str, *, default: bool = False) -> bool:
    """Return a switch: 1, true, yes and on mean yes; 0, false, no and off mean no."""
    value = os.environ.get(name)
    return flag(value, name=name) if value else default


def flag(value: str, *, name: str) -> bool:
    """Return a switch as `env_flag` reads it.  Raises ImproperlyConfigured with its name."""
    word = value.strip().lower()
    if word in {"1", "true", "yes", "on"}:
        return True
    if word in {"", "0", "false", "no", "off"}:
        return False
    raise ImproperlyConfigured(f"{name} is {value!r}: use 1 or 0")


def env_number(name: str, default: int, *, least: int = 0, most: int | None = None) -> int:
    """Return a whole number; with `most`, one from `least` to `most`."""
    value = os.environ.get(name, "")
    try:
        number = int(value) if value else default
    except ValueError:
        raise ImproperlyConfigured(f"{name} is {value!r}: use a whole number") from None
    if most is not None and not least <= number <= most:
        raise ImproperlyConfigured(f"{name} is {number}: use {least} to {most}")
    return number


def env_months(name: str, *, least: int) -> int:
    """Return a number of months of at least `least`; 0, as of a variable that is not set, means for ever."""
    months = env_number(name, 0)
    if months < least and months != 0:
        raise ImproperlyConfigured(f"{name} is {months}: use at least {least}, or 0 to keep all")
    return months


def env_level(name: str) -> str:
    """Return a level of logging in capitals, INFO if none is named."""
    value = os.environ.get(name) or "INFO"
    if value.upper() not in LOG_LEVELS:
        raise ImproperlyConfigured(f"{name} is {value!r}: use one of {', '.join(LOG_LEVELS)}")
    return value.upper()


def env_list(name: str, default: str = "") -> list[str]:
    """Return the parts of a comma-separated variable, without empty ones; a comma alone is an empty list."""
    return [part.strip() for part in (os.environ.get(name) or default).split(",") if part.strip()]


def env_actors(name: str) -> list[int]:
    """Return the actor ids of comma-separated f0 addresses."""
    parts = env_list(name)
    if wrong := [part for part in parts if ACTOR.fullmatch(part) is None]:
        raise ImproperlyConfigured(f"{name} has {wrong[0]!r}: use addresses such as f01000")
    return [int(part[2:]) for part in parts]


def env_url(name: str) -> str:
    """Return the URL of a web server, empty if none is named.  The error does not repeat it."""
    value = os.environ.get(name, "").strip()
    try:
        parts = urlsplit(value)
        is_good = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        is_good = False
    if value and not (is_good and value.isascii() and value.isprintable() and " " not in value):
        raise ImproperlyConfigured(f"{name} cannot be read: use https://host/path or http://host/path")
    return value


def env_issuer(name: str) -> str:
    """Return the URL of an identity provider, empty if none is named: by TLS, or on this machine."""
    value = env_url(name)
    parts = urlsplit(value)
    if value and parts.scheme != "https" and parts.hostname not in {"localhost", "127.0.0.1", "::1"}:
        raise ImproperlyConfigured(f"{name} is not encrypted: use https://")
    if parts.query or parts.fragment or "@" in parts.netloc:
        raise ImproperlyConfigured(f"{name} cannot be read: use https://host/path")
    return value


def env_groups(name: str) -> dict[str, str]:
    """Return the role of each of the company's groups, as `OPERATOR` or a role and the name of a tenant."""
    groups = env_object(name)
    for group, role in groups.items():
        if not isinstance(role, str) or GROUP_ROLE.fullmatch(role) is None:
            raise ImproperlyConfigured(
                f"{name} has {role!r} for {group!r}: use OPERATOR, or TENANT_ADMIN, TENANT or AUDITOR and "
                "the tenant's name"
            )
    return groups


def together(values: dict[str, object]) -> None:
    """Check that variables which need each other are all set, or none.  Raises ImproperlyConfigured."""
    missing = [name for name, value in values.items() if not value]
    if missing and len(missing) < len(values):
        raise ImproperlyConfigured(f"{', '.join(missing)}: needed beside {', '.join(values)}")


def env_source(name: str) -> str:
    """Return the URL of a web server or the path of a file, empty if none is named."""
    value = os.environ.get(name, "").strip()
    return env_url(name) if "://" in value else value


def env_currency(name: str) -> str:
    """Return the name of a currency."""
    value = env_text(name, "USD")
    if CURRENCY.fullmatch(value) is None:
        raise ImproperlyConfigured(f"{name} is {value!r}: use up to 8 letters, such as USD")
    return value


def env_object(name: str) -> dict[str, Any]:
    """Return a JSON object; none is an empty one."""
    try:
        value = json.loads(os.environ.get(name, "") or "{}")
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise ImproperlyConfigured(f"{name} cannot be read: use a JSON object")
    return value


def database_from_url(url: str) -> dict[str, Any]:
    """Turn `postgresql://user:password@host:port/name?option=value` into Django's terms.

    A server behind a UNIX socket is `postgresql:///name?host=/folder&user=name`, as libpq writes it.  Any
    other has the timeouts above, unless the URL's options name others.  Of several (`host:port,host:port`)
    the one that takes writes is used.
    """
    scheme, mark, rest = url.partition("://")
    if scheme not in {"postgres", "postgresql"}:
        raise ImproperlyConfigured(
            f"DATABASE_URL has the scheme {scheme if mark else ''!r}: only postgresql:// is supported"
        )
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    login, _, places = authority.rpartition("@")
    user, _, password = login.partition(":")
    hosts, ports = _hosts_and_ports(places)
    # The standard library reads a URL of one host, and tells a password that it refuses: it sees neither.
    parts = urlsplit(f"{scheme}://{rest[len(authority) :]}")
    options = dict(parse_qsl(parts.query))
    host = options.pop("host", hosts)
    if not host.startswith("/"):
        own = options.get("options", os.environ.get("PGOPTIONS", ""))
        defaults = CLIENT_TIMEOUTS | (SEVERAL_HOSTS if "," in host else {})
        options = defaults | options | {"options": f"{SERVER_TIMEOUTS} {own}".strip()}
    return {
        "ENGINE": "apps.core.postgresql",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": options.pop("user", unquote(user)),
        "PASSWORD": options.pop("password", unquote(password)),
        "HOST": host,
        "PORT": options.pop("port", ports),
        "OPTIONS": options,
    }


def _hosts_and_ports(places: str) -> tuple[str, str]:
    """Return the hosts and the ports of a URL, each joined by commas as libpq has them."""
    found = [PLACE.fullmatch(place) for place in places.split(",")]
    if any(one is None for one in found):
        raise ImproperlyConfigured(
            "DATABASE_URL cannot be read: use postgresql://user:password@host:5432/name, "
            "or host:5432,host:5432 for several servers"
        )
    pairs = [(unquote(one[1].strip("[]")), one[2] or "") for one in found if one is not None]
    ports = [port for _, port in pairs]
    if len(pairs) > 1 and any(ports):
        ports = [port or "5432" for port in ports]
    return ",".join(host for host, _ in pairs), ",".join(ports) if any(ports) else ""


def email_from_url(url: str) -> dict[str, Any]:
    """Return Django's settings of a mail server; without a URL there is none, and no host."""
    parts = urlsplit(url)
    if url and (parts.scheme not in {"smtp", "smtps"} or not parts.hostname):
        raise ImproperlyConfigured("EMAIL_URL cannot be read: use smtp://user:password@host:587/?tls=1")
    options = dict(parse_qsl(parts.query))
    uses_tls = flag(options.get("tls", ""), name="tls in EMAIL_URL")
    try:
        port = parts.port or (465 if parts.scheme == "smtps" else 587 if uses_tls else 25)
    except ValueError:
        raise ImproperlyConfigured("EMAIL_URL has an invalid port") from None
    return {
        "EMAIL_HOST": parts.hostname or "",
        "EMAIL_PORT": port,
        "EMAIL_HOST_USER": unquote(parts.username or ""),
        "EMAIL_HOST_PASSWORD": unquote(parts.password or ""),
        "EMAIL_USE_SSL": parts.scheme == "smtps",
        "EMAIL_USE_TLS": uses_tls and parts.scheme == "smtp",
        "EMAIL_TIMEOUT": 15,
        "DEFAULT_FROM_EMAIL": options.get("from", f"poolsite@{parts.hostname or 'localhost'}"),
    }


def env_redis_url(name: str, default: str | None = None) -> str:
    """Return the URL of one Redis server.  The error does not repeat it, as it may have a password."""
    value = env_text(name, default)
    scheme = value.partition("://")[0]
    if scheme not in {"redis", "rediss", "unix"}:
        raise ImproperlyConfigured(
            f"{name} has the scheme {scheme[:20]!r}: use redis://, rediss:// or unix:// with one server; "
            "Sentinel and Redis Cluster are not supported"
        )
    options = dict(parse_qsl(value.partition("?")[2]))
    if (check := options.get("ssl_cert_reqs", "required")) not in CERTIFICATES:
        raise ImproperlyConfigured(
            f"{name} has ssl_cert_reqs={check[:20]}: use one of {', '.join(CERTIFICATES)}"
        )
    for option in FILES:
        if option in options and not os.access(options[option], os.R_OK):
            raise ImproperlyConfigured(f"{name} has {option}={options[option]}: it cannot be read")
    return value


def origin_of(folder: Path) -> str:
    """Return from where a folder was cloned, as `git clone` takes it; empty if others could not use that.

    A password in it is left out.
    """
    try:
        config = (folder / ".git" / "config").read_text(errors="replace")
    except OSError:
        return ""
    found = ORIGIN.search(config)
    return CREDENTIALS.sub(r"\1", found[1]) if found is not None else ""
