"""The table of commands, made from REST's OpenAPI document: nothing is declared twice.

`manage.py command_acts > poolsite/command/acts.json` writes it.  The command reads it in milliseconds, while
the document takes Django and seconds.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import msgspec

TABLE: Final = Path(__file__).with_name("acts.json")
ROOT: Final = "/api/v1/"
FOR_PROGRAMS: Final = (
    *("jobs/", "jobs:claim", "workers/register", "workers:join", "consoles:join"),
    *("workers/{uuid}/heartbeat", "workers/{uuid}/work"),
)
"""Requests of hosts and joining consoles only: they have no command."""
WITH_HEADERS: Final = ("PATCH pieces/uploads/{uuid}",)
"""What says in a header of its own what it is for, which a command cannot."""
VERBS: Final = {"POST": "create", "PATCH": "change", "PUT": "set", "DELETE": "remove"}
JSON: Final = "application/json"
HEAD: Final = """# Every command of `poolsite`

Made by `make docs` from what REST declares. How to sign in, and what all commands share, is in
[command.md](command.md). Required options are shown here, all others by `--help` after a command. Paths are
below `/api/v1/`."""
MANY: Final = "array"
CANNOT_BE_UNDONE: Final = frozenset(
    {"abort", "bulk", "cancel", "detach", "forget", "refuse", "remove", "terminate", "transfer"}
)
"""Last words of verbs, as in `rebuild-abort`."""
FINAL: Final = frozenset(
    {
        *("messages mark-bad", "messages withdraw-export", "recovery create", "sectors state-set"),
        *("messages batch", "messages create", "miners create", "miners sectors-create"),
    }
)
"""Others that cannot: those of the second line spend."""
FINAL_WITH: Final = {"workers commands-create": ("op", ("retire",))}
"""Those that cannot with some values of an option."""
ALIASES: Final = {
    "alerts acknowledge": "alerts acknowledgement-set",
    "messages push": "messages create",
    "sectors pledge": "miners sectors-create",
}
"""Other names of commands, as people call what they do."""


class Field(msgspec.Struct, frozen=True, omit_defaults=True):
    """An option of a command: a query parameter or a field of the body."""

    name: str
    kind: str = "text"
    """text, integer, number, boolean or json."""
    help: str = ""
    choices: tuple[str, ...] = ()
    is_required: bool = False
    is_many: bool = False


class Act(msgspec.Struct, frozen=True, omit_defaults=True):
    """One request of REST, and the command that sends it."""

    noun: str
    verb: str
    method: str
    path: str
    """Below `/api/v1/`, with its parameters in braces."""
    does: str
    """Its help, a sentence."""
    arguments: tuple[str, ...] = ()
    """The path's parameters in order."""
    query: tuple[Field, ...] = ()
    body: tuple[Field, ...] = ()
    sends: str = ""
    """Content type of the body; empty: none is sent."""
    answers: str = JSON
    has_key: bool = False
    """Whether the same request with the same Idempotency-Key is carried out once."""

    @property
    def is_final(self) -> bool:
        """Return whether it cannot be undone, so that a person is asked first."""
        is_named = self.verb.rpartition("-")[2] in CANNOT_BE_UNDONE or f"{self.noun} {self.verb}" in FINAL
        return self.method == "DELETE" or self.has_dry_run or is_named

    @property
    def has_dry_run(self) -> bool:
        """Return whether it has a dry run."""
        return any(field.name == "dry_run" for field in self.query)

    @property
    def takes_several(self) -> bool:
        """Return whether a line may name several things, for each of which it is sent."""
        return bool(self.arguments) and self.answers == JSON and self.sends in ("", JSON)

    @property
    def may_be_final(self) -> bool:
        """Return whether a person may be asked first."""
        return self.is_final or f"{self.noun} {self.verb}" in FINAL_WITH

    def is_final_with(self, values: dict[str, Any]) -> bool:
        """Return whether it cannot be undone with these values of its options."""
        name, finals = FINAL_WITH.get(f"{self.noun} {self.verb}", ("", ()))
        return self.is_final or values.get(name) in finals

    def has_query(self, name: str) -> bool:
        """Return whether it has a query parameter of this name."""
        return any(field.name == name for field in self.query)


def acts_read() -> list[Act]:
    """Return all commands, ordered by noun and verb."""
    return msgspec.json.decode(TABLE.read_bytes(), type=list[Act])


def acts_of(document: dict[str, Any]) -> list[Act]:
    """Return the commands of an OpenAPI document."""
    paths = {
        path.removeprefix(ROOT): operations
        for path, operations in document["paths"].items()
        if path != ROOT and not path.removeprefix(ROOT).startswith(FOR_PROGRAMS)
    }
    acts = [
        _act(path, method.upper(), operation, document, paths)
        for path, operations in paths.items()
        for method, operation in operations.items()
        if f"{method.upper()} {path}" not in WITH_HEADERS
    ]
    return sorted(acts, key=lambda act: (act.noun, act.verb))


def acts_markdown(acts: list[Act]) -> str:
    """Return the table of docs/commands.md: each command, what it does, its request."""
    lines = [HEAD]
    for noun in dict.fromkeys(act.noun for act in acts):
        lines.append(f"\n## {noun}\n\n| command | does | REST |\n|---|---|---|")
        lines += [
            f"| `{_line(act)}` | {act.does} | `{act.method} {act.path}` |" for act in acts if act.noun == noun
        ]
    return "\n".join(lines) + "\n"


