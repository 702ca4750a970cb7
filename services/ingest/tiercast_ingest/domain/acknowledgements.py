"""Which deliveries of a channel may be acknowledged, in as few acknowledgements as possible.

Delivery tags of a channel count 1, 2, 3, …; one acknowledgement can cover all tags up to its own.
"""

from typing import NamedTuple


class Acknowledgement(NamedTuple):
    """What to send: this tag alone, or (`multiple`) every tag up to it."""

    tag: int
    multiple: bool


class Acknowledgements:
    """Deliveries of one channel, from their arrival to their acknowledgement."""

    def __init__(self) -> None:
        self._open: dict[int, bool] = {}
        """Tags that are not settled, in order; True for those that may take long."""
        self._settled: set[int] = set()

    @property
    def in_flight(self) -> int:
        """Deliveries that are not settled."""
        return len(self._open)

    def delivered(self, tag: int) -> None:
        """A message arrived; tags must come in order."""
        self._open[tag] = False

    def detain(self, tag: int) -> None:
        """This one may take long, so those behind it are to be acknowledged one by one."""
        self._open[tag] = True

    def settle(self, tag: int) -> None:
        """This one may be acknowledged."""
        del self._open[tag]
        self._settled.add(tag)

    def take(self) -> list[Acknowledgement]:
        """What to acknowledge now; each tag is covered once."""
        first_open = next(iter(self._open), None)
        covered = {tag for tag in self._settled if first_open is None or tag < first_open}
        acknowledgements = [Acknowledgement(max(covered), multiple=True)] if covered else []
        self._settled -= covered
        if first_open is not None and self._open[first_open]:
            acknowledgements += [Acknowledgement(tag, multiple=False) for tag in sorted(self._settled)]
            self._settled.clear()
        return acknowledgements
