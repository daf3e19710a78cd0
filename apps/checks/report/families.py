"""Figures of the metrics' table with their values, as Prometheus' library writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.core import GaugeMetricFamily

from apps.checks.report.metric_table import BY_NAME

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from prometheus_client.core import Metric


def family(name: str) -> GaugeMetricFamily:
    """Return a figure of the table without values yet."""
    figure = BY_NAME[name]
    return GaugeMetricFamily(figure.full_name, figure.text, labels=figure.labels)


def gauge(name: str, value: float) -> Metric:
    """Return one figure."""
    return gauges_of(name, [((), value)])


def gauges_of(name: str, rows: Iterable[tuple[Sequence[str], float]]) -> Metric:
    """Return figures by the values of their labels; Prometheus' library escapes what they hold."""
    made = family(name)
    for labels, value in rows:
        made.add_metric(labels, float(value))
    return made


def gauges(name: str, values: Mapping[str, float], *, labels: Iterable[str] = ()) -> Metric:
    """Return figures that differ by one label, 0 for those of `labels` that have none.

    A series that ends when nothing is left to count keeps its last value for minutes, and then fires no rule.
    """
    return gauges_of(
        name, (([key], value) for key, value in {**dict.fromkeys(labels, 0.0), **values}.items())
    )
