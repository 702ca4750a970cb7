"""Verifies an exported chain of signals without trusting whoever exported it. Needs nothing but Python.

    python verify_ledger.py ledger.jsonl
    python verify_ledger.py ledger.jsonl --known 1200:9f86d0… --texts proofs.jsonl

Each line of an export is `{"seq": 1, "body": "…", "link": "…"}`: the position in the feed, the signal's text as it was delivered,
and the link of the chain in hexadecimal. A first line without `body` is a checkpoint, with which the export of an archived log
begins.

    link(0) = 32 zero bytes;  link(n) = SHA-256(link(n-1) ‖ SHA-256(body(n)))

Where a line says what the producer hashed (`hashed_text`), or `--texts` does (a file of proofs, one JSON object a line), the signal
is compared with that text, and the text with the signal's `hash`.

A chain that holds shows that nothing was changed, left out or moved *within* this export. That it is the one you were shown before
is shown by `--known`: write down the last line's `seq` and `link` each time, and give them the next time. An export may then also
begin right after a position that is known.

Exit status: 0 the chain holds, 1 it is broken (the first wrong `seq` is named), 2 the file cannot be read.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, TextIO

GENESIS = bytes(32)

SAME = {
    "action": "action",
    "confidence": "confidence",
    "entry_price": "entry_price",
    "stop_price": "stop_loss",
    "target_price": "take_profit",
}
"""What the producer hashed, and what the signal calls it. The symbol is compared in upper case."""


class Broken(Exception):
    """The chain does not hold at `seq`."""

    def __init__(self, seq: int, problem: str) -> None:
        super().__init__(f"broken at seq {seq}: {problem}")
        self.seq = seq


class Unreadable(Exception):
    """This is no export."""


@dataclass
class Report:
    """How far the chain holds."""

    begins: int = 0
    """Position of the checkpoint that it begins with; 0 is the beginning of the log."""
    seq: int = 0
    link: bytes = GENESIS
    entries: int = 0
    texts: int = 0
    """Signals whose producer's hash was checked."""


@dataclass
class Entry:
    """One line of an export."""

    seq: int
    body: "str | None"
    """None in a checkpoint."""
    link: bytes
    hashed_text: "str | None"


def verify(lines: Iterable[str], known: Mapping[int, bytes], texts: Mapping[str, str]) -> Report:
    """Walk the chain in `lines`. `known` are links noted earlier, by position; `texts` what producers hashed, by the signal's id.

    Raises:
        Broken: something is not as it must be.
        Unreadable: a line is not one of an export.
    """
    report = Report()
    for number, line in enumerate(lines, 1):
        entry = parse(line, number)
        if number == 1 and entry.body is None:
            report.begins, report.link = entry.seq, entry.link
        elif entry.body is None:
            raise Unreadable(f"line {number}: a checkpoint can only be the first line")
        else:
            if number == 1 and entry.seq - 1 in known:
                report.begins = report.seq = entry.seq - 1
                report.link = known[report.begins]
            check_link(report, entry.seq, entry.body, entry.link)
            report.texts += check_text(entry.seq, entry.body, entry.hashed_text, texts)
        report.seq = entry.seq
        if known.get(entry.seq, entry.link) != entry.link:
            noted = known[entry.seq].hex()
            raise Broken(entry.seq, f"the link is {entry.link.hex()}, and {noted} was known: history was rewritten")
    for seq in sorted(known):
        if not max(1, report.begins) <= seq <= report.seq:
            raise Broken(seq, f"a link is known, and the export holds only {report.begins + 1} to {report.seq}")
    return report


def parse(line: str, number: int) -> Entry:
    """One line."""
    try:
        told = json.loads(line)
        entry = Entry(told["seq"], told.get("body"), bytes.fromhex(told["link"]), told.get("hashed_text"))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unreadable(f"line {number}: {type(error).__name__}: {error}") from None
    texts_are_texts = all(isinstance(text, (str, type(None))) for text in (entry.body, entry.hashed_text))
    if type(entry.seq) is not int or len(entry.link) != 32 or not texts_are_texts:
        raise Unreadable(f'line {number}: not {{"seq": 1, "body": "…", "link": "64 hexadecimal digits"}}')
    return entry


