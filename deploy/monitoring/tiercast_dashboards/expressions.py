"""PromQL that several panels are made from. `$__rate_interval` is Grafana's: never shorter than four scrapes."""

RATE = "$__rate_interval"


def rate(metric: str, by: str, *, window: str = RATE) -> str:
    """Events per second of a counter, summed by labels."""
    return f"sum by ({by}) (rate({metric}[{window}]))"


def quantile(share: float, histogram: str, by: str = "", *, labels: str = "", window: str = RATE) -> str:
    """A quantile of a histogram; `by` are the labels that stay, `labels` a matcher."""
    kept = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, sum by ({kept}) (rate({histogram}_bucket{labels}[{window}])))"


def mean(histogram: str, by: str, *, labels: str = "", window: str = RATE) -> str:
    """The mean of a histogram."""
    total = f"sum by ({by}) (rate({histogram}_sum{labels}[{window}]))"
    return f"{total} / sum by ({by}) (rate({histogram}_count{labels}[{window}]))"


def within(bound: str, histogram: str, by: str = "", *, window: str = RATE) -> str:
    """The share of a histogram's observations up to a bound, which must be one of its buckets."""
    kept = f" by ({by})" if by else ""
    met = f'sum{kept} (rate({histogram}_bucket{{le="{bound}"}}[{window}]))'
    return f"{met} / sum{kept} (rate({histogram}_count[{window}]))"
