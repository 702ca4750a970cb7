"""Requests are counted by user and tier, and who is above the limit is told when to come back."""

from tiercast_gateway.entitlements import DEFAULT_ENTITLEMENTS
from tiercast_gateway.request_limits import RequestLimits
from tiercast_shared.contracts.tiers import Tier

ENTITLEMENTS = {
    tier: entitlement.model_copy(update={"requests_per_minute": 2})
    for tier, entitlement in DEFAULT_ENTITLEMENTS.items()
}


def test_above_the_limit_it_is_said_when_there_is_room_again() -> None:
    limits = RequestLimits(ENTITLEMENTS)
    first, second, third = (limits.take("a", Tier.STARTER) for _ in range(3))

    assert (first.refusal, second.refusal) == (None, None)
    assert third.refusal is not None
    assert "2 requests in a minute, which starter may make" in str(third.refusal)
    assert 0 < third.refusal.retry_after <= 30, "half a minute brings one of two back"
    assert limits.refused == {Tier.STARTER: 1}


def test_the_headers_tell_what_is_left() -> None:
    limits = RequestLimits(ENTITLEMENTS)
    headers = [dict(limits.take("a", Tier.PRO).headers) for _ in range(3)]

    assert [each[b"x-ratelimit-remaining"] for each in headers] == [b"1", b"0", b"0"]
    assert [each[b"ratelimit"].split(b";t=")[0] for each in headers] == [b'"minute";r=%d' % left for left in (1, 0, 0)]
    for each in headers:
        assert each[b"ratelimit-policy"] == b'"minute";q=2;w=60'
        assert each[b"x-ratelimit-limit"] == b"2"
        assert 1 <= int(each[b"x-ratelimit-reset"]) <= 30
        assert each[b"ratelimit"].endswith(b";t=" + each[b"x-ratelimit-reset"])


def test_each_user_and_each_tier_has_a_count_of_its_own() -> None:
    limits = RequestLimits(ENTITLEMENTS)
    for user, tier in (("a", Tier.STARTER), ("b", Tier.STARTER), ("a", Tier.ELITE)):
        assert [limits.take(user, tier).refusal is None for _ in range(3)] == [True, True, False]
