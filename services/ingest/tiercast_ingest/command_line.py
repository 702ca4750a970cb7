"""How every command of this service runs."""

from functools import partial

from tiercast_shared import command_line

run = partial(command_line.run, "tiercast-ingest")
