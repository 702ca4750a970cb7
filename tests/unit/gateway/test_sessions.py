"""Every connection's life: who it is, what it is told, when it is moved, and why it ends."""

from collections.abc import Callable

import pytest

from tests.unit.gateway.doubles import EPOCH, NOW, Replica, position_of, say, session_revoked, tier_changed, token, wire
from tiercast_gateway.connection import Connection, Flow, State
from tiercast_gateway.credentials import AUTH_SECONDS
from tiercast_gateway.cursor import CursorCodec
from tiercast_gateway.errors import IllegalTransition
from tiercast_gateway.inbox import MAX_SYMBOLS
from tiercast_gateway.tier_cache import LEASE_SECONDS
from tiercast_shared.contracts.close_codes import CloseCode
from tiercast_shared.contracts.frames import Connected
from tiercast_shared.contracts.tiers import Tier, TierLookup, TierState


@pytest.fixture
def replica() -> Replica:
    return Replica()


# -- opening --------------------------------------------------------------------------------------


def test_a_known_user_is_welcomed_at_once_and_live(replica: Replica) -> None:
    connection = replica.connect("alice", Tier.ELITE)

    (frame,) = wire(connection).frames
    connected = Connected.model_validate(frame)
    assert (connected.user_tier, connected.recovered, connected.heartbeat_seconds) == (Tier.ELITE, None, 25.0)
    assert (connected.connection_id, connected.server_timestamp) == (connection.id, NOW)
    assert (connection.state, connection.flow) == (State.OPEN, Flow.LIVE)
    assert replica.sessions.by_tier == {Tier.STARTER: 0, Tier.PRO: 0, Tier.ELITE: 1}
    assert (replica.sessions.users, len(replica.sessions)) == (["alice"], 1)


def test_an_unknown_user_waits_for_the_look_up_and_is_then_welcomed(replica: Replica) -> None:
    connection = replica.socket()
    replica.sessions.opened(connection, token("alice"))
    assert (wire(connection).frames, replica.looked_up) == ([], ["alice"])
    assert replica.sessions.by_tier[Tier.PRO] == 0

    replica.answer(alice=Tier.PRO)

    assert wire(connection).of("connected")[0]["user_tier"] == "pro"


def test_all_sockets_of_a_user_are_welcomed_by_one_answer(replica: Replica) -> None:
    connections = [replica.socket() for _ in range(3)]
    for connection in connections:
        replica.sessions.opened(connection, token("alice"))

    replica.answer(alice=Tier.PRO)

    assert [wire(connection).kinds for connection in connections] == [["connected"]] * 3
    assert replica.sessions.by_tier[Tier.PRO] == 3


def test_a_failed_look_up_serves_as_starter_until_more_is_known(replica: Replica) -> None:
    connection = replica.socket()
    replica.sessions.opened(connection, token("alice"))

    replica.sessions.tier_unknown("alice")
    replica.publish_all("ps")
    replica.answer(alice=Tier.PRO)
    replica.publish_all("p")

    assert wire(connection).kinds == ["connected", "new_signal", "tier_changed", "new_signal", "new_signal"]
    assert wire(connection).positions == [2, 1, 3]
    assert [frame.get("replay") for frame in wire(connection).of("new_signal")] == [None, True, None]


def test_signals_come_after_connected_and_never_before(replica: Replica) -> None:
    connection = replica.socket()
    replica.sessions.opened(connection, token("alice"))
    replica.publish_all("ss")

    replica.answer(alice=Tier.PRO)
    replica.publish_all("s")

    assert wire(connection).kinds == ["connected", "new_signal"]
    assert wire(connection).positions == [3]


def test_nothing_falls_between_the_cursor_of_connected_and_the_first_signal(replica: Replica) -> None:
    """A signal is in the feed and not yet in a round of the hub when the client comes."""
    replica.connect("other", Tier.PRO)
    replica.publish_all("ss")
    replica.publish(turn=False)

    connection = replica.connect("alice", Tier.PRO)

    connected = wire(connection).of("connected")[0]
    assert replica.cursors.open(connected["cursor"]).position == wire(connection).positions[0] - 1


def test_a_socket_without_a_token_may_send_it_as_its_first_message(replica: Replica) -> None:
    connection = replica.socket()
    replica.sessions.opened(connection, None)

    say(replica, connection, type="auth", token=token("alice"))
    replica.answer(alice=Tier.PRO)

    assert wire(connection).kinds == ["connected"]


