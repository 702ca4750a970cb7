"""Messages are handed over whole, in order, in the step that reads their last frame; everything else is left to aiormq."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest
from pamqp.body import ContentBody
from pamqp.commands import Basic, Channel, Queue
from pamqp.header import ContentHeader

from tiercast_shared.messaging.deliveries import Deliveries, Message


@dataclass
class Scene:
    handled: list[tuple[str, str | None, bytes]] = field(default_factory=list)
    passed_on: list[Any] = field(default_factory=list)
    faults: int = 0

    def __post_init__(self) -> None:
        self.deliveries = Deliveries(self._handle, self._pass_on)

    def _handle(self, message: Message) -> None:
        if self.faults:
            self.faults -= 1
            raise ZeroDivisionError("a bug")
        self.handled.append((message.exchange, message.properties.message_id, message.body))

    async def _pass_on(self, item: tuple[int, Any]) -> None:
        self.passed_on.append(item[1])

    async def put(self, *frames: Any) -> None:
        for frame in frames:
            await self.deliveries.put((0, frame))


def message(name: str, *parts: bytes, exchange: str = "e") -> list[Any]:
    header = ContentHeader(body_size=sum(map(len, parts)), properties=Basic.Properties(message_id=name))
    return [Basic.Deliver(consumer_tag="c", delivery_tag=1, exchange=exchange), header, *map(ContentBody, parts)]


@pytest.mark.parametrize("parts", [(), (b"body",), (b"bo", b"d", b"y")])
async def test_a_message_is_handed_over_with_its_last_frame_and_not_before(parts: tuple[bytes, ...]) -> None:
    scene = Scene()
    *first, last = message("m", *parts)
    await scene.put(*first)
    assert scene.handled == []
    await scene.put(last)
    assert scene.handled == [("e", "m", b"".join(parts))]
    assert scene.passed_on == []


async def test_messages_come_in_order_each_with_what_is_its_own() -> None:
    scene = Scene()
    await scene.put(*message("1", b"one"), *message("2"), *message("3", b"thr", b"ee", exchange="f"))
    assert scene.handled == [("e", "1", b"one"), ("e", "2", b""), ("f", "3", b"three")]


async def test_frames_of_no_delivery_are_passed_on() -> None:
    scene = Scene()
    others = [Queue.BindOk(), Basic.Cancel(consumer_tag="c"), Channel.Close(reply_code=404)]
    returned = [Basic.Return(reply_code=312), ContentHeader(body_size=1), ContentBody(b"x")]
    await scene.put(*message("1", b"one"), *others, *returned)
    assert scene.passed_on == [*others, *returned]


async def test_a_fault_is_told_to_the_loop_and_the_next_message_is_handled() -> None:
    scene, told = Scene(faults=1), list[dict[str, Any]]()
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: told.append(context))
    await scene.put(*message("1", b"one"), *message("2", b"two"))
    assert scene.handled == [("e", "2", b"two")]
    assert isinstance(told[0]["exception"], ZeroDivisionError)


@pytest.mark.parametrize(("turn", "turns"), [(0, 0), (2, 3), (7, 1), (8, 0)])
async def test_others_have_their_turn_after_so_many_messages(turn: int, turns: int) -> None:
    handled, had = list[int](), 0

    async def pass_on(_frame: Any) -> None:
        raise AssertionError

    async def count() -> None:
        nonlocal had
        while True:
            await asyncio.sleep(0)
            had += 1

    deliveries = Deliveries(lambda message: handled.append(message.tag), pass_on, turn=turn)
    counting = asyncio.ensure_future(count())
    await asyncio.sleep(0)  # it has begun
    for _ in range(7):
        for frame in message("m", b"body"):
            await deliveries.put((0, frame))
    counting.cancel()
    assert (len(handled), had) == (7, turns)