def _line(act: Act) -> str:
    words = [act.noun, act.verb, *(name.upper() for name in act.arguments)]
    words += [f"--{field.name.replace('_', '-')}" for field in (*act.query, *act.body) if field.is_required]
    return " ".join(words)


def act_name(path: str, method: str, paths: dict[str, Any], *, is_list: bool = False) -> tuple[str, str]:
    """Return noun and verb of a request: the path's words, then what the method does to them.

    `POST sectors/{uuid}/retry` is `sectors retry`.  A `POST` to where a `GET` lists what is there, or to
    several things, or of what a `DELETE` removes, creates it.  What is done to one thing or to many is called
    alike, with `-many`.
    """
    bare, _, own_verb = path.partition(":")
    parts = bare.split("/")
    noun, *words = [part for part in parts if not part.startswith("{")]
    is_one = parts[-1].startswith("{")
    if own_verb:
        has_single = any(re.fullmatch(rf"{noun}/{{\w+}}/{own_verb}", other) for other in paths)
        return noun, "-".join([*words, own_verb, *(["many"] if has_single else [])])
    if method == "GET" and not words:
        is_list |= not is_one and any(re.fullmatch(rf"{noun}/{{\w+}}", other) for other in paths)
        return noun, "list" if is_list and not is_one else "show"
    if method == "GET":
        return noun, "-".join([*words, *(["show"] if is_one else [])])
    here = re.compile(rf"{re.escape(path)}(/{{\w+}})?")
    is_removed = any("delete" in paths[other] for other in paths if here.fullmatch(other))
    is_several = words and words[-1].endswith("s") and f"{noun}:{words[-1]}" not in paths
    makes = "get" in paths[path] or is_removed or is_several
    is_plain_verb = method == "POST" and words and not makes
    return noun, "-".join([*words, *([] if is_plain_verb else [VERBS[method]])])


def _act(
    path: str,
    method: str,
    operation: dict[str, Any],
    document: dict[str, Any],
    paths: dict[str, Any],
) -> Act:
    schema = _schema(document)
    answers = _answer(operation)
    rows = schema(answers.get(JSON, {}).get("schema", {}))
    is_list = rows.get("type") == MANY or "results" in rows.get("properties", {})
    noun, verb = act_name(path, method, paths, is_list=is_list)
    content = operation.get("requestBody", {}).get("content", {})
    sends = JSON if JSON in content else next(iter(content), "")
    body = schema(content[JSON]["schema"]) if sends == JSON else {}
    required = body.get("required", ())
    parameters = operation.get("parameters", [])
    in_path = {one["name"] for one in parameters}
    return Act(
        noun=noun,
        verb=verb,
        method=method,
        path=path,
        does=operation.get("summary", ""),
        arguments=tuple(one[1:-1] for one in path.replace(":", "/").split("/") if one.startswith("{")),
        query=tuple(
            _field(
                one["name"], one["schema"] | _described(one), schema, is_required=one.get("required", False)
            )
            for one in parameters
            if one["in"] == "query"
        ),
        body=tuple(
            _field(name, one, schema, is_required=name in required)
            for name, one in body.get("properties", {}).items()
            if not one.get("readOnly") and name not in in_path
        ),
        sends=sends,
        answers=JSON if JSON in answers or not answers else next(iter(answers)),
        has_key=any(one["name"] == "Idempotency-Key" for one in parameters),
    )


def _described(parameter: dict[str, Any]) -> dict[str, str]:
    return {"description": parameter["description"]} if "description" in parameter else {}


def _answer(operation: dict[str, Any]) -> dict[str, Any]:
    """Return the content of the successful response, by content type."""
    for code, answer in sorted(operation["responses"].items()):
        if code.startswith("2") and answer.get("content"):
            return dict(answer["content"])
    return {}


def _schema(document: dict[str, Any]) -> Any:
    """Return a function that resolves a schema's references, also within `oneOf` and `allOf`."""

    def followed(schema: dict[str, Any]) -> dict[str, Any]:
        if "$ref" in schema:
            return followed(document["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
        for choice in ("allOf", "oneOf"):
            if choice in schema:
                alternatives = [followed(one) for one in schema[choice]]
                values = [value for one in alternatives for value in one.get("enum", ())]
                return {**alternatives[0], **({"enum": values} if values else {}), **schema}
        return schema

    return followed


def _field(name: str, given: dict[str, Any], schema: Any, *, is_required: bool) -> Field:
    found = schema(given)
    is_many = found.get("type") == MANY
    inner = schema(found["items"]) if is_many else found
    kinds = {"integer": "integer", "number": "number", "boolean": "boolean", "string": "text"}
    kind = "text" if "oneOf" in inner else kinds.get(inner.get("type", ""), "json")
    if is_many and kind == "json":
        is_many = False
    words = str(given.get("description") or found.get("description", "")).split("* `")[0]
    return Field(
        name=name,
        kind=kind,
        help=" ".join(words.split()),
        choices=tuple(str(one) for one in inner.get("enum", ()) if one not in ("", None)),
        is_required=is_required,
        is_many=is_many,
    )