@pytest.mark.parametrize("message", [{"type": "subscribe", "symbols": ["AAPL"]}, {"type": "ping"}, {"type": "pong"}])
def test_nothing_but_a_token_is_taken_from_a_stranger(replica: Replica, message: dict[str, object]) -> None:
    connection = replica.socket()
    replica.sessions.opened(connection, None)

    for _ in range(3):
        say(replica, connection, **message)

    assert "authenticate" in wire(connection).of("error")[0]["message"]
    assert wire(connection).close_code == CloseCode.BAD_REQUEST


def test_a_filter_given_with_the_request_holds_from_the_first_signal_on(replica: Replica) -> None:
    connection = replica.connect(symbols=frozenset({"MSFT"}))

    replica.publish(symbol="AAPL")
    replica.publish(symbol="MSFT")

    assert wire(connection).positions == [2]


# -- closing --------------------------------------------------------------------------------------


def closed_once(connection: Connection, replica: Replica, code: CloseCode) -> None:
    """It was told why, closed with `code`, and nothing of it is left anywhere."""
    assert wire(connection).close_code == code
    assert connection.state is State.CLOSED
    assert connection not in set(replica.sessions)
    replica.publish_all("sp")
    replica.sessions.sweep()
    say(replica, connection, type="ping")
    replica.sessions.lost(connection)
    assert len(wire(connection).closes) == 1


@pytest.mark.parametrize("bad", ["", "x.y.z", token(key="another-secret-of-enough-length-too"), token(exp=1)])
def test_a_bad_token_is_told_and_closed_with_4500(replica: Replica, bad: str) -> None:
    connection = replica.socket()

    replica.sessions.opened(connection, bad)

    (error,) = wire(connection).frames
    assert (error["type"], error["code"]) == ("error", "invalid_token")
    closed_once(connection, replica, CloseCode.INVALID_TOKEN)
    assert replica.looked_up == []


def test_no_token_for_five_seconds_is_closed_with_4503(replica: Replica) -> None:
    connection = replica.socket()
    replica.sessions.opened(connection, None)

    replica.clock.advance(AUTH_SECONDS)
    replica.sessions.sweep()
    assert wire(connection).closes == []
    replica.clock.advance(0.001)
    replica.sessions.sweep()

    assert wire(connection).frames[0]["code"] == "auth_timeout"
    closed_once(connection, replica, CloseCode.AUTH_TIMEOUT)


def test_a_token_that_came_in_time_stops_the_clock_even_while_the_tier_is_looked_up(replica: Replica) -> None:
    connection = replica.socket()
    replica.sessions.opened(connection, token("alice"))

    replica.clock.advance(60)
    replica.sessions.sweep()

    assert wire(connection).closes == []


def test_a_socket_does_not_outlive_its_token_and_is_closed_with_4003(replica: Replica) -> None:
    connection = replica.connect(exp=int(NOW) + 60)

    replica.clock.advance(59.999)
    replica.sessions.sweep()
    assert wire(connection).closes == []
    replica.clock.advance(0.001)
    replica.sessions.sweep()

    assert [frame["code"] for frame in wire(connection).of("error")] == ["token_expiring", "token_expired"]
    closed_once(connection, replica, CloseCode.TOKEN_EXPIRED)


def test_a_token_that_ends_during_the_look_up_ends_the_socket(replica: Replica) -> None:
    connection = replica.socket()
    replica.sessions.opened(connection, token("alice", exp=int(NOW) + 1))

    replica.clock.advance(20)
    replica.sessions.sweep()
    replica.answer(alice=Tier.PRO)

    closed_once(connection, replica, CloseCode.TOKEN_EXPIRED)
    assert "connected" not in wire(connection).kinds


@pytest.mark.parametrize(
    "nonsense", ["hello", "{}", '{"type":"shout"}', '{"type":"subscribe","symbols":["no symbol"]}', "[1]", "\x00"]
)
def test_the_third_message_that_means_nothing_is_closed_with_4501(replica: Replica, nonsense: str) -> None:
    connection = replica.connect()

    replica.sessions.received(connection, nonsense)
    say(replica, connection, type="ping")
    replica.sessions.received(connection, nonsense)
    assert wire(connection).closes == []
    replica.sessions.received(connection, nonsense)

    assert [frame["code"] for frame in wire(connection).of("error")] == ["bad_message"] * 3
    closed_once(connection, replica, CloseCode.BAD_REQUEST)


