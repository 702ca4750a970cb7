"""The committed JSON Schemas and golden examples agree with the code and with each other."""

import json
import subprocess
import sys
from pathlib import Path

import orjson
import pytest
from jsonschema import Draft202012Validator, FormatChecker

from shared.schemas import generate
from tiercast_shared.contracts.base import Contract

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "shared" / "examples"
MESSAGES = generate.messages()
FILES = sorted(path.relative_to(EXAMPLES).as_posix() for path in EXAMPLES.rglob("*.json"))


def message_of(file: str) -> str:
    """`signals/signal.premium.json` is an example of `signals/signal`."""
    return file.split(".", 1)[0]


def validator(message: str) -> Draft202012Validator:
    schema = json.loads((generate.DIRECTORY / f"{message}.json").read_text())
    return Draft202012Validator(schema, format_checker=FormatChecker())


def test_committed_schemas_are_what_the_code_says():
    assert generate.differences() == []


def test_the_check_names_each_file_that_differs_and_the_command_that_mends_it(tmp_path):
    copy = tmp_path / "schemas"
    copy.mkdir()
    script = copy / "generate.py"
    script.write_text(Path(generate.__file__).read_text())
    subprocess.run([sys.executable, script], check=True)
    assert subprocess.run([sys.executable, script, "--check"], check=False).returncode == 0
    (copy / "base" / "beacon.json").write_text("{}\n")
    (copy / "tiers" / "tier-state.json").unlink()
    (copy / "tiers" / "old.json").write_text("{}\n")
    check = subprocess.run([sys.executable, script, "--check"], check=False, capture_output=True, text=True)
    assert check.returncode == 1
    assert check.stdout.splitlines() == [
        "shared/schemas/tiers/old.json: there is no such message",
        "shared/schemas/tiers/tier-state.json: is missing",
        "shared/schemas/base/beacon.json: differs from the code",
        "run `make schemas`, and commit what it writes",
    ]


@pytest.mark.parametrize("message", MESSAGES)
def test_every_schema_is_a_valid_schema(message):
    Draft202012Validator.check_schema(json.loads((generate.DIRECTORY / f"{message}.json").read_text()))


def test_every_message_has_an_example_and_every_example_a_message():
    unions = {"frames/server-frame", "frames/client-frame"}  # each of their members has its own examples
    assert {message_of(file) for file in FILES} == set(MESSAGES) - unions


@pytest.mark.parametrize("file", FILES)
def test_an_example_is_valid_by_the_committed_schema(file):
    validator(message_of(file)).validate(json.loads((EXAMPLES / file).read_text()))


@pytest.mark.parametrize("file", FILES)
def test_reading_an_example_and_writing_it_again_gives_the_same_bytes(file):
    compact = orjson.dumps(orjson.loads((EXAMPLES / file).read_bytes()))
    message = MESSAGES[message_of(file)]
    assert message.dump_json(message.validate_json(compact), by_alias=True, exclude_unset=True) == compact


@pytest.mark.parametrize("file", FILES)
def test_readers_ignore_fields_they_do_not_know(file):
    known = json.loads((EXAMPLES / file).read_text())
    extended = {**known, "a_field_of_tomorrow": {"nested": [1]}}
    message = MESSAGES[message_of(file)]
    assert message.validate_python(extended) == message.validate_python(known)
    validator(message_of(file)).validate(extended)


@pytest.mark.parametrize("file", FILES)
def test_without_a_required_field_neither_the_schema_nor_the_reader_accepts_it(file):
    """Constants may be missing for our own readers, which know what they read; for a schema they are required."""
    example = json.loads((EXAMPLES / file).read_text())
    schema = validator(message_of(file))
    message = MESSAGES[message_of(file)]
    for name in _required(schema.schema, example):
        lacking = {key: value for key, value in example.items() if key != name}
        assert not schema.is_valid(lacking), name
        if name not in {"type", "schema"}:
            with pytest.raises(ValueError, match=name):
                message.validate_python(lacking)


def _required(schema: dict, example: dict) -> list[str]:
    if "oneOf" not in schema:
        return schema.get("required", [])
    reference = schema["discriminator"]["mapping"][example["type"]]
    return schema["$defs"][reference.rsplit("/", 1)[1]]["required"]


@pytest.mark.parametrize(
    "message", [name for name, adapter in MESSAGES.items() if isinstance(adapter._type, type)], ids=str
)
def test_messages_are_immutable(message):
    assert issubclass(MESSAGES[message]._type, Contract)
    assert MESSAGES[message]._type.model_config["frozen"] is True
