"""Write docs/performance.md and its plots from the results that benchmarks left under `.data/bench/`.

python -m tests.bench.performance
"""

import json
import statistics
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt

from tests.bench.figures import RESULTS, figure_of, number, spread

DOCS = Path(__file__).resolve().parents[2] / "docs"
IMAGES = DOCS / "images"
NOTES = Path(__file__).with_name("performance_notes.md")
ORDER = (
    *("fanout", "capacity", "latency", "ingest", "memory", "statements", "storm", "growth", "polling"),
    *("replicas", "soak"),
)
SIZES = ((1, 20_000), (20, 5_000))
"""Signals a second, and most sockets of a replica when another one is gone."""

MESSAGE_BYTES, PROCESS_MB = 700, 150
COMMANDS = {"growth": "make bench-growth", "soak": "make soak MINUTES=n"}

Result = dict[str, Any]


def results() -> dict[str, Result]:
    """The last result of each benchmark that has one."""
    files = {name: RESULTS / f"{name}.json" for name in ORDER}
    return {name: json.loads(file.read_text()) for name, file in files.items() if file.exists()}


def figures_table(found: dict[str, Result]) -> list[str]:
    """Every figure beside its floor, peer or target."""
    lines = ["| row | figure | measured | beside it, same run | ratio | target | |", "|---|---|---|---|---|---|---|"]
    for result in found.values():
        for each in map(figure_of, result["figures"]):
            verdict = {True: "met", False: "**missed**", None: ""}[each.met]
            beside = f"{each.beside}: {spread(each.beside_values)}" if each.beside_values else each.beside
            ratio = spread(each.ratios) if each.ratios else ""
            measured = f"{spread(each.values)} {each.unit}".strip()
            lines.append(
                f"| {each.row or ''} | {each.name} | {measured} | {beside} | {ratio} | {each.target} | {verdict} |"
            )
    return lines


def missed(found: dict[str, Result]) -> list[str]:
    """By how much each missed target is missed."""
    figures = [figure_of(values) for result in found.values() for values in result["figures"]]
    lines = [
        f"- Row {each.row}: {each.name} is {spread(each.values)} {each.unit}".rstrip()
        + (f", {spread(each.ratios)} × {each.beside}" if each.ratios else "")
        + f"; the target is {each.target}."
        for each in figures
        if each.met is False
    ]
    return lines or ["Nothing, in the runs above."]


def runs_table(found: dict[str, Result]) -> list[str]:
    """Which command gave which figures, when and on what."""
    lines = [
        "| benchmark | command | commit | date | processors given to others by the host |",
        "|---|---|---|---|---|",
    ]
    for name, result in found.items():
        command = COMMANDS.get(name, f"make bench-{name}")
        machine = result["machine"]
        lines.append(f"| {name} | `{command}` | {result['commit']} | {machine['date']} | {machine['stolen']:.0%} |")
    return lines