def test_more_messages_than_a_socket_may_send_end_it_and_a_burst_does_not(replica: Replica) -> None:
    connection = replica.connect()

    for _ in range(3):
        for _ in range(100):
            say(replica, connection, type="ping")
        replica.clock.advance(5)
    assert len(wire(connection).of("pong")) == 300
    for _ in range(101):
        say(replica, connection, type="ping")

    assert wire(connection).of("error")[0]["code"] == "too_many_messages"
    closed_once(connection, replica, CloseCode.BAD_REQUEST)


def test_too_large_a_filter_is_a_strike_and_changes_nothing(replica: Replica) -> None:
    connection = replica.connect(symbols=frozenset({"AAPL"}))

    say(replica, connection, type="subscribe", symbols=[f"S{number}" for number in range(MAX_SYMBOLS)])
    replica.publish(symbol="S1")
    replica.publish(symbol="AAPL")

    assert wire(connection).kinds == ["connected", "error", "new_signal"]
    assert wire(connection).positions == [2]


def test_a_second_overrun_is_closed_with_4002() -> None:
    replica = Replica(capacity=4)
    connection = replica.connect()
    for closes in (0, 1):
        wire(connection).room = 0
        replica.publish_all("s" * 10)
        wire(connection).drain()
        replica.turns.drain()
        assert len(wire(connection).closes) == closes

    assert wire(connection).of("resync_required")[0]["reason"] == "too_slow"
    assert wire(connection).of("error")[0]["code"] == "too_slow"
    closed_once(connection, replica, CloseCode.TOO_SLOW)


def test_the_cursor_of_a_resync_is_where_the_connection_goes_on() -> None:
    replica = Replica(capacity=4, writes_per_step=1)
    for number in range(3):
        replica.connect(f"other-{number}", Tier.PRO)
    connection = replica.connect()
    wire(connection).room = 0
    replica.publish_all("s" * 10)
    replica.publish(turn=False)
    replica.turns.one()  # its round has begun
    replica.publish(turn=False)  # and this one waits for the next

    wire(connection).drain()
    replica.turns.drain()

    resync = wire(connection).of("resync_required")[0]
    assert replica.cursors.open(resync["cursor"]).position == 11
    assert wire(connection).positions == [1, 12]


def test_a_lost_connection_leaves_nothing_behind_whatever_state_it_was_in(replica: Replica) -> None:
    silent, waiting = replica.socket(), replica.socket()
    replica.sessions.opened(silent, None)
    replica.sessions.opened(waiting, token("alice"))
    opened = replica.connect("bob", Tier.PRO)

    for connection in (silent, waiting, opened):
        replica.sessions.lost(connection)
        replica.sessions.lost(connection)

    assert (len(replica.sessions), replica.sessions.users) == (0, [])
    assert replica.sessions.by_tier == dict.fromkeys(Tier, 0)
    replica.answer(alice=Tier.PRO)
    replica.publish()
    assert wire(waiting).frames == []
    assert all(wire(connection).closes == [] for connection in (silent, waiting, opened))


def test_the_reason_in_a_close_frame_is_short_and_never_holds_a_token(replica: Replica) -> None:
    secret = token(exp=1)
    connection = replica.socket()
    replica.sessions.opened(connection, secret)

    code, reason = wire(connection).closes[0]
    assert secret not in reason
    assert len(reason) < 124
    assert 4500 <= code < 5000, "a client must not come back with the same token"


def test_every_close_code_says_by_its_range_whether_to_come_back() -> None:
    assert {int(code) for code in CloseCode if code.reconnect} == {4001, 4002, 4003, 4004, 4005, 1011}
    assert not any(code.reconnect for code in CloseCode if code >= 4500)


def test_a_connection_cannot_go_back_in_life(replica: Replica) -> None:
    connection = replica.connect()
    with pytest.raises(IllegalTransition, match="OPEN cannot become OPENING"):
        connection.become(State.OPENING)
    replica.sessions.lost(connection)
    with pytest.raises(IllegalTransition, match="CLOSED"):
        connection.become(State.OPEN)


# -- a new token for a live connection ------------------------------------------------------------


