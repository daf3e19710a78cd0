"""Reading a request of `/ipfs/{cid}`: format, scope and order, from its address and Accept.

Source: ipfs/specs src/http-gateways/trustless-gateway.md.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlencode

from django.http import HttpRequest

from apps.core.marked_texts import gettext
from poolsite.filecoin.cids import BadCid
from poolsite.ipld.cids import text_read, text_write
from poolsite.ipld.walk import SEGMENTS_MAX, ByteRange, Scope

RAW: Final = "raw"
CAR: Final = "car"
TYPES: Final = {RAW: "application/vnd.ipld.raw", CAR: "application/vnd.ipld.car"}
OTHER_FORMATS: Final = ("json", "cbor", "dag-json", "dag-cbor", "tar", "ipns-record", "html")
"""Formats of other gateways."""
ENTITY_BYTES: Final = re.compile(r"(-?\d{1,18}):(\*|-?\d{1,18})")
FILENAME_MAX: Final = 200
CAR_CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "version": ("1",),
    "order": ("dfs", "unk"),
    "dups": ("y", "n"),
}
"""Parameters of CARs with what they may be; blocks come in order `dfs` whichever was asked for."""


class GatewayRefusal(Exception):
    """A request that gets another status than 200."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


@dataclass(frozen=True, slots=True)
class Wanted:
    """A request that was read."""

    cid: bytes
    path: tuple[str, ...]
    format: str
    scope: Scope
    span: ByteRange | None
    has_dups: bool
    filename: str
    is_in_address: bool
    """Whether the address itself says all, so that a cache need not look at Accept."""

    @property
    def name(self) -> str:
        """Return the root's text: what it is called in headers."""
        return text_write(self.cid)

    @property
    def content_path(self) -> str:
        """Return the path of the content (X-Ipfs-Path)."""
        return "/ipfs/" + "/".join((self.name, *(quote(part) for part in self.path)))

    @property
    def content_type(self) -> str:
        """Return the type with what is known of a CAR."""
        dups = "y" if self.has_dups else "n"
        return f"{TYPES[CAR]}; version=1; order=dfs; dups={dups}" if self.format == CAR else TYPES[RAW]

    @property
    def etag(self) -> str:
        """Return the name of the bytes that are sent."""
        if self.format == RAW:
            return f'"{self.name}.raw"'
        parts = repr((self.path, str(self.scope), self.span, self.has_dups)).encode()
        return f'W/"{self.name}.car.{hashlib.sha256(parts).hexdigest()[:16]}"'

    @property
    def location(self) -> str:
        """Return the address that says all that Accept said (Content-Location)."""
        query = {"format": self.format}
        if self.format == CAR:
            query |= {"car-dups": "y" if self.has_dups else "n", "dag-scope": str(self.scope)}
        if self.span is not None:
            last = "*" if self.span.last is None else self.span.last
            query["entity-bytes"] = f"{self.span.first}:{last}"
        return f"{self.content_path}?{urlencode(query)}"


def request_read(request: HttpRequest, cid: str, path: str) -> Wanted:
    """Read what is asked for.  Raises GatewayRefusal."""
    try:
        root = text_read(cid)
    except BadCid as bad:
        raise GatewayRefusal(400, gettext("{cid} is no CID: {bad}").format(cid=cid[:100], bad=bad)) from None
    parts = tuple(part for part in path.split("/") if part)
    if len(parts) > SEGMENTS_MAX:
        raise GatewayRefusal(400, gettext("a path has at most {most} names").format(most=SEGMENTS_MAX))
    chosen, choices = _format_of(request)
    if chosen == RAW:
        if parts:
            raise GatewayRefusal(400, gettext("a raw block is asked for by its CID alone, without a path"))
        scope, span, dups = Scope.BLOCK, None, "n"
    else:
        for name in CAR_CHOICES:
            choices[name] = request.GET.get(f"car-{name}", choices.get(name, ""))
            _choice_require(name, choices[name])
        scope, span = _scope_of(request)
        dups = choices["dups"]
    return Wanted(
        cid=root,
        path=parts,
        format=chosen,
        scope=scope,
        span=span,
        has_dups=dups == "y",
        filename=_filename(request.GET.get("filename", ""))
        or f"{text_write(root)}.{'car' if chosen == CAR else 'bin'}",
        is_in_address="format" in request.GET and (chosen == RAW or "car-dups" in request.GET),
    )


def _format_of(request: HttpRequest) -> tuple[str, dict[str, str]]:
    """Return the format, and what Accept says of CARs."""
    accepted = list(_accepted(request.headers.get("Accept", "")))
    named = request.GET.get("format")
    if named is None:
        for kind, params in accepted:
            if kind in TYPES.values() and (kind == TYPES[RAW] or _is_possible(params)):
                return (CAR if kind == TYPES[CAR] else RAW), params
        if any(kind in TYPES.values() for kind, _ in accepted):
            raise GatewayRefusal(406, gettext("CARs are of version 1, in order dfs, with dups y or n"))
        if all(kind in ("*/*", "application/*") for kind, _ in accepted):
            raise GatewayRefusal(
                400,
                gettext("say format=raw or format=car, or Accept: {types}").format(
                    types=", ".join(TYPES.values())
                ),
            )
        raise GatewayRefusal(406, gettext("only {types} are served").format(types=", ".join(TYPES.values())))
    if named not in TYPES:
        is_known = named in OTHER_FORMATS
        raise GatewayRefusal(406 if is_known else 400, gettext("format must be raw or car"))
    of_car = next((params for kind, params in accepted if kind == TYPES[CAR] and _is_possible(params)), {})
    return named, of_car


def _accepted(header: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield types of an Accept header with their parameters, the preferred one first."""
    found = []
    for entry in header.split(",")[:20]:
        kind, *params = (part.strip() for part in entry.split(";"))
        values = {
            name.strip().lower(): value.strip().strip('"')
            for name, _, value in (param.partition("=") for param in params)
        }
        try:
            weight = float(values.pop("q", "1"))
        except ValueError:
            weight = 0.0
        if kind and weight > 0:
            found.append((weight, kind.lower(), values))
    found.sort(key=lambda one: -one[0])
    yield from ((kind, values) for _, kind, values in found)


def _is_possible(params: Mapping[str, str]) -> bool:
    return all(params.get(name, "") in ("", *choices) for name, choices in CAR_CHOICES.items())


def _choice_require(name: str, value: str) -> None:
    if value not in ("", *CAR_CHOICES[name]):
        raise GatewayRefusal(
            400,
            gettext("car-{name} must be one of {values}").format(
                name=name, values=", ".join(CAR_CHOICES[name])
            ),
        )


def _scope_of(request: HttpRequest) -> tuple[Scope, ByteRange | None]:
    text, span = request.GET.get("dag-scope", "all"), request.GET.get("entity-bytes")
    try:
        scope = Scope(text)
    except ValueError:
        raise GatewayRefusal(400, gettext("dag-scope must be block, entity or all")) from None
    if span is None:
        return scope, None
    found = ENTITY_BYTES.fullmatch(span)
    if found is None:
        raise GatewayRefusal(400, gettext("entity-bytes must be from:to, such as 0:1023, 512:* or -1024:*"))
    return Scope.ENTITY, ByteRange(int(found[1]), None if found[2] == "*" else int(found[2]))


def _filename(text: str) -> str:
    """Return a name as a header may have it."""
    return "".join(
        letter
        for letter in text[:FILENAME_MAX]
        if letter.isprintable() and letter.isascii() and letter not in '"\\/'
    )
