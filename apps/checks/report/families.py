"""Metrics of the table with their values, as objects of Prometheus' library."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from prometheus_client.core import GaugeMetricFamily, Metric

from apps.checks.report.metric_table import BY_NAME


def family(name: str) -> GaugeMetricFamily:
    """Return a metric of the table, without values."""
    figure = BY_NAME[name]
    return GaugeMetricFamily(figure.full_name, figure.text, labels=figure.labels)


def gauge(name: str, value: float) -> Metric:
    """Return a metric with one value and no labels."""
    return gauges_of(name, [((), value)])


def gauges_of(name: str, rows: Iterable[tuple[Sequence[str], float]]) -> Metric:
    """Return a metric from rows of label values and a number; Prometheus' library escapes the labels."""
    made = family(name)
    for labels, value in rows:
        made.add_metric(labels, float(value))
    return made


def gauges(name: str, values: Mapping[str, float], *, labels: Iterable[str] = ()) -> Metric:
    """Return a metric with one label, with 0 for those of `labels` that have no value.

    A series that ended instead of falling to 0 would keep its last value for minutes.
    """
    return gauges_of(
        name, (([key], value) for key, value in {**dict.fromkeys(labels, 0.0), **values}.items())
    )