def test_a_new_token_prolongs_the_connection_and_nothing_else_happens(replica: Replica) -> None:
    connection = replica.connect(exp=int(NOW) + 60)

    say(replica, connection, type="auth", token=token("alice", exp=int(NOW) + 3600))
    replica.clock.advance(600)
    replica.sessions.sweep()

    assert wire(connection).kinds == ["connected"]
    assert wire(connection).closes == []


@pytest.mark.parametrize("other", [token("bob"), token("alice", exp=1), "gibberish"], ids=["other", "old", "none"])
def test_a_new_token_that_is_no_good_ends_the_connection(replica: Replica, other: str) -> None:
    connection = replica.connect("alice")

    say(replica, connection, type="auth", token=other)

    closed_once(connection, replica, CloseCode.INVALID_TOKEN)


def test_a_token_issued_before_a_revocation_does_not_refresh_a_connection(replica: Replica) -> None:
    connection = replica.connect("alice", iat=int(NOW))
    replica.revoke("alice", NOW - 100)
    assert wire(connection).closes == []

    say(replica, connection, type="auth", token=token("alice", iat=int(NOW) - 200))

    assert wire(connection).of("error")[0]["code"] == "revoked_token"
    closed_once(connection, replica, CloseCode.INVALID_TOKEN)


# -- tiers ----------------------------------------------------------------------------------------


def test_an_upgrade_starts_premium_signals_at_once(replica: Replica) -> None:
    connection = replica.connect("alice", Tier.STARTER)
    replica.publish_all("ps")

    replica.set_tier("alice", Tier.PRO, reason="paid")
    replica.publish_all("p")

    assert wire(connection).kinds == ["connected", "new_signal", "tier_changed", "new_signal"]
    changed = wire(connection).of("tier_changed")[0]
    assert (changed["user_tier"], changed["previous_tier"], changed["reason"]) == ("pro", "starter", "paid")
    assert wire(connection).positions == [2, 3]
    assert [frame["seq"] for frame in wire(connection).signals] == [1, 3], "each in the numbering of its feed"
    assert replica.sessions.by_tier == {Tier.STARTER: 0, Tier.PRO: 1, Tier.ELITE: 0}


def test_a_downgrade_keeps_back_premium_signals_that_have_arrived_and_are_not_yet_written(replica: Replica) -> None:
    connection = replica.connect("alice", Tier.PRO)
    replica.publish(premium=True, turn=False)
    replica.publish(turn=False)

    replica.set_tier("alice", Tier.STARTER)
    replica.turns.drain()

    assert wire(connection).kinds == ["connected", "tier_changed", "new_signal"]
    assert wire(connection).positions == [2]


def test_the_cursor_told_with_a_downgrade_is_that_of_a_standard_signal(replica: Replica) -> None:
    connection = replica.connect("alice", Tier.PRO)
    replica.publish_all("spp")

    replica.set_tier("alice", Tier.STARTER)

    cursor = wire(connection).of("tier_changed")[0]["cursor"]
    assert replica.cursors.open(cursor).position == 1


def test_a_move_between_tiers_of_one_feed_is_told_and_interrupts_nothing(replica: Replica) -> None:
    connection = replica.connect("alice", Tier.PRO)
    replica.publish(premium=True, turn=False)

    replica.set_tier("alice", Tier.ELITE)
    replica.turns.drain()
    replica.publish_all("p")

    assert wire(connection).positions == [1, 2]
    assert replica.sessions.by_tier[Tier.ELITE] == 1


def test_the_same_tier_again_is_not_told(replica: Replica) -> None:
    connection = replica.connect("alice", Tier.PRO)

    replica.set_tier("alice", Tier.PRO)
    replica.answer(alice=Tier.PRO)

    assert wire(connection).kinds == ["connected"]


def test_a_change_reaches_every_connection_of_its_user_and_no_other(replica: Replica) -> None:
    mine = [replica.connect("alice", Tier.PRO) for _ in range(2)]
    other = replica.connect("bob", Tier.PRO)

    replica.set_tier("alice", Tier.STARTER)
    replica.publish_all("p")

    assert [wire(connection).kinds for connection in mine] == [["connected", "tier_changed"]] * 2
    assert wire(other).kinds == ["connected", "new_signal"]


def test_a_downgrade_of_a_slow_connection_counts_for_what_it_missed(replica: Replica) -> None:
    connection = replica.connect("alice", Tier.PRO)
    wire(connection).room = 0
    replica.publish_all("s")
    replica.publish_all("ps")

    replica.set_tier("alice", Tier.STARTER)
    wire(connection).drain()
    replica.turns.drain()

    assert wire(connection).positions == [1, 3]


