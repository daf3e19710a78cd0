"""Querysets whose SQL is made once: for what every head asks with other values.

To have Django compile a query of three tables costs more than to carry it out and read its rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from threading import Lock
from typing import Any, Final, Generic, TypeVar, cast

from django.db import connection
from django.db.models import Expression, Field, ForeignObject, Lookup, QuerySet

from apps.core.prepared_statements import Prepared

Row = TypeVar("Row")

NAME_MAX: Final = 63
"""PostgreSQL cuts longer names."""


class Parameter(Expression):
    """The place of a value that each call gives, as an expression of a queryset."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:  # noqa: ARG002  # Django's
        """Return a place that the parameter's number is written into."""
        return "%s", (self,)


@ForeignObject.register_lookup
@Field.register_lookup
class EqualsAny(Lookup):
    """`column__any=Parameter(…)`: one of the values of an array, however many those are."""

    lookup_name = "any"
    prepare_rhs = False

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        column, column_params = self.process_lhs(compiler, connection)
        place, value = self.process_rhs(compiler, connection)
        return f"{column} = ANY({place})", (*column_params, *value)


class Compiled(Generic[Row]):
    """A queryset with parameters: compiled once in a process, planned once in each connection.

    What `build` returns may select related rows, annotate, and take columns instead of models; what it
    prefetches is not read.  Everything but the parameters stands in the statement as it is when the first
    call comes.
    """

    def __init__(self, name: str, build: Callable[..., QuerySet[Any]], /, **types: str) -> None:
        """Name the statement, as no other one is, and the SQL types of what it is given."""
        assert len(name) <= NAME_MAX, name
        self.name = name
        self.build = build
        self.types = types
        self._plan: _Plan | None = None
        self._plan_lock = Lock()

    def rows(self, **values: Any) -> list[Row]:
        """Carry it out with these values, one for each parameter."""
        plan = self._plan
        if plan is None:
            with self._plan_lock:  # two plans would prepare the same statement name twice in one connection
                plan = self._plan = self._plan or _Plan(self.name, self.build, self.types)
        return cast("list[Row]", plan.read([values[name] for name in self.types]))


def attach(parents: Iterable[Any], name: str, children: Iterable[Any], *, by: str) -> None:
    """Set what `parent.<name>.all()` gives, as a prefetch does; `by`: the children's field of the parent."""
    groups: dict[Any, list[Any]] = {}
    for child in children:
        groups.setdefault(getattr(child, f"{by}_id"), []).append(child)
    for parent in parents:
        of_parent = groups.get(parent.pk, [])
        for child in of_parent:
            setattr(child, by, parent)
        rows = getattr(parent, name).get_queryset()
        rows._result_cache, rows._prefetch_done = of_parent, True
        parent.__dict__.setdefault("_prefetched_objects_cache", {})[name] = rows


class _Plan:
    """A compiled queryset, with its statement."""

    def __init__(self, name: str, build: Callable[..., QuerySet[Any]], types: dict[str, str]) -> None:
        queryset: Any = build(**{name: Parameter(name) for name in types})
        assert not queryset._prefetch_related_lookups, name
        compiler: Any = queryset.query.get_compiler(using=connection.alias)
        text, params = compiler.as_sql()
        self.queryset = queryset
        self.statement = Prepared(name, text % tuple(_written(params, list(types))), list(types.values()))
        self.select = compiler.select
        self.klass_info = compiler.klass_info
        self.annotation_col_map = compiler.annotation_col_map
        columns = [one[0] for one in compiler.select[: compiler.col_count]]
        self.converters = list(compiler.get_converters(columns).items())

    def read(self, values: Sequence[Any]) -> list[Any]:
        return list(self.queryset._iterable_class(_Answer(self, self.statement.rows(values))))


def _written(params: Sequence[Any], names: list[str]) -> Iterator[str]:
    """Yield what stands in the statement for each value: a parameter's number, or the value itself."""
    with connection.cursor() as cursor:
        for value in params:
            if isinstance(value, Parameter):
                yield f"${names.index(value.name) + 1}"
            else:
                yield cursor.cursor.mogrify("%s", [value]).decode()


class _Answer:
    """Rows, in the place of the queryset, query and compiler that Django makes its objects from."""

    _known_related_objects: Final[dict[Any, Any]] = {}

    def __init__(self, plan: _Plan, rows: list[tuple[Any, ...]]) -> None:
        self.plan = plan
        self.found = rows
        self.db = connection.alias
        self.query = self
        self.model = plan.queryset.model
        self.select, self.klass_info = plan.select, plan.klass_info
        self.annotation_col_map = plan.annotation_col_map

    def get_compiler(self, *_args: Any, **_options: Any) -> _Answer:
        return self

    def execute_sql(self, *_args: Any, **_options: Any) -> list[tuple[Any, ...]]:
        return self.found

    def results_iter(self, *_args: Any, **_options: Any) -> Iterator[Sequence[Any]]:
        if not self.plan.converters:
            return iter(self.found)
        return map(self._converted, self.found)

    def _converted(self, row: tuple[Any, ...]) -> tuple[Any, ...]:
        values = list(row)
        for place, (converters, expression) in self.plan.converters:
            for convert in converters:
                values[place] = convert(values[place], expression, connection)
        return tuple(values)
