"""Every service answers as its OpenAPI document says, whatever it is sent: no 5xx, no answer that is not described.

What was sent and seen is left in `.data/openapi/results.json`.
"""

import json
import secrets
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
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

ENDLESS = {"/api/v1/signals/stream"}
"""Server-sent events go on until the client leaves; how a stream is refused, `test_event_stream.py` tests."""

RESULTS = Path(__file__).parents[2] / ".data" / "openapi" / "results.json"

NAMES = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)


@dataclass
class Findings:
    """What came of one service and mode."""

    cases: int = 0
    server_errors: int = 0
    violations: list[str] = field(default_factory=list)
    """Answers that the document does not describe, each once."""
    statuses: Counter[int] = field(default_factory=Counter)

    def save(self, name: str) -> None:
        """Put them into the file, beside the others."""
        RESULTS.parent.mkdir(parents=True, exist_ok=True)
        results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        results[name] = vars(self) | {"seed": SEED}
        RESULTS.write_text(json.dumps(results, indent=2) + "\n")


@pytest.fixture(scope="module")
def stack(
    request: pytest.FixtureRequest, backends: Backends, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    own = {"STRIPE_WEBHOOK_SECRET": f"whsec_{secrets.token_hex(16)}"}
    with StackFactory(backends, request.node, tmp_path_factory.mktemp("stack")) as factory:
        yield factory(settings=own)


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
    found = [result.ok() for result in schema.get_all_operations()]
    return [operation for operation in found if operation.path not in ENDLESS]


def examine(operation: APIOperation, mode: GenerationMode, session: requests.Session, findings: Findings) -> None:
    """Send requests of one operation and note what is wrong with the answers."""
    checks = CHECKS.get_by_names(NAMES)

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
        response = case.call(session=session)
        findings.cases += 1
        findings.statuses[response.status_code] += 1
        findings.server_errors += response.status_code >= 500
        try:
            case.validate_response(response, checks=checks)
        except (AssertionError, BaseExceptionGroup) as error:
            errors = error.exceptions if isinstance(error, BaseExceptionGroup) else (error,)
            told = [f"{operation.label}: {each}" for each in errors]
            findings.violations.extend(each for each in told if each not in findings.violations)

    with suppress(Unsatisfiable):  # an operation without parameters and body cannot be sent anything wrong
        send()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
@pytest.mark.parametrize("service", ["ingest", "tiers", "gateway"])
def test_answers_are_those_of_the_openapi_document(used: Stack, service: str, mode: GenerationMode):
    findings = Findings()
    found = operations(getattr(used, service).url)
    assert len(found) >= 5
    with requests.Session() as session:
        session.headers.update(headers(used))
        for operation in found:
            examine(operation, mode, session, findings)
    findings.save(f"{service}, {mode.value}")
    assert findings.statuses[200 if mode is GenerationMode.POSITIVE else 422], "no request came past the door"
    assert not findings.violations, "\n".join(findings.violations)
    assert not findings.server_errors


@pytest.mark.parametrize(("offset", "status"), [(2**53, 200), (2**53 + 1, 422), (10**30, 422)])
async def test_an_offset_that_no_reader_counts_to_is_refused_by_name(used: Stack, offset: int, status: int):
    async with used.gateway_http("alice") as http:
        answer = await http.get("/api/v1/signals/subscribed", params={"offset": offset})
    assert answer.status_code == status, answer.text
    if status == 422:
        assert [error["field"] for error in answer.json()["errors"]] == ["offset"]
    else:
        assert (answer.json()["items"], answer.json()["has_more"]) == ([], False)