def test_a_lease_that_is_over_takes_premium_away_and_its_return_gives_it_back(replica: Replica) -> None:
    connection = replica.connect("alice", Tier.PRO)

    replica.monotonic.advance(LEASE_SECONDS + 1)
    replica.sessions.sweep()
    replica.publish_all("s")
    replica.tiers.beacon(EPOCH, replica.tiers.applied)
    replica.sessions.sweep()
    replica.publish_all("p")

    changes = wire(connection).of("tier_changed")
    assert [(frame["user_tier"], frame["reason"]) for frame in changes] == [
        ("starter", "unverified"),
        ("pro", "verified"),
    ]
    assert wire(connection).positions == [1, 2]


def test_no_premium_signal_passes_between_the_end_of_the_lease_and_the_next_sweep(replica: Replica) -> None:
    connection = replica.connect("alice", Tier.PRO)

    replica.monotonic.advance(LEASE_SECONDS - 0.5)
    replica.sessions.sweep()
    replica.publish_all("p")
    replica.monotonic.advance(1)
    replica.sessions.sweep()
    replica.publish_all("p")

    assert wire(connection).positions == [1]


def lapse(replica: Replica) -> None:
    replica.monotonic.advance(LEASE_SECONDS + 1)
    replica.sessions.sweep()


def restore(replica: Replica) -> None:
    replica.tiers.beacon(EPOCH, replica.tiers.applied)
    replica.sessions.sweep()
    replica.turns.drain()


@pytest.mark.parametrize("symbols", [None, frozenset({"AAPL"})])
def test_cursors_stand_still_while_premium_is_withheld_and_move_on_after(
    replica: Replica, symbols: frozenset[str] | None
) -> None:
    connection = replica.connect("alice", Tier.PRO, symbols=symbols)
    replica.publish_all("sp")
    lapse(replica)
    replica.publish_all("spsp")
    restore(replica)
    replica.publish_all("ps")

    down, up = wire(connection).of("tier_changed")
    stood = replica.cursors.seal(EPOCH, 2)
    assert (down["cursor"], up["cursor"]) == (stood, stood)
    told = [(position_of(frame), replica.cursors.open(frame["cursor"]).position) for frame in wire(connection).signals]
    assert told == [(1, 1), (2, 2), (3, 2), (5, 2), (4, 4), (6, 6), (7, 7), (8, 8)]


def test_a_client_cut_off_while_premium_was_withheld_gets_it_when_it_comes_back(replica: Replica) -> None:
    first = replica.connect("alice", Tier.PRO)
    replica.publish_all("sp")
    lapse(replica)
    replica.publish_all("sps")
    cursor = wire(first).signals[-1]["cursor"]
    replica.sessions.lost(first)
    restore(replica)

    again = replica.connect("alice", Tier.PRO, resume=cursor)

    assert wire(again).of("connected")[0]["recovered"] is True
    assert [(position_of(frame), frame["replay"]) for frame in wire(again).signals] == [(3, True), (4, True), (5, True)]


def test_a_client_that_comes_back_while_nothing_can_be_verified_keeps_its_place(replica: Replica) -> None:
    first = replica.connect("alice", Tier.PRO)
    replica.publish_all("ps")
    cursor = wire(first).signals[0]["cursor"]
    replica.sessions.lost(first)
    lapse(replica)
    second = replica.socket(resume=cursor)
    replica.sessions.opened(second, token("alice"))
    replica.sessions.tier_unknown("alice")
    replica.publish_all("ps")

    assert wire(second).positions == [2, 4]
    assert {frame["cursor"] for frame in wire(second).signals} == {cursor}


def test_a_starter_who_was_let_in_unverified_moves_on_as_soon_as_that_is_known(replica: Replica) -> None:
    connection = replica.socket()
    replica.sessions.opened(connection, token("bob"))
    replica.sessions.tier_unknown("bob")
    replica.publish_all("s")
    replica.answer(bob=Tier.STARTER)
    replica.publish_all("s")

    assert [replica.cursors.open(frame["cursor"]).position for frame in wire(connection).signals] == [0, 2]


