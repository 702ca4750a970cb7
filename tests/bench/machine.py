"""What a benchmark reads off the machine."""

import os
import platform
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import psutil

TICK = os.sysconf("SC_CLK_TCK")


def pinned(core: int, command: list[str]) -> list[str]:
    """`command`, bound to one core."""
    return ["taskset", "-c", str(core), *command]


def cpu_seconds(pid: int) -> float:
    """User and system time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def broker_cpu_seconds() -> float:
    """User and system time of the broker that this process has started; 0 if it has started none."""
    used = 0.0
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess, FileNotFoundError):  # a process that has just ended
            if child.name().startswith("beam"):
                used += cpu_seconds(child.pid)
    return used


def resident_kib(pid: int) -> int:
    """Resident memory of a process in KiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1])
    raise ProcessLookupError(pid)


def _cpu_times() -> tuple[int, int]:
    """Of all cores since the machine's start, in ticks: stolen by the host for others, and altogether."""
    fields = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return fields[7], sum(fields)


_BEGAN = _cpu_times()


def stolen_share() -> float:
    """How much of its processors the host of this virtual machine has given to others since the benchmark began."""
    stolen, total = (now - then for now, then in zip(_cpu_times(), _BEGAN, strict=True))
    return stolen / total if total else 0.0


def describe_machine() -> dict[str, object]:
    """What a figure was measured on."""
    model = [
        line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line
    ]
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cpu": model[0] if model else platform.processor(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "stolen": stolen_share(),
    }
