"""A list, declared once: its page with filters, sort, counts and bulk acts, its live rows, its CSV."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from django.http import HttpRequest, HttpResponse, QueryDict
from django.middleware.csrf import get_token
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.views.decorators.http import require_safe

from apps.core.errors import BadValue, DomainError
from apps.core.filters import NAME_MAX, ListFilters
from apps.core.languages import colon_text
from apps.dashboard import cells
from apps.dashboard.bulk_bar import BulkBar
from apps.dashboard.cards import Verdict
from apps.dashboard.cells import EMPTY, title_of
from apps.dashboard.csv_export import Download, csv_answer, rows_in_turn
from apps.dashboard.fragments import FragmentContext, FragmentsByKind, LivePage, fragment
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pagination import Facet, Pager, facets_of, page_newest
from apps.dashboard.sessions import sign_in_required
from apps.users.rules.principals import Principal

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

BESIDE: Final = ("after", "sort")
"""What an address has beside filters: the place in the list, and its order."""


@dataclass(frozen=True, slots=True)
class Link:
    """A button above a list that leads to another page."""

    label: StrOrPromise
    href: str
    icon: str = ""
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Empty:
    """Text of an empty list: what will be here, and the first step."""

    title: StrOrPromise
    text: StrOrPromise
    action: StrOrPromise = ""
    href: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column: its head, and what stands in a row's cell."""

    head: StrOrPromise
    cell: Callable[[Any], Any] = str
    """Takes the row as it is laid out."""
    acts: Callable[[Any, str], SafeString] | None = None
    """Instead of `cell`: takes the row and the token of the page's forms, returns buttons."""
    css: str = ""
    is_name: bool = False
    """Whether it says whose row it is: it stays in sight while the others are scrolled."""
    is_plain: bool = False
    """Whether a phone shows it without its head."""
    label: StrOrPromise = ""
    """Label that a phone shows instead of the column's head."""
    head_html: Callable[[], SafeString] | None = None
    """Markup of the column's head, if not its text."""
    key: str = ""
    """Its name in the URL's `sort`, for a column by which the list can be sorted."""
    sort: Callable[[Any, PageData], Any] | None = None
    """By what of the row, not laid out, the list can be put in order: only of lists that are read whole."""

    def html(self, row: Any, token: str) -> SafeString:
        """Return the cell."""
        shown = self.cell(row) if self.acts is None else self.acts(row, token)
        title = EMPTY if isinstance(shown, SafeString) else title_of(str(shown))
        if self.is_name:
            css = " ".join(("c-name", self.css)).strip()
            return format_html('<th scope="row" class="{}"{}>{}</th>', css, title, shown)
        name = (
            EMPTY
            if self.is_plain or self.acts is not None
            else format_html(' data-label="{}"', self.label or self.head)
        )
        return format_html('<td class="{}"{}{}>{}</td>', self.css, name, title, shown)


@dataclass(frozen=True, slots=True)
class Head:
    """A column's head as the table shows it."""

    html: StrOrPromise
    css: str
    href: str = ""
    order: str = ""
    """ascending or descending, of the column by which the list is in order."""


@dataclass(frozen=True, slots=True)
class Line:
    """A row as the table shows it."""

    html: SafeString
    row: Any
    """What it was made of."""


def _nothing(*_args: Any) -> Any:
    return ()