def test_after_a_resync_in_the_dark_premium_is_owed_from_there_on(replica: Replica) -> None:
    connection = replica.connect("alice", Tier.PRO)
    replica.publish_all("sp")
    lapse(replica)
    replica.feed.begin("epoch-2", 2, replica.log.standard_before(3, 10))
    replica.sessions.feed_loaded()
    replica.publish_all("ps")
    cursor = wire(connection).signals[-1]["cursor"]
    restore(replica)

    assert wire(connection).of("resync_required")[0]["cursor"] == cursor == replica.cursors.seal("epoch-2", 1)
    assert wire(connection).positions == [1, 2, 4, 3]


def test_a_downgrade_ends_the_oldest_that_are_more_than_the_lower_tier_has(replica: Replica) -> None:
    mine = [replica.connect("alice", Tier.PRO) for _ in range(4)]

    replica.set_tier("alice", Tier.STARTER)

    for connection in mine[:2]:
        assert wire(connection).of("error")[0]["code"] == "too_many_connections"
        assert wire(connection).close_code == CloseCode.TOO_MANY_CONNECTIONS
    assert [connection.state for connection in mine[2:]] == [State.OPEN] * 2


def test_one_more_than_the_tier_has_ends_the_oldest(replica: Replica) -> None:
    mine = [replica.connect("alice", Tier.STARTER) for _ in range(3)]

    assert [wire(connection).close_code for connection in mine] == [CloseCode.TOO_MANY_CONNECTIONS, None, None]
    assert replica.presence.count("alice") == 2


def test_a_lease_that_is_over_takes_no_connection_away(replica: Replica) -> None:
    mine = [replica.connect("alice", Tier.PRO) for _ in range(4)]

    lapse(replica)
    mine.append(replica.socket())
    replica.sessions.opened(mine[-1], token("alice"))
    replica.sessions.tier_unknown("alice")

    assert [connection.state for connection in mine] == [State.OPEN] * 5


def test_a_revocation_closes_older_sockets_with_4500_and_newer_ones_stay(replica: Replica) -> None:
    old = replica.connect("alice", Tier.PRO, iat=int(NOW) - 100)
    new = replica.connect("alice", Tier.PRO, iat=int(NOW))

    replica.revoke("alice", NOW - 50)

    assert wire(old).of("error")[0]["code"] == "revoked_token"
    closed_once(old, replica, CloseCode.INVALID_TOKEN)
    assert wire(new).closes == []
    assert replica.sessions.by_tier[Tier.PRO] == 1


def test_a_revoked_token_cannot_come_back(replica: Replica) -> None:
    replica.connect("alice", Tier.PRO, iat=int(NOW))
    replica.revoke("alice", NOW - 50)

    again = replica.connect("alice", Tier.PRO, iat=int(NOW) - 100)

    closed_once(again, replica, CloseCode.INVALID_TOKEN)


def test_a_revoked_token_is_refused_when_the_look_up_says_so(replica: Replica) -> None:
    connection = replica.socket()
    replica.sessions.opened(connection, token("alice", iat=int(NOW) - 100))

    state = TierState(tier=Tier.PRO, version=0, tokens_valid_after=NOW - 50)
    replica.tiers.answered(TierLookup(epoch=EPOCH, head=0, tiers={"alice": state}))

    closed_once(connection, replica, CloseCode.INVALID_TOKEN)
    assert "connected" not in wire(connection).kinds


def test_events_out_of_order_or_repeated_move_nobody_back(replica: Replica) -> None:
    connection = replica.connect("alice", Tier.STARTER)
    events = [tier_changed(1, "alice", Tier.STARTER), tier_changed(2, "alice", Tier.PRO)]

    for event in (events[1], events[0], events[1], events[0], events[1]):
        replica.tiers.changed(event)
    replica.tiers.changed(session_revoked(1, "alice", NOW + 1000))

    assert [frame["user_tier"] for frame in wire(connection).of("tier_changed")] == ["pro"]
    assert wire(connection).closes == []


# -- the filter -----------------------------------------------------------------------------------


def test_subscribing_narrows_then_adds_and_answers_with_the_whole_filter(replica: Replica) -> None:
    connection = replica.connect()

    for message in (
        {"type": "subscribe", "symbols": ["msft"]},
        {"type": "subscribe", "symbols": ["AAPL"]},
        {"type": "unsubscribe", "symbols": ["MSFT"]},
        {"type": "unsubscribe", "symbols": ["AAPL"]},
        {"type": "subscribe", "symbols": ["*"]},
    ):
        say(replica, connection, **message)
        replica.publish(symbol="MSFT")

    answers = [frame["symbols"] for frame in wire(connection).of("subscribed")]
    assert answers == [["MSFT"], ["AAPL", "MSFT"], ["AAPL"], [], ["*"]]
    assert wire(connection).positions == [1, 2, 5]


