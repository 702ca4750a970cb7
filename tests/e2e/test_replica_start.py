"""A gateway replica that starts late has what the others have."""

from tests.support.http import async_http
from tests.support.producers import premium, standard
from tests.support.stack_factory import StackFactory


async def test_a_replica_that_starts_behind_an_all_premium_stretch_still_has_the_standard_signals(
    make_stack: StackFactory,
) -> None:
    stack = make_stack(gateways=2, database="sqlite", settings={"GATEWAY_RING_CAPACITY": "1000"}, start=False)
    late = stack.gateways.pop()
    stack.start()
    old = [standard() for _ in range(30)]
    await stack.publish_all([*old, *(premium() for _ in range(1200))])
    stack.gateways.append(late)
    late.start()
    await stack.set_tier("rich", "elite")
    for gateway in (0, 1):
        async with stack.gateway_http("poor", gateway=gateway) as http:
            latest = (await http.get("/api/v1/signals/latest", params={"limit": 10})).json()
            assert [data["hash"] for data in latest] == [signal["sha256"] for signal in reversed(old[-10:])]
    async with stack.gateway_http("rich", gateway=1) as http:
        assert len((await http.get("/api/v1/signals/latest", params={"limit": 5000})).json()) == 1000
    async with stack.client("poor", gateway=0) as early, stack.client("poor", gateway=1) as later:
        first = [await client.first("connected") for client in (early, later)]
        assert first[0]["cursor"] == first[1]["cursor"], "a cursor tells nothing of premium signals, on any replica"
        assert (await stack.publish(standard())).status_code == 201
        for client in (early, later):
            await client.signals_received(1)
            assert client.seqs == [31]


async def test_the_log_can_be_read_backwards(make_stack: StackFactory) -> None:
    stack = make_stack()
    await stack.publish_all([standard() if number % 3 == 0 else premium() for number in range(9)])
    async with async_http(base_url=stack.ingest.url, headers={"X-Service-Key": stack.service_key}) as http:
        page = (await http.get("/api/v1/log", params={"before": 8, "limit": 2})).json()
        assert [entry["seq"] for entry in page["entries"]] == [6, 7]
        page = (await http.get("/api/v1/log", params={"before": 7, "limit": 5, "feed": "standard"})).json()
        assert [(entry["seq"], entry["standard_seq"]) for entry in page["entries"]] == [(1, 1), (4, 2)]