@dataclass(frozen=True, kw_only=True)
class ListPage:
    """A list of one noun."""

    name: str
    """Name of its URL, place in the rail and cursors; the CSV's URL has `-csv` appended."""
    one: str
    """Word for a row in ids of elements: `sector` in `f-sector-12`."""
    title: StrOrPromise
    table: StrOrPromise
    """Label of the table's region."""
    caption: StrOrPromise
    icon: str
    columns: Sequence[Column]
    rows: Callable[[PageData], Any]
    """The rows that a viewer may see, in their order: a query set, or all of them."""
    lay_out: Callable[[Any, PageData], Sequence[Any]]
    """Lays out the rows of one page, or those that changed."""
    id_of: Callable[[Any], object]
    """The part of a row's ids that tells it from others, as laid out."""
    verdict: Callable[[PageData], Verdict]
    empty: Callable[[PageData], Empty]
    none: Empty | None = None
    """Text when no row matches the filters; its action is *Show all*."""
    filters: type[ListFilters] | None = None
    search: StrOrPromise = ""
    """Label of the box above the list, which types the filter `q`; empty for none."""
    search_hint: StrOrPromise = ""
    """Placeholder of the search box, if not its label."""
    search_css: str = "w-m"
    places: tuple[str, ...] = ()
    """Further filters that are typed, behind *Filter*."""
    places_label: StrOrPromise = ""
    days: bool = False
    """Whether it has a first and a last day."""
    facets: Sequence[tuple[str, StrOrPromise, str, str]] = ()
    """Chips of the filter `state`: key, label, tone, icon."""
    counts: Callable[[PageData], Mapping[str, int]] = _nothing
    """How many rows some chips have, as the page knows it already."""
    more_facets: Callable[[PageData, Any], Iterable[Facet]] = _nothing
    page: Callable[..., tuple[Sequence[Any], Pager]] = page_newest
    """Cuts a page: `page_newest`, `page_by_time`, `page_counted`."""
    order_of: Callable[[Any], float] | None = None
    """Sort value of a row, newest first; the page counts newer rows that appear meanwhile."""
    tone_of: Callable[[Any], str] = lambda row: str(row.label.tone)
    tones: tuple[str, ...] = ("bad", "warn")
    """Those by which a row is marked."""
    data_of: Callable[[Any], Mapping[str, object]] = lambda _row: {}
    """Further marks of a row, for scripts and tests."""
    below: Callable[[Any], SafeString] = lambda _row: EMPTY
    """Element below a row that is not replaced with the row."""
    links: Callable[[PageData], Iterable[Link]] = _nothing
    foot: str = ""
    """Template of what stands below the table."""
    bulk: Callable[..., BulkBar | None] | None = None
    csv: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)
    """Columns of its CSV."""
    csv_rows: Callable[[Any, PageData], Iterable[Any]] = lambda rows, _data: rows_in_turn(rows)
    live: Mapping[str, Callable[[FragmentContext, list[str]], Any]] = field(default_factory=dict)
    """By kind of change, the rows that it touches."""
    verdict_on: tuple[str, ...] = ()
    """Kinds of change after which its sentence may be another."""

    # Addresses

    @property
    def urls(self) -> list[URLPattern]:
        """Return its addresses."""
        own = [path(f"{self.name}/", require_safe(sign_in_required(self.view)), name=self.name)]
        if self.csv:
            download = require_safe(sign_in_required(self.view_csv))
            own.append(path(f"{self.name}.csv", download, name=f"{self.name}-csv"))
        return own

    @property
    def live_pages(self) -> dict[str, LivePage]:
        """Return what it follows without a reload."""
        rows = {kind: partial(self.push_rows, changed) for kind, changed in self.live.items()}
        pushed: FragmentsByKind = dict.fromkeys(self.verdict_on, (self.push_verdict,))
        return {self.name: LivePage(pushed, rows=rows, findings=self.push_verdict)} if self.live else {}

    # Rows

    def wanted(self, values: Mapping[str, Any], data: PageData, rows: Any) -> ListFilters | None:
        """Return what the list is narrowed to."""
        if self.filters is None:
            return None
        return self.filters(values, rows, viewer=data.viewer, page=data, beside=BESIDE)

    def line(
        self, row: Any, *, data: PageData, live: bool = False, fits: bool = True, token: str = ""
    ) -> Line:
        """Return a row as the table shows it."""
        marks: dict[str, object] = {"id": f"f-{self.one}-{self.id_of(row)}"}
        if fits and self.order_of is not None:
            marks["data-order"] = self.order_of(row)
        marks |= self.data_of(row)
        if live:
            marks["hx-swap-oob"] = "true"
        tone = self.tone_of(row)
        html = format_html(
            "<tbody{}><tr{}{}>{}</tr></tbody>{}",
            format_html_join("", ' {}="{}"', marks.items()),
            format_html(' data-tone="{}"', tone) if tone in self.tones else EMPTY,
            SafeString(' class="changed"') if live else EMPTY,
            format_html_join("", "{}", ((column.html(row, token),) for column in self.shown(data))),
            EMPTY if live else self.below(row),
        )
        return Line(html, row)

    def shown(self, data: PageData) -> Sequence[Column]:
        """Return the columns that the viewer has."""
        may_pick = self.bulk is not None and self.may_pick(data)
        return self.columns if may_pick else [one for one in self.columns if "c-pick" not in one.css]

    def may_pick(self, data: PageData) -> bool:
        """Return whether the viewer picks rows."""
        return data.viewer.may("sign")

    # Pushes

    def push_verdict(self, context: FragmentContext) -> Iterable[str]:
        """Render its sentence."""
        yield fragment("dashboard/_verdict.html", verdict=self.verdict(context.data))

    def push_rows(
        self,
        changed: Callable[[FragmentContext, list[str]], Any],
        context: FragmentContext,
        keys: list[str],
    ) -> Iterable[str]:
        """Render the changed rows: a page shows those that it has, and counts others that belong on it."""
        data, rows = context.data, changed(context, keys)
        if not rows:
            return
        wanted = self.wanted(QueryDict(context.key), data, rows)
        fits = None
        if wanted:
            try:
                fits = set(wanted.rows().values_list("pk", flat=True))
            except DomainError:
                fits = set()
        for row in self.lay_out(rows, data):
            yield self.line(row, data=data, live=True, fits=fits is None or row.row.pk in fits).html

    # Page and CSV

    def narrowed(self, request: HttpRequest, wanted: ListFilters | None, rows: Any, data: PageData) -> Any:
        """Return the rows that fit the address, in its order.  Raises DomainError."""
        if wanted is not None:
            rows = wanted.rows()
        elif (unknown := next((name for name in request.GET if name not in BESIDE), None)) is not None:
            raise BadValue(gettext("there is no such filter"), field=unknown[:NAME_MAX])
        name, descends = self.order(request)
        if name:
            column = next(one for one in self.columns if one.sort is not None and one.key == name)
            rows = sorted(rows, key=lambda row: column.sort(row, data), reverse=descends)  # type: ignore[misc]
        return rows

    def order(self, request: HttpRequest) -> tuple[str, bool]:
        """Return the column by which the address orders, if any, and whether downwards."""
        text = request.GET.get("sort", "")
        name = text.removeprefix("-")
        known = {column.key for column in self.columns if column.sort is not None}
        return (name, text.startswith("-")) if name in known else ("", False)

    def heads(self, request: HttpRequest, data: PageData) -> list[Head]:
        """Return the heads of the table."""
        name, descends = self.order(request)
        found = []
        for column in self.shown(data):
            text = column.head if column.head_html is None else column.head_html()
            text = cells.hidden(text) if column.acts is not None else text
            css = " ".join(("c-name", column.css)).strip() if column.is_name else column.css
            if column.sort is None:
                found.append(Head(text, css))
                continue
            is_own = column.key == name
            order = ("descending" if descends else "ascending") if is_own else ""
            query = request.GET.copy()
            query.pop("after", None)
            query["sort"] = column.key if order == "descending" else f"-{column.key}"
            found.append(Head(text, css, f"?{query.urlencode()}", order))
        return found

    def view(self, request: HttpRequest, viewer: Principal) -> HttpResponse:
        """Return the page."""
        data = PageData(viewer)
        rows, wrong = self.rows(data), ""
        wanted = self.wanted(request.GET, data, rows)
        try:
            rows = self.narrowed(request, wanted, rows, data)
            shown, pager = self.page(rows, request.GET.get("after", ""), of=self.name, query=_query(request))
        except DomainError as refusal:
            wrong = _wrong(refusal)
            shown, pager = [], Pager(shown=0, newer="", older="")
        token = get_token(request)
        laid = self.lay_out(shown, data)
        # A refusal follows nothing: fetched again it would say that the pool is away.
        is_live = bool(self.live) and not wrong
        here = reverse(self.name)
        query = urlencode(wanted.given, doseq=True) if wanted is not None else ""
        facets: list[Facet] = []
        if wanted is not None:
            others = {name: texts for name, texts in wanted.given.items() if name != "state"}
            facets = facets_of(here, self.facets, dict(self.counts(data)), state=wanted["state"], **others)
            facets += self.more_facets(data, wanted)
        return page_render(
            request,
            "core/list.html",
            title=self.title,
            section=self.name,
            page_key=(f"{self.name}:{query}" if query else self.name) if is_live else "",
            status=422 if wrong else 200,
            data=data,
            list=self,
            base="live_page.html" if is_live else "page.html",
            heads=self.heads(request, data),
            lines=[self.line(row, data=data, token=token) for row in laid],
            pager=pager,
            oldest=pager.oldest([self.order_of(row) for row in laid]) if self.order_of is not None else None,
            verdict=self.verdict(data),
            links=self.links(data),
            wanted=wanted,
            bar={
                "fields": self.fields(wanted),
                "hidden": self.hidden_fields(wanted),
                "is_open": wanted is not None and any(wanted[name] for name in self.places),
                "facets": facets,
            },
            wrong=wrong,
            here=here,
            empty=self.empty(data),
            csv=f"{reverse(f'{self.name}-csv')}?{query}" if self.csv else "",
            bulk=self.bulk(data, wanted, rows, pager) if self.bulk is not None and not wrong else None,
        )

    def fields(self, wanted: ListFilters | None) -> list[tuple[str, StrOrPromise, str]]:
        """Return the fields behind *Filter*: name, label, value."""
        if wanted is None:
            return []
        return [(name, wanted.filters[name].label, wanted[name]) for name in self.places]

    def hidden_fields(self, wanted: ListFilters | None) -> list[tuple[str, str]]:
        """Return what is narrowed and has no field above the list: the form sends it along."""
        if wanted is None:
            return []
        typed = {"q", *self.places, *(("since", "until") if self.days else ())}
        return list(wanted.pairs(*typed))

    def view_csv(self, request: HttpRequest, viewer: Principal) -> HttpResponse | Download:
        """Return the list as CSV, as it is narrowed."""
        data = PageData(viewer)
        rows = self.rows(data)
        try:
            rows = self.narrowed(request, self.wanted(request.GET, data, rows), rows, data)
        except DomainError as refusal:
            return HttpResponse(_wrong(refusal), status=422, content_type="text/plain")
        cells = ([read(row) for read in self.csv.values()] for row in self.csv_rows(rows, data))
        return csv_answer(f"{self.name}.csv", list(self.csv), cells)


def _query(request: HttpRequest) -> dict[str, list[str]]:
    given = {name: [str(text) for text in texts if text] for name, texts in request.GET.lists()}
    return {name: texts for name, texts in given.items() if texts and name != "after"}


def _wrong(refusal: DomainError) -> str:
    return colon_text(refusal.field, refusal.reason) if refusal.field else refusal.reason