def test_a_filter_changed_while_the_tier_is_looked_up_holds_from_the_start(replica: Replica) -> None:
    connection = replica.socket()
    replica.sessions.opened(connection, token("alice"))

    say(replica, connection, type="subscribe", symbols=["MSFT"])
    replica.answer(alice=Tier.PRO)
    replica.publish(symbol="AAPL")
    replica.publish(symbol="MSFT")

    assert wire(connection).positions == [2]


def test_a_tier_change_leaves_the_filter_alone(replica: Replica) -> None:
    connection = replica.connect("alice", Tier.STARTER, symbols=frozenset({"MSFT"}))

    replica.set_tier("alice", Tier.PRO)
    replica.publish(premium=True, symbol="AAPL")
    replica.publish(premium=True, symbol="MSFT")

    assert wire(connection).positions == [2]


# -- heartbeats -----------------------------------------------------------------------------------


def test_a_ping_is_answered_with_the_last_number_of_the_clients_own_feed(replica: Replica) -> None:
    starter, pro = replica.connect("s", Tier.STARTER), replica.connect("p", Tier.PRO)
    replica.publish_all("sppsp")

    for connection in (starter, pro):
        say(replica, connection, type="ping")
        say(replica, connection, type="pong")
        replica.sessions.beat(connection)

    for connection, seq in ((starter, 2), (pro, 5)):
        beats = wire(connection).frames[-2:]
        assert [(frame["type"], frame["seq"], frame["server_timestamp"]) for frame in beats] == [
            ("pong", seq, NOW),
            ("ping", seq, NOW),
        ]


def test_no_heartbeat_is_piled_onto_a_full_transport_or_sent_before_connected(replica: Replica) -> None:
    waiting, full = replica.socket(), replica.connect("bob", Tier.PRO)
    replica.sessions.opened(waiting, token("alice"))
    wire(full).room = 0
    replica.publish()

    for connection in (waiting, full):
        replica.sessions.beat(connection)

    assert wire(waiting).frames == []
    assert "ping" not in wire(full).kinds


# -- resuming -------------------------------------------------------------------------------------


def seal(replica: Replica, position: int, epoch: str = EPOCH) -> str:
    return replica.cursors.seal(epoch, position)


def test_a_cursor_replays_what_was_missed_marked_and_then_goes_on_live(replica: Replica) -> None:
    replica.publish_all("spsp")

    connection = replica.connect("alice", Tier.PRO, resume=seal(replica, 1))
    replica.publish_all("s")

    connected = wire(connection).of("connected")[0]
    assert (connected["recovered"], connected["cursor"]) == (True, seal(replica, 1))
    assert wire(connection).positions == [2, 3, 4, 5]
    assert [frame.get("replay") for frame in wire(connection).signals] == [True, True, True, None]


def test_a_cursor_at_the_end_has_nothing_to_replay_and_is_recovered(replica: Replica) -> None:
    replica.publish_all("ss")

    connection = replica.connect(resume=seal(replica, 2))
    replica.publish_all("s")

    assert wire(connection).of("connected")[0]["recovered"] is True
    assert wire(connection).positions == [3]


def test_a_replay_shows_what_the_tier_of_now_may_see(replica: Replica) -> None:
    replica.publish_all("spspps")

    connection = replica.connect("alice", Tier.STARTER, resume=seal(replica, 2))

    assert wire(connection).positions == [3, 6]
    assert [frame["seq"] for frame in wire(connection).signals] == [2, 3]


def test_a_starters_cursor_is_good_after_an_upgrade(replica: Replica) -> None:
    replica.publish_all("sppsp")

    connection = replica.connect("alice", Tier.PRO, resume=seal(replica, 1))

    assert wire(connection).positions == [2, 3, 4, 5]


def test_a_replay_keeps_to_the_filter(replica: Replica) -> None:
    for symbol in ("AAPL", "MSFT", "AAPL"):
        replica.publish(symbol=symbol)

    connection = replica.connect(resume=seal(replica, 0), symbols=frozenset({"MSFT"}))

    assert wire(connection).positions == [2]


