"""A list, declared once: its page with filters, sort, counts and bulk acts, its live rows, its CSV."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from django.db.models import F, QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.middleware.csrf import get_token
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods, require_safe

from apps.core import formatting
from apps.core.errors import BadValue, DomainError
from apps.core.filters import NAME_MAX, ListFilters
from apps.dashboard import cells
from apps.dashboard.bulk_bar import BulkBar
from apps.dashboard.cards import Verdict
from apps.dashboard.cells import EMPTY, title_of
from apps.dashboard.csv_export import Download, csv_answer, rows_in_turn
from apps.dashboard.fragments import FragmentContext, FragmentsByKind, LivePage, fragment
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData, data_in_scope
from apps.dashboard.pagination import (
    COUNT_MAX,
    Facet,
    Pager,
    Query,
    counts_text,
    cursor_read,
    facets_of,
    page_counted,
    page_newest,
)
from apps.dashboard.refusals import field_refusal_text
from apps.dashboard.registry import navigation
from apps.dashboard.scope import href_in_scope, scope_chosen
from apps.dashboard.sessions import sign_in_required
from apps.miners.selectors.scope import SCOPE
from apps.users.rules.principals import Principal
from apps.users.selectors.saved_views import saved_views_of

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

BESIDE: Final = ("cursor", "sort", "hide")
"""Parameters of a list's address that are no filters: the cursor, the order, the hidden columns."""
LISTS: Final[dict[str, ListPage]] = {}
"""All lists by name."""


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
    """Its name in the URL's `sort` and `hide`; a column without one is neither sorted by nor hidden."""
    sort: Callable[[Any, PageData], Any] | None = None
    """By what of the row, not laid out, a list that is read whole can be put in order."""
    by: str = ""
    """Field by which a query set can be put in order, while no more rows than `COUNT_MAX` fit."""

    @property
    def is_sortable(self) -> bool:
        """Return whether the list can be put in order by it."""
        return self.sort is not None or bool(self.by)

    def html(self, row: Any, token: str) -> SafeString:
        """Return the cell."""
        shown = self.cell(row) if self.acts is None else self.acts(row, token)
        title = EMPTY if isinstance(shown, SafeString) else title_of(str(shown))
        if self.is_name:
            css = " ".join(("c-name", self.css)).strip()
            return format_html('<th scope="row" class="{}"{}>{}</th>', css, title, shown)
        name = (
            EMPTY
            if self.is_plain or (self.acts is not None and not self.key)
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
    address: str = ""
    """First part of its path, if that is not its name."""
    section: str = ""
    """Page of the rail that it belongs to, if it has no place of its own."""
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
    verdict: Callable[[PageData], Verdict | None] = lambda _data: None
    """Sentence above it; None: its page says something else there."""
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
    options: Mapping[str, Callable[[PageData], Iterable[tuple[str, StrOrPromise]]]] = field(
        default_factory=dict
    )
    """Those of them that are chosen: by name, their values with labels."""
    suggested: Mapping[str, Callable[[PageData], Iterable[str]]] = field(default_factory=dict)
    """Those of them that are typed with suggestions: by name, what is suggested."""
    days: bool = False
    """Whether it has a first and a last day."""
    facets: Sequence[tuple[str, StrOrPromise, str, str]] = ()
    """Chips of the filter `state`: key, label, tone, icon."""
    counts: Callable[[PageData], Mapping[str, int]] = _nothing
    """How many rows some chips have without another filter, as the page knows it already."""
    counted: Collection[str] = ()
    """Other chips whose rows are counted: each has an index."""
    more_facets: Callable[[PageData, Any, Query], Iterable[Facet]] = _nothing
    """Further chips: takes what is narrowed, and what stays in the address beside it."""
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
    is_scoped: bool = False
    """Whether all of the page is in the scope, its sentence and what else it shows, not the rows alone."""
    scope_note: Callable[[PageData], StrOrPromise] = lambda _data: ""
    """A sentence on what of the page the scope does not narrow; empty if it narrows all."""
    template: str = "core/list.html"
    """The page; one with more than the list extends that."""
    more: Callable[[HttpRequest, PageData], Mapping[str, Any]] = lambda _request, _data: {}
    """What such a page shows besides."""
    beside_too: tuple[str, ...] = ()
    """Names in its address that are no filters and that the rest of its page reads."""
    live_too: FragmentsByKind = field(default_factory=dict)
    """Fragments of its page, beside the rows, that are updated live."""
    foot: str = ""
    """Template of what stands below the table."""
    bulk: Callable[..., BulkBar | None] | None = None
    picks: str = "sign"
    """Level of whoever picks rows."""
    picked: Callable[[PageData, QueryDict], Any] | None = None
    """The rows of which somebody asked for the CSV by a form."""
    csv: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)
    """Columns of its CSV."""
    csv_rows: Callable[[Any, PageData], Iterable[Any]] = lambda rows, _data: rows_in_turn(rows)
    live: Mapping[str, Callable[[FragmentContext, list[str]], Any]] = field(default_factory=dict)
    """By kind of change, the rows that it touches."""
    verdict_on: tuple[str, ...] = ()
    """Kinds of change after which its sentence may be another."""

    def __post_init__(self) -> None:
        LISTS[self.name] = self

    # Addresses

    @property
    def urls(self) -> list[URLPattern]:
        """Return its addresses."""
        place = self.address or self.name
        own = [path(f"{place}/", require_safe(sign_in_required(self.view)), name=self.name)]
        if self.csv:
            methods = ["GET", "HEAD", *(["POST"] if self.picked is not None else [])]
            download = require_http_methods(methods)(sign_in_required(self.view_csv))
            own.append(path(f"{place}.csv", download, name=f"{self.name}-csv"))
        return own

    @property
    def above(self) -> StrOrPromise:
        """Return the label of the page above it in the rail; empty if it has a place there itself."""
        items = (item for group in navigation() for item in group)
        return next((item.label for item in items if item.key == self.section), "")

    @property
    def live_pages(self) -> dict[str, LivePage]:
        """Return what it follows without a reload."""
        rows = {kind: partial(self.push_rows, changed) for kind, changed in self.live.items()}
        pushed = {
            kind: (*((self.push_verdict,) if kind in self.verdict_on else ()), *self.live_too.get(kind, ()))
            for kind in (*self.verdict_on, *self.live_too)
        }
        followed = LivePage(pushed, rows=rows, findings=self.push_verdict, is_scoped=self.is_scoped)
        return {self.name: followed} if self.live else {}

    # Rows

    def wanted(self, values: Mapping[str, Any], data: PageData, rows: Any) -> ListFilters | None:
        """Return what the list is narrowed to."""
        if self.filters is None:
            return None
        return self.filters(values, rows, viewer=data.viewer, page=data, beside=self.beside(values))

    def beside(self, values: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the names in an address that are no filters: `after` was the cursor's, and may be a time."""
        is_filter = self.filters is not None and "after" in self.filters.base_filters
        names = (*BESIDE, *self.beside_too, *(name for name in SCOPE if name not in self.scoped))
        return names if is_filter and not self.place_in(values) else (*names, "after")

    @property
    def scoped(self) -> tuple[str, ...]:
        """Return what of the scope is among its filters."""
        return tuple(name for name in SCOPE if self.filters is not None and name in self.filters.base_filters)

    def place_in(self, values: Mapping[str, Any]) -> str:
        """Return the cursor that an address has under the name of older pages, if it is one of this list."""
        text = str(values.get("after", ""))
        return text if cursor_read(text, of=self.name) else ""

    def line(
        self,
        row: Any,
        *,
        data: PageData,
        hide: Collection[str] = (),
        live: bool = False,
        fits: bool = True,
        token: str = "",
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
            format_html_join("", "{}", ((column.html(row, token),) for column in self.shown(data, hide))),
            EMPTY if live else self.below(row),
        )
        return Line(html, row)

    def shown(self, data: PageData, hide: Collection[str]) -> Sequence[Column]:
        """Return the columns that the viewer has, without those that are hidden."""
        may_pick = self.bulk is not None and self.may_pick(data)
        may_have = self.columns if may_pick else [one for one in self.columns if "c-pick" not in one.css]
        return [one for one in may_have if one.is_name or not one.key or one.key not in hide]

    @property
    def choice(self) -> list[Column]:
        """Return the columns that a person may hide."""
        return [one for one in self.columns if one.key and not one.is_name]

    def may_pick(self, data: PageData) -> bool:
        """Return whether the viewer picks rows."""
        return data.viewer.may(self.picks)

    # Pushes

    def push_verdict(self, context: FragmentContext) -> Iterable[str]:
        """Render its sentence."""
        yield fragment("dashboard/_verdict.html", verdict=self.verdict(context.data))

    def answer(self, request: HttpRequest, data: PageData, row: Any) -> HttpResponse:
        """Return a row after an act on it, with the columns of the page that asked for that."""
        here = QueryDict(urlsplit(request.headers.get("HX-Current-URL", "")).query)
        hide = self.hidden(here, saved_views_of(request.user, self.name))
        [laid] = self.lay_out([row], data)
        return HttpResponse(self.line(laid, data=data, hide=hide, token=get_token(request)).html)

    def hidden(self, query: QueryDict, saved: dict[str, str]) -> list[str]:
        """Return the columns that an address hides, or else those that a person always does."""
        always = saved.pop("", "")
        return query.getlist("hide") or QueryDict(always).getlist("hide")

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
        query, fits = QueryDict(context.key), None
        wanted = self.wanted(query, data, rows)
        if wanted:
            try:
                fits = set(wanted.rows().values_list("pk", flat=True))
            except DomainError:
                fits = set()
        for row in self.lay_out(rows, data):
            is_of_page = fits is None or row.row.pk in fits
            yield self.line(row, data=data, hide=query.getlist("hide"), live=True, fits=is_of_page).html

    # Page and CSV

    def query_of(self, request: HttpRequest, *without: str) -> dict[str, list[str]]:
        """Return what the address says, without the place in the list."""
        places = {name for name in ("cursor", "after") if name in self.beside(request.GET)}
        given = {name: [str(text) for text in texts if text] for name, texts in request.GET.lists()}
        return {name: texts for name, texts in given.items() if texts and name not in {*places, *without}}

    def narrowed(self, request: HttpRequest, wanted: ListFilters | None, rows: Any, data: PageData) -> Any:
        """Return the rows that fit the address, in its order.  Raises DomainError."""
        if wanted is not None:
            rows = wanted.rows()
        elif (
            unknown := next((name for name in request.GET if name not in self.beside(request.GET)), None)
        ) is not None:
            raise BadValue(gettext("there is no such filter"), field=unknown[:NAME_MAX])
        known = {column.key for column in self.choice}
        if any(key not in known for key in request.GET.getlist("hide")):
            raise BadValue(gettext("there is no such column"), field="hide")
        if len(request.GET.getlist("sort")) > 1:
            raise BadValue(gettext("is given more than once"), field="sort")
        name, descends = self.order(request)
        if not name:
            return rows
        column = next((one for one in self.columns if one.key == name and one.is_sortable), None)
        if column is None:
            raise BadValue(gettext("the list has no such order"), field="sort")
        if column.sort is not None:
            return sorted(rows, key=lambda row: column.sort(row, data), reverse=descends)  # type: ignore[misc]
        return in_order(rows, column.by, descends=descends)

    def order(self, request: HttpRequest) -> tuple[str, bool]:
        """Return the name by which the address orders, if any, and whether downwards."""
        text = request.GET.get("sort", "").strip()
        return text.removeprefix("-"), text.startswith("-")

    def cut(
        self,
        request: HttpRequest,
        wanted: ListFilters | None,  # noqa: ARG002  # for a list that reads its pages otherwise
        rows: Any,
    ) -> tuple[Sequence[Any], Pager]:
        """Cut the page that the address asks for; `rows` are those that are `wanted`, in its order."""
        is_ordered, query = bool(self.order(request)[0]), self.query_of(request)
        of, page = (f"{self.name}-sorted", page_counted) if is_ordered else (self.name, self.page)
        cursor = request.GET.get("cursor") or self.place_in(request.GET)
        return page(rows, cursor, of=of, query=query, field="cursor")

    def facet_counts(self, wanted: ListFilters, data: PageData) -> dict[str, int | str]:
        """Return how many rows each chip has, beside the other filters."""
        rows, beside, known = self.rows(data), self.beside(wanted.given), self.counts(data)
        shared = ("state", *(self.scoped if self.is_scoped else ()))  # what `counts` has narrowed, too
        is_narrowed = any(name not in shared for name in wanted.given)
        counted = {}
        for key in (*self.counted, *(known if is_narrowed else ())):
            values = {**wanted.given, "state": key}
            counted[key] = type(wanted)(values, rows, viewer=data.viewer, page=data, beside=beside).rows()
        return {**counts_text(counted), **({} if is_narrowed else dict(known))}

    def heads(self, request: HttpRequest, data: PageData, hide: Collection[str]) -> list[Head]:
        """Return the heads of the table."""
        name, descends = self.order(request)
        found = []
        for column in self.shown(data, hide):
            text = column.head if column.head_html is None else column.head_html()
            text = cells.hidden(text) if column.acts is not None and not column.key else text
            css = " ".join(("c-name", column.css)).strip() if column.is_name else column.css
            if not column.is_sortable:
                found.append(Head(text, css))
                continue
            is_own = column.key == name
            order = ("descending" if descends else "ascending") if is_own else ""
            sort = column.key if order == "descending" else f"-{column.key}"
            query = {**self.query_of(request, "sort"), "sort": sort}
            found.append(Head(text, css, f"?{urlencode(query, doseq=True)}", order))
        return found

    def data(self, request: HttpRequest, viewer: Principal) -> PageData:
        """Return what the page reads.  Raises MinerUnknown."""
        return data_in_scope(viewer, scope_chosen(request)) if self.is_scoped else PageData(viewer)

    def view(self, request: HttpRequest, viewer: Principal) -> HttpResponse:
        """Return the page."""
        return self.show(request, viewer)

    def show(
        self, request: HttpRequest, viewer: Principal, *, refused: str = "", typed: str = ""
    ) -> HttpResponse:
        """Return the page.

        `refused`: why an act was not done, or a view not saved under the name that was `typed`.
        """
        data = self.data(request, viewer)
        saved = saved_views_of(request.user, self.name)
        hide = self.hidden(request.GET, saved)
        rows, wrong = self.rows(data), ""
        wanted = self.wanted(request.GET, data, rows)
        try:
            rows = self.narrowed(request, wanted, rows, data)
            shown, pager = self.cut(request, wanted, rows)
        except DomainError as refusal:
            wrong = field_refusal_text(refusal)
            shown, pager = [], Pager(shown=0, newer="", older="")
        token, laid = get_token(request), self.lay_out(shown, data)
        # A refusal follows nothing: fetched again it would say that the pool is away.
        is_live = bool(self.live) and not wrong
        here = reverse(self.name)
        beside = {name: text for name, text in scope_chosen(request).items() if name not in self.scoped}
        page = beside | (wanted.given if wanted is not None else {}) | ({"hide": hide} if hide else {})
        query, full = urlencode(page, doseq=True), urlencode(self.query_of(request), doseq=True)
        views, columns = views_of(here, saved, full), [(one, one.key not in hide) for one in self.choice]
        return page_render(
            request,
            self.template,
            title=self.title,
            section=self.section or self.name,
            page_key=(f"{self.name}:{query}" if query else self.name) if is_live else "",
            scoped=self.scoped,
            status=422 if wrong else 200,
            data=data,
            act_error=refused,
            page_href=(f"{here}?{full}" if full else here) if refused else request.get_full_path(),
            list=self,
            above=self.above,
            base="live_page.html" if is_live else "page.html",
            heads=self.heads(request, data, hide),
            lines=[self.line(row, data=data, hide=hide, token=token) for row in laid],
            choice={"columns": columns, "views": views, "query": full, "typed": typed},
            is_chosen="" in saved or "hide" in request.GET,  # then a narrow page shows all columns, too
            pager=pager,
            oldest=None
            if self.order_of is None or self.order(request)[0]
            else pager.oldest([self.order_of(row) for row in laid]),
            verdict=self.verdict(data),
            **self.scope_context(wanted, data),
            links=[replace(one, href=href_in_scope(one.href, request.GET)) for one in self.links(data)],
            wanted=wanted,
            bar=self.bar(request, wanted, data, views=views, is_counted=not wrong),
            wrong=wrong,
            here=here,
            empty=self.empty(data),
            csv=f"{reverse(f'{self.name}-csv')}?{full}" if self.csv else "",
            bulk=self.bulk(data, wanted, rows, pager) if self.bulk is not None and not wrong else None,
            **self.more(request, data),
        )

    def scope_context(self, wanted: ListFilters | None, data: PageData) -> dict[str, Any]:
        """Return what the page says of the scope: whether its sentence and its rows are narrowed by it."""
        is_narrowed = wanted is not None and any(wanted[name] for name in self.scoped)
        return {
            "is_verdict_of_all": is_narrowed and not self.is_scoped,
            "is_scope_alone": is_narrowed and set(wanted.given if wanted else ()) <= set(self.scoped),
            "scope_note": self.scope_note(data),
        }

    def bar(
        self,
        request: HttpRequest,
        wanted: ListFilters | None,
        data: PageData,
        *,
        views: Sequence[Facet],
        is_counted: bool,
    ) -> dict[str, Any]:
        """Return what narrows the list: fields, hidden ones, chips."""
        if wanted is None:
            return {}
        beside = {name: request.GET.getlist(name) for name in self.beside_filters}
        others = {name: texts for name, texts in wanted.given.items() if name != "state"} | beside
        counts = self.facet_counts(wanted, data) if is_counted else {}
        chips = facets_of(reverse(self.name), self.facets, counts, state=wanted["state"], **others)
        return {
            "fields": self.fields(wanted, data),
            "hidden": self.hidden_fields(wanted, *self.beside_pairs(request)),
            "is_open": any(wanted[name] for name in self.places),
            "facets": [*chips, *self.more_facets(data, wanted, beside), *views],
        }

    @property
    def beside_filters(self) -> tuple[str, ...]:
        """Return what stays in the address, beside the filters, when these change."""
        return ("sort", "hide", *(name for name in SCOPE if name not in self.scoped))

    def beside_pairs(self, request: HttpRequest) -> list[tuple[str, str]]:
        """Return name and value of what stays in the address."""
        return [(name, text) for name in self.beside_filters for text in request.GET.getlist(name)]

    def fields(self, wanted: ListFilters, data: PageData) -> list[dict[str, Any]]:
        """Return the fields behind *Filter*, with what is offered for them."""
        return [
            {
                "name": name,
                "label": wanted.filters[name].label,
                "value": wanted[name],
                "options": list(self.options[name](data)) if name in self.options else [],
                "suggested": self.suggested[name](data) if name in self.suggested else [],
            }
            for name in self.places
        ]

    def hidden_fields(self, wanted: ListFilters, *beside: tuple[str, str]) -> list[tuple[str, str]]:
        """Return what is narrowed and has no field above the list: the form sends it along."""
        typed = {"q", *self.places, *(("since", "until") if self.days else ())}
        return [*wanted.pairs(*typed), *((name, text) for name, text in beside if text)]

    def view_csv(self, request: HttpRequest, viewer: Principal) -> HttpResponse | Download:
        """Return the list as CSV, as it is narrowed."""
        data = self.data(request, viewer)
        try:
            if request.method == "POST" and self.picked is not None:
                rows = self.picked(data, request.POST)
            else:
                rows = self.rows(data)
                rows = self.narrowed(request, self.wanted(request.GET, data, rows), rows, data)
        except DomainError as refusal:
            return HttpResponse(field_refusal_text(refusal), status=422, content_type="text/plain")
        cells = ([read(row) for read in self.csv.values()] for row in self.csv_rows(rows, data))
        return csv_answer(f"{self.name}.csv", list(self.csv), cells)


def in_order(rows: QuerySet[Any], by: str, *, descends: bool) -> QuerySet[Any]:
    """Return the rows in the order of a field, those without a value last.

    Raises BadValue where they are too many: no field of a list without end has an index for each order.
    """
    if rows.order_by()[: COUNT_MAX + 1].count() > COUNT_MAX:
        count = formatting.whole(COUNT_MAX)
        reason = gettext("more than {count} rows fit: narrow the list, then sort it").format(count=count)
        raise BadValue(reason, field="sort")
    value = F(by)
    return rows.order_by(value.desc(nulls_last=True) if descends else value.asc(nulls_last=True), "-pk")


def views_of(here: str, saved: Mapping[str, str], query: str) -> list[Facet]:
    """Return the views that a person saved, by name."""
    return [
        Facet(key=name, label=name, href=f"{here}?{text}", on=text == query, is_tag=True)
        for name, text in saved.items()
    ]