def sizing(found: dict[str, Result]) -> list[str]:
    """What one core and one GiB carry here, and machines for so many users; the arithmetic is in the notes."""
    if not {"fanout", "memory", "capacity"} <= found.keys():
        return []
    cost_us = figure_of(found["fanout"]["figures"][0]).median
    kilobytes = figure_of(found["memory"]["figures"][0]).median
    highest = figure_of(found["capacity"]["figures"][0]).median
    carried = (
        f"Here one delivery costs {number(cost_us)} µs at 20 signals a second, an idle connection {number(kilobytes)} kB: a core "
        f"carries {1e6 / cost_us / 20:,.0f} sockets at that rate, {number(highest)} deliveries a second in batches, "
        f"and a GiB holds {2**30 / kilobytes / 1000:,.0f} connections."
    )
    lines = [
        carried,
        "",
        "| signals/s | users online | replicas | sockets each | CPU of each | memory of each | network out | broker out |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for rate, most in SIZES:
        for users in (10_000, 100_000, 1_000_000):
            replicas = -(-users // most) + 1
            sockets = -(-users // replicas)
            cores, memory = sockets * rate * cost_us / 1e6, PROCESS_MB + sockets * kilobytes / 1000
            out, fanned = users * rate * MESSAGE_BYTES * 8 / 1e9, replicas * rate * MESSAGE_BYTES * 8 / 1e6
            lines.append(
                f"| {rate} | {users:,} | {replicas} | {sockets:,} | {cores:.2f} cores | {memory:,.0f} MB | {out:.2f} Gbit/s "
                f"| {fanned:.2f} Mbit/s |"
            )
    return lines


def save(name: str, title: str) -> str:
    """Keep the plot and return the line that shows it."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    plt.tight_layout()
    plt.savefig(IMAGES / f"{name}.svg", metadata={"Date": None})
    plt.close()
    return f"![{title}](images/{name}.svg)"


def plots(found: dict[str, Result]) -> list[str]:
    """What can be drawn from the results there are."""
    mpl.rcParams.update(
        {"figure.figsize": (6.4, 3.4), "axes.grid": True, "grid.alpha": 0.3, "svg.hashsalt": "tiercast"}
    )
    lines = []
    if "capacity" in found:
        steps = found["capacity"]["series"]["steps"]
        _, axes = plt.subplots()
        axes.plot([step["rate"] for step in steps], [step["cpu_us_per_delivery"] for step in steps], marker="o")
        axes.set(xlabel="signals a second to 1,000 sockets", ylabel="µs CPU per delivery", ylim=0)
        lines.append(save("performance-rates", "CPU per delivery over the rate of signals"))
    if curve := found.get("growth", {}).get("series", {}).get("connections"):
        _, axes = plt.subplots()
        axes.plot([int(count) for count in curve], list(curve.values()), marker="o")
        axes.set(xlabel="connections, 16,000 deliveries a second", ylabel="µs CPU per delivery", ylim=0, xscale="log")
        lines.append(save("performance-connections", "CPU per delivery over connections"))
    if hops := found.get("latency", {}).get("series", {}).get("hops_ms"):
        _, axes = plt.subplots()
        names = list(hops[0])
        for offset, share in ((-0.2, "p50"), (0.2, "p99")):
            values = [statistics.median(run[name][share] for run in hops) for name in names]
            axes.barh([at + offset for at in range(len(names))], values, height=0.38, label=share)
        axes.set_yticks(range(len(names)), [name.replace("_", " → ") for name in names])
        axes.invert_yaxis()
        axes.set(xlabel="ms, 20 signals a second to 1,000 sockets")
        axes.legend()
        lines.append(save("performance-hops", "Latency of each hop"))
    if batches := found.get("ingest", {}).get("series", {}).get("batches"):
        _, axes = plt.subplots()
        axes.plot([each["batch"] for each in batches], [each["per_core_s"] for each in batches], marker="o")
        axes.set(xlabel="largest batch", ylabel="signals per core-second", ylim=0, xscale="log")
        lines.append(save("performance-batches", "Ingest throughput over batch sizes"))
    if curve := found.get("memory", {}).get("series", {}).get("connections_to_kib"):
        _, axes = plt.subplots()
        axes.plot([count for count, _ in curve], [kib / 1024 for _, kib in curve], marker="o")
        axes.set(xlabel="idle connections", ylabel="resident MiB", ylim=0)
        lines.append(save("performance-memory", "Memory over connections"))
    return lines


def document(found: dict[str, Result]) -> str:
    """The whole page."""
    machine = next(iter(found.values()))["machine"]
    versions = next(iter(found.values()))["versions"]
    parts = NOTES.read_text().split("<!-- generated -->")
    generated = [
        "\n".join(
            [
                (
                    f"Measured on {machine['cpu']}, {machine['cores']} cores shared with other work, Linux {machine['kernel']}: "
                    "compare the ratios, not the figures."
                ),
                f"Versions: {', '.join(f'{name} {value}' for name, value in versions.items())}.",
                "Each figure is a median, with least and greatest of its repetitions in brackets.",
                "",
                *figures_table(found),
                "",
                *runs_table(found),
            ]
        ),
        "\n\n".join(plots(found)),
        "\n".join(missed(found)),
        "\n".join(sizing(found)),
    ]
    assert len(parts) == len(generated) + 1, "performance_notes.md has a place for each generated part"
    pieces = [piece for pair in zip(parts, [*generated, ""], strict=True) for piece in pair]
    return "".join(pieces)


def main() -> None:
    found = results()
    if not found:
        raise SystemExit("nothing was measured yet: make bench")
    (DOCS / "performance.md").write_text(document(found))
    print(f"docs/performance.md is written from {', '.join(found)}")


if __name__ == "__main__":
    main()
