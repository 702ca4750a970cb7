"""What has become of connections so far, read off the gateway's parts when it is asked for."""

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from tiercast_gateway.connection_limits import ConnectionLimits
from tiercast_gateway.delivery import RESYNC_REASONS
from tiercast_gateway.handshake import REFUSALS, Handshake
from tiercast_gateway.request_limits import RequestLimits
from tiercast_gateway.sessions import Sessions
from tiercast_gateway.streams import Streams
from tiercast_shared.contracts.close_codes import CloseCode
from tiercast_shared.contracts.tiers import Tier

PREFIX = "tiercast_gateway"


class SessionCollector(Collector):
    """Handshakes, refusals, closes, resyncs and limits."""

    def __init__(
        self,
        handshake: Handshake,
        sessions: Sessions,
        streams: Streams,
        connections: ConnectionLimits,
        requests: RequestLimits,
    ) -> None:
        self._handshake = handshake
        self._sessions = sessions
        self._streams = streams
        self._connections = connections
        self._requests = requests

    def collect(self) -> list[Metric]:
        """All of this moment."""
        refusals = CounterMetricFamily(f"{PREFIX}_refusals", "Upgrades refused in HTTP, by why.", labels=["refusal"])
        for refusal in REFUSALS:
            refusals.add_metric([refusal], self._handshake.refused[refusal])
        closes = CounterMetricFamily(f"{PREFIX}_closes", "Sockets that this replica closed, by code.", labels=["code"])
        for code in CloseCode:
            closes.add_metric([str(code.value)], self._sessions.registry.closes[code])
        resyncs = CounterMetricFamily(
            f"{PREFIX}_resyncs", "Sockets told that not everything missed can be replayed, by why.", labels=["problem"]
        )
        for reason in RESYNC_REASONS:
            resyncs.add_metric([reason], self._sessions.resyncs[reason])
        limited = CounterMetricFamily(
            f"{PREFIX}_requests_limited", "Requests above the limit per minute, by the caller's tier.", labels=["tier"]
        )
        for tier in Tier:
            limited.add_metric([tier], self._requests.refused[tier])
        return [
            refusals,
            closes,
            resyncs,
            limited,
            CounterMetricFamily(f"{PREFIX}_handshakes", "Upgrades asked for.", value=self._handshake.asked),
            CounterMetricFamily(
                f"{PREFIX}_evictions",
                "Connections ended because their user has too many.",
                value=self._connections.evicted,
            ),
            CounterMetricFamily(
                f"{PREFIX}_connections_refused",
                "Connections refused because their user's push each other out.",
                value=self._connections.refused,
            ),
            GaugeMetricFamily(f"{PREFIX}_streams", "Open streams of server-sent events.", value=len(self._streams)),
        ]
