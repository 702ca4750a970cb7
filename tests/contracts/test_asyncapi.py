"""The committed AsyncAPI documents are what the code says, hold together, and repeat the schemas of `shared/schemas`."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from docs.asyncapi import generate
from shared.schemas import generate as schemas
from tiercast_shared.contracts.close_codes import CloseCode

Json = dict[str, Any]

DOCUMENTS: dict[str, Json] = {
    name: json.loads((generate.DIRECTORY / f"{name}.json").read_text()) for name in generate.DOCUMENTS
}


def resolved(value: Any, document: Json) -> Any:
    """`value` with every reference replaced by what it refers to."""
    if isinstance(value, list):
        return [resolved(item, document) for item in value]
    if not isinstance(value, dict):
        return value
    if "$ref" not in value:
        return {key: resolved(item, document) for key, item in value.items() if key not in {"$defs", "$schema"}}
    return resolved(target_of(value["$ref"], document), document)


def target_of(reference: str, document: Json) -> Any:
    target: Any = document
    for part in reference.removeprefix("#/").split("/"):
        target = target[part]
    return target


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict) and isinstance(value.get("$ref"), str):
        yield value["$ref"]
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for child in children:
        yield from references(child)


def committed_schemas() -> dict[str, Json]:
    """The files of `shared/schemas` by the class that each describes; unions have none."""
    read = [json.loads(path.read_text()) for path in schemas.DIRECTORY.glob("*/*.json")]
    return {schema["title"]: schema for schema in read if "title" in schema}


def test_the_committed_documents_are_what_the_code_says():
    assert generate.differences() == []


def test_the_check_names_the_documents_that_differ(tmp_path):
    for name, text in generate.texts().items():
        (tmp_path / name).write_text(text)
    assert generate.differences(tmp_path) == []
    (tmp_path / "tiers.json").write_text("{}")
    (tmp_path / "old.json").write_text("{}")
    (tmp_path / "ingest.json").unlink()
    assert generate.differences(tmp_path) == ["ingest.json", "old.json", "tiers.json"]


@pytest.mark.parametrize("service", DOCUMENTS)
def test_every_reference_leads_somewhere_and_nothing_is_left_over(service):
    document = DOCUMENTS[service]
    used = set(references(document))
    for reference in used:
        assert isinstance(target_of(reference, document), dict), reference
    for part in ("messages", "schemas"):
        assert {f"#/components/{part}/{name}" for name in document["components"][part]} <= used


@pytest.mark.parametrize("service", DOCUMENTS)
def test_an_operation_carries_messages_of_its_own_channel_and_every_message_is_carried(service):
    document = DOCUMENTS[service]
    carried: set[str] = set()
    for operation in document["operations"].values():
        inside = operation["channel"]["$ref"] + "/messages/"
        listed = [reference["$ref"] for reference in operation["messages"]]
        assert listed
        assert all(reference.startswith(inside) for reference in listed)
        carried.update(reference.removeprefix(inside) for reference in listed)
    assert carried == set(document["components"]["messages"])


@pytest.mark.parametrize("service", DOCUMENTS)
def test_payloads_and_headers_are_those_of_the_committed_schemas(service):
    document, committed = DOCUMENTS[service], committed_schemas()
    compared = 0
    for message in document["components"]["messages"].values():
        for part in (message.get("payload"), message.get("headers")):
            if part is None or "$ref" not in part:
                continue
            schema = committed[part["$ref"].rsplit("/", 1)[1]]
            assert resolved(part, document) == resolved(schema, schema)
            compared += 1
    assert compared >= 3


def test_the_gateway_document_has_every_frame_of_both_directions_and_every_close_code():
    document = DOCUMENTS["gateway"]
    for action, union in (("send", "server-frame"), ("receive", "client-frame")):
        schema = json.loads((schemas.DIRECTORY / "frames" / f"{union}.json").read_text())
        members = {reference["$ref"].rsplit("/", 1)[1] for reference in schema["oneOf"]}
        listed = document["operations"][f"clients.{action}"]["messages"]
        assert {reference["$ref"].rsplit("/", 1)[1] for reference in listed} == members
    assert set(document["channels"]["clients"]["x-close-codes"]) == {str(code.value) for code in CloseCode}


@pytest.mark.parametrize(("channel", "sender"), [("signals.events", "ingest"), ("tiers.events", "tiers")])
def test_what_an_owner_sends_is_what_the_gateway_receives(channel, sender):
    sent, received = DOCUMENTS[sender], DOCUMENTS["gateway"]
    assert sent["operations"][channel]["action"] == "send"
    assert received["operations"][channel]["action"] == "receive"
    messages = sent["channels"][channel]["messages"]
    assert messages == received["channels"][channel]["messages"]
    for name in messages:
        told, heard = sent["components"]["messages"][name], received["components"]["messages"][name]
        assert resolved(told, sent) == resolved(heard, received)