@pytest.mark.parametrize(
    ("cursor", "reason"),
    [
        (lambda _: "gibberish", "invalid_cursor"),
        (lambda _: "A" * 43, "invalid_cursor"),
        (lambda _: CursorCodec("another key").seal(EPOCH, 15), "invalid_cursor"),
        (lambda replica: seal(replica, 15, "epoch-0"), "feed_recreated"),
        (lambda replica: seal(replica, 11), "cursor_too_old"),
        (lambda replica: seal(replica, 0), "cursor_too_old"),
    ],
)
def test_what_cannot_be_replayed_whole_is_said_and_the_connection_goes_on_from_now(
    cursor: Callable[[Replica], str], reason: str
) -> None:
    replica = Replica(capacity=8, max_replay=8)
    replica.publish_all("s" * 20)

    connection = replica.connect(resume=cursor(replica))
    replica.publish_all("s")

    connected, resync, signal = wire(connection).frames
    assert (connected["recovered"], resync["type"], resync["reason"]) == (False, "resync_required", reason)
    assert replica.cursors.open(resync["cursor"]).position == 20
    assert (signal["seq"], "replay" in signal) == (21, False)


def test_the_oldest_place_that_is_still_whole_can_be_resumed_from() -> None:
    replica = Replica(capacity=8)
    replica.publish_all("s" * 20)

    connection = replica.connect(resume=seal(replica, 12))

    assert wire(connection).positions == list(range(13, 21))


def test_a_cursor_of_a_faster_replica_waits_until_this_one_has_come_there() -> None:
    replica = Replica()
    replica.publish_all("s" * 5)

    connection = replica.connect(resume=seal(replica, 7))
    assert wire(connection).of("connected")[0]["recovered"] is True
    assert replica.feed.gap, "what the other replica had is known to exist"
    replica.publish_all("ssss")

    assert wire(connection).positions == [8, 9]
    assert not wire(connection).of("resync_required")


def test_a_cursor_that_this_replica_never_comes_to_is_given_up() -> None:
    replica = Replica()
    replica.publish_all("s" * 5)
    connection = replica.connect(resume=seal(replica, 7))

    replica.clock.advance(5.1)
    replica.sessions.sweep()
    replica.publish()

    assert [frame["reason"] for frame in wire(connection).of("resync_required")] == ["cursor_ahead"]
    assert wire(connection).positions == [6]


def test_premium_signals_do_not_make_a_starters_cursor_too_old() -> None:
    replica = Replica(capacity=8)
    replica.publish_all("s" + "p" * 50 + "s")

    connection = replica.connect("alice", Tier.STARTER, resume=seal(replica, 1))

    assert wire(connection).of("connected")[0]["recovered"] is True
    assert wire(connection).positions == [52]


# -- a new life of the log ------------------------------------------------------------------------


def test_a_recreated_feed_is_told_to_everyone_and_all_go_on_from_its_end(replica: Replica) -> None:
    pro, starter = replica.connect("p", Tier.PRO), replica.connect("s", Tier.STARTER)
    replica.publish_all("spsp")

    replica.feed.begin("epoch-2", 0, [])
    replica.sessions.feed_loaded()
    replica.log.entries.clear()
    replica.log.standard = 0
    replica.publish_all("sp")

    for connection, seqs in ((pro, [1, 2, 3, 4, 1, 2]), (starter, [1, 2, 1])):
        assert wire(connection).of("resync_required")[0]["reason"] == "feed_recreated"
        assert [frame["seq"] for frame in wire(connection).signals] == seqs


def test_a_full_connection_stays_paused_when_the_feed_is_loaded_anew(replica: Replica) -> None:
    connection = replica.connect()
    wire(connection).room = 0
    replica.publish()
    sends = wire(connection).sends

    replica.feed.begin(EPOCH, 1, replica.log.entries)
    replica.sessions.feed_loaded()
    replica.publish()

    assert connection.flow is Flow.PAUSED
    assert wire(connection).sends == sends
    wire(connection).drain()
    replica.turns.drain()
    assert wire(connection).positions == [1, 2]


def test_a_socket_that_waits_for_its_tier_is_not_told_of_a_new_life(replica: Replica) -> None:
    connection = replica.socket()
    replica.sessions.opened(connection, token("alice"))

    replica.feed.begin("epoch-2", 0, [])
    replica.sessions.feed_loaded()
    replica.answer(alice=Tier.PRO)

    assert wire(connection).kinds == ["connected"]
