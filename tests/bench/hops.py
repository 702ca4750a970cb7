"""Percentiles of each hop of a signal's way, from the gateway's own histograms."""

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.support.stack import Stack

METRIC = "tiercast_gateway_hop_seconds"
HOPS = ("received_committed", "committed_published", "published_consumed", "consumed_written")

Buckets = dict[str, dict[float, float]]


def buckets(stack: Stack) -> Buckets:
    """Cumulative counts by upper bound in seconds, for each hop."""
    found: Buckets = {hop: {} for hop in HOPS}
    for family in text_string_to_metric_families(httpx.get(stack.gateway.metrics_url).text):
        for sample in family.samples:
            if sample.name == f"{METRIC}_bucket" and sample.labels["hop"] in found:
                found[sample.labels["hop"]][float(sample.labels["le"])] = sample.value
    return found


def percentiles_ms(before: Buckets, after: Buckets) -> dict[str, dict[str, float]]:
    """Milliseconds between two readings, as Prometheus' `histogram_quantile` estimates them."""
    result = {}
    for hop in HOPS:
        counts = {bound: count - before[hop].get(bound, 0.0) for bound, count in after[hop].items()}
        result[hop] = {name: quantile(counts, share) * 1000 for name, share in (("p50", 0.5), ("p99", 0.99))}
    return result


def quantile(counts: dict[float, float], share: float) -> float:
    """Linear inside the bucket that holds it; the last finite bound if it lies beyond."""
    bounds = sorted(counts)
    wanted, lower, below = counts[bounds[-1]] * share, 0.0, 0.0
    for bound in bounds:
        if counts[bound] >= wanted:
            if bound == float("inf"):
                return lower
            inside = counts[bound] - below
            return lower + (bound - lower) * ((wanted - below) / inside if inside else 0.0)
        lower, below = bound, counts[bound]
    return lower
