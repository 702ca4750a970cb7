"""Metrics of ingest."""

from prometheus_client import CollectorRegistry, generate_latest

from tiercast_ingest.domain.reasons import REASONS
from tiercast_ingest.metrics import IngestMetrics
from tiercast_shared.contracts.signals import SignalType


def test_every_series_is_there_before_anything_happened():
    registry = CollectorRegistry()
    IngestMetrics(registry)
    exported = generate_latest(registry).decode()
    for transport in ("http", "amqp"):
        assert f'tiercast_ingest_signals_duplicates_total{{transport="{transport}"}} 0.0' in exported
        for kind in SignalType:
            assert f'tiercast_ingest_signals_accepted_total{{transport="{transport}",type="{kind}"}} 0.0' in exported
        for reason in REASONS:
            assert (
                f'tiercast_ingest_signals_rejected_total{{reason="{reason}",transport="{transport}"}} 0.0' in exported
            )
    for reason in REASONS:
        assert f'tiercast_ingest_messages_dead_lettered_total{{reason="{reason}"}} 0.0' in exported


def test_gauges_ask_when_they_are_read():
    registry = CollectorRegistry()
    waiting = [3]
    IngestMetrics(registry).watch_waiting(lambda: waiting[0])
    assert registry.get_sample_value("tiercast_ingest_waiting_submissions") == 3
    waiting[0] = 5
    assert registry.get_sample_value("tiercast_ingest_waiting_submissions") == 5
