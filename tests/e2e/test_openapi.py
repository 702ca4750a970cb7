"""Ingest and tiers answer as their OpenAPI documents say, whatever they are sent: no 5xx, no answer that is not described."""

import secrets
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS
from schemathesis.schemas import APIOperation

from tests.support.backends import Backends
from tests.support.producers import premium, standard
from tests.support.stack import Stack
from tests.support.stack_factory import StackFactory

SEED = 20_261_124
EXAMPLES = 12
"""Of each operation and mode."""

NAMES = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)


@pytest.fixture(scope="module")
def stack(
    request: pytest.FixtureRequest, backends: Backends, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    own = {"STRIPE_WEBHOOK_SECRET": f"whsec_{secrets.token_hex(16)}"}
    with StackFactory(backends, request.node, tmp_path_factory.mktemp("stack")) as factory:
        yield factory(settings=own, gateways=0)


@pytest.fixture
async def used(stack: Stack) -> Stack:
    """A stack with signals and tiers in it."""
    await stack.publish_all([premium(), standard()])
    await stack.set_tier("alice", "elite")
    return stack


def headers(stack: Stack) -> dict[str, str]:
    """Every key, so that requests come further than the door; each service looks at its own."""
    return {
        "X-API-Key": stack.api_key,
        "X-Admin-Key": stack.admin_key,
        "X-Service-Key": stack.service_key,
        "Authorization": f"Bearer {stack.token('alice')}",
    }


def operations(url: str) -> list[APIOperation]:
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
    return [result.ok() for result in schema.get_all_operations()]


def examined(operation: APIOperation, mode: GenerationMode, keys: dict[str, str]) -> list[str]:
    """Send requests of one operation; returns what was wrong with each answer that was."""
    checks = CHECKS.get_by_names(NAMES)
    wrong: list[str] = []

    @seed(SEED)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def send(case: Any) -> None:
        response = case.call(headers=keys)
        try:
            case.validate_response(response, checks=checks)
        except AssertionError as error:
            wrong.append(f"{operation.label}: {error}")
        except BaseExceptionGroup as group:
            wrong.extend(f"{operation.label}: {error}" for error in group.exceptions)

    with suppress(Unsatisfiable):  # an operation without parameters and body cannot be sent anything wrong
        send()
    return wrong


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("service", "mode"),
    [
        ("ingest", GenerationMode.POSITIVE),
        ("ingest", GenerationMode.NEGATIVE),
        ("tiers", GenerationMode.POSITIVE),
    ],
)
def test_answers_are_those_of_the_openapi_document(used: Stack, service: str, mode: GenerationMode):
    url = getattr(used, service).url
    found = operations(url)
    assert len(found) >= 5
    wrong = {problem for operation in found for problem in examined(operation, mode, headers(used))}
    assert not wrong, "\n".join(sorted(wrong))