def check_link(report: Report, seq: int, body: str, link: bytes) -> None:
    """The entry follows on what was verified so far."""
    if seq != report.seq + 1:
        raise Broken(report.seq + 1, f"it is missing, {seq} follows")
    expected = sha256(report.link + sha256(body.encode(errors="surrogatepass")).digest()).digest()
    if link != expected:
        raise Broken(seq, f"the link is {link.hex()}, and body and link before it give {expected.hex()}")
    report.link, report.entries = link, report.entries + 1


def check_text(seq: int, body: str, beside: "str | None", texts: Mapping[str, str]) -> bool:
    """The producer hashed what the signal says. False when nobody told what was hashed."""
    if beside is None and not texts:
        return False
    signal = loaded(seq, body)
    text = texts.get(str(signal.get("id")), beside)
    if text is None:
        return False
    if sha256(text.encode()).hexdigest() != signal.get("hash"):
        raise Broken(seq, "the producer's hash is not that of the text")
    hashed = loaded(seq, text)
    differing = [name for name, own in SAME.items() if hashed.get(name) != signal.get(own)]
    if str(hashed.get("symbol")).upper() != signal.get("symbol"):
        differing.append("symbol")
    if differing:
        raise Broken(seq, f"the signal says something else than what its producer hashed: {', '.join(differing)}")
    return True


def loaded(seq: int, text: str) -> "dict[str, Any]":
    """A JSON object."""
    try:
        value = json.loads(text)
    except ValueError as error:
        raise Broken(seq, f"not JSON: {error}") from None
    if not isinstance(value, dict):
        raise Broken(seq, "not a JSON object")
    return value


def known_link(argument: str) -> tuple[int, bytes]:
    """`SEQ:LINK`, as it was noted down."""
    seq, _, link = argument.partition(":")
    if not seq.isdecimal() or len(link) != 64:
        raise argparse.ArgumentTypeError("must be SEQ:LINK, the link with 64 hexadecimal digits")
    try:
        return int(seq), bytes.fromhex(link)
    except ValueError:
        raise argparse.ArgumentTypeError("the link is not hexadecimal") from None


def read_texts(lines: Iterable[str]) -> dict[str, str]:
    """What was hashed, by the signal's id: each line is a proof, or any JSON object with `id` and `hashed_text`."""
    try:
        proofs = [json.loads(line) for line in lines]
        return {str(proof.get("data", proof)["id"]): str(proof["hashed_text"]) for proof in proofs}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unreadable(f"--texts: {type(error).__name__}: {error}") from None


@contextmanager
def opened(path: str) -> Iterator[TextIO]:
    """The file, or standard input for `-`."""
    if path == "-":
        yield sys.stdin
        return
    with Path(path).open(encoding="utf-8", newline="\n") as file:
        yield file


def main() -> int:
    """Verify what the command line names; returns the exit status."""
    parser = argparse.ArgumentParser(
        description="Verifies an exported chain of signals without trusting who exported it."
    )
    parser.add_argument("export", help="file of JSON lines, or - for standard input")
    parser.add_argument(
        "--known", metavar="SEQ:LINK", type=known_link, action="append", default=[], help="noted earlier"
    )
    parser.add_argument(
        "--texts", metavar="FILE", help='JSON lines {"id", "hashed_text"}: check producers\' hashes too'
    )
    arguments = parser.parse_args()
    try:
        texts: dict[str, str] = {}
        if arguments.texts:
            with opened(arguments.texts) as lines:
                texts = read_texts(lines)
        with opened(arguments.export) as lines:
            report = verify(lines, dict(arguments.known), texts)
    except Broken as error:
        print(error)
        return 1
    except (Unreadable, OSError, UnicodeError) as error:
        print(error, file=sys.stderr)
        return 2
    since = f" after {report.begins}" if report.begins else ""
    hashes = f", {report.texts} producers' hashes hold" if texts or report.texts else ""
    print(f"ok: {report.entries} signals{since} hold{hashes}; last {report.seq}:{report.link.hex()}")
    if report.begins and report.begins not in dict(arguments.known):
        print(f"note: checkpoint {report.begins} comes from the export itself; give the link you know with --known")
    return 0


if __name__ == "__main__":
    sys.exit(main())
