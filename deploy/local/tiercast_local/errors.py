"""What can go wrong when starting things on one machine.

`LocalError`
├── `Missing`      a program or server that is needed is not there, with the choices
└── `NotReady`     something was started and did not become ready, with the end of its log
"""


class LocalError(Exception):
    """Told to the person at the terminal in one piece, without a traceback."""


class Missing(LocalError):
    """A program or server is needed and cannot be found or installed."""


class NotReady(LocalError):
    """Something we started died or did not become ready in time."""
