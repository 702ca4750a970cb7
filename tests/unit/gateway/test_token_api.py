"""`/api/v1/auth/token`: what is exchanged for a token, and each refusal by the word of its standard."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import ECKey

from tests.unit.gateway.doubles import AUDIENCE, SECRET
from tests.unit.gateway.exchange import APPLICATION, PATH, POLLED, Exchange, session
from tiercast_gateway.errors import InvalidToken
from tiercast_gateway.session_tokens import COOKIES, SessionTokens, session_cookies
from tiercast_gateway.signatures import OwnKeys
from tiercast_gateway.token_api import ACCESS_TOKEN, BODY_LIMIT, GRANT, ID_TOKEN, JWT, MAX_FIELDS

PIECES = [f"{name}{part}" for name in COOKIES for part in ("", ".0", ".1", ".2", ".9", ".x")]
PRIVATE_KEY = ECKey.generate_key("P-256").as_pem(private=True).decode()


# -- granted --------------------------------------------------------------------------------------


@pytest.mark.parametrize("private_key", [None, PRIVATE_KEY], ids=["HS256", "ES256"])
async def test_a_session_is_exchanged_for_a_token_that_its_own_verifier_takes(private_key: str | None) -> None:
    exchange = Exchange(private_key=private_key)
    began = int(time.time()) - 5
    async with exchange.http:
        by_cookie = (await exchange.ask(session(iat=began))).json()["token"]
        answer = await exchange.post(subject_token=session(iat=began), audience=AUDIENCE)
    assert answer.json() == {
        "access_token": answer.json()["access_token"],
        "issued_token_type": ACCESS_TOKEN,
        "token_type": "Bearer",
        "expires_in": 900,
    }
    for token in (by_cookie, answer.json()["access_token"]):
        identity = exchange.verifier.verify(token)
        assert (identity.user_id, identity.issued_at) == ("alice", began), "what voids the session voids the token"
        algorithm = jws.extract_compact(token.encode()).headers()["alg"]
        assert algorithm == ("HS256" if private_key is None else "ES256")


async def test_a_token_ends_no_later_than_its_session(exchange: Exchange) -> None:
    over = int(time.time()) + 60
    answer = await exchange.ask(session(exp=over))
    assert exchange.verifier.verify(answer.json()["token"]).expires_at == over
    assert answer.json()["expires_in"] <= 60


@pytest.mark.parametrize("path", [PATH, POLLED])
async def test_answers_to_a_cookie_are_kept_by_nobody(exchange: Exchange, path: str) -> None:
    answer = await exchange.ask(path=path)
    assert answer.status_code == 200
    if path == PATH:
        assert answer.headers["cache-control"] == "no-store"
        assert "Cookie" in answer.headers["vary"]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"scope": "signals"}, {"scope": ""}),
        ({"requested_token_type": JWT}, {"issued_token_type": JWT}),
        ({"requested_token_type": ""}, {"issued_token_type": ACCESS_TOKEN}),
        ({"audience": ""}, {"token_type": "Bearer"}),
        ({"client_id": "whoever", "x": "y"}, {"token_type": "Bearer"}),
    ],
    ids=str,
)
async def test_what_may_be_asked_for_besides(exchange: Exchange, fields: dict[str, str], told: dict[str, str]) -> None:
    answer = await exchange.post(**fields)
    assert answer.status_code == 200, answer.text
    assert answer.json().items() >= told.items()


# -- refused --------------------------------------------------------------------------------------

REFUSED: dict[str, tuple[dict[str, str], str, str]] = {
    "no grant type": ({"grant_type": ""}, "invalid_request", "grant_type is missing"),
    "another grant type": ({"grant_type": "authorization_code"}, "unsupported_grant_type", GRANT),
    "no subject token": ({"subject_token": ""}, "invalid_request", "subject_token is missing"),
    "no subject token type": ({"subject_token_type": ""}, "invalid_request", "subject_token_type is missing"),
    "another subject token type": ({"subject_token_type": ACCESS_TOKEN}, "invalid_request", "subject_token_type must"),
    "a token type of SAML": ({"requested_token_type": JWT + "2"}, "invalid_request", "requested_token_type must"),
    "an actor": ({"actor_token": "x", "actor_token_type": JWT}, "invalid_request", "actor_token"),
    "an actor's type alone": ({"actor_token_type": JWT}, "invalid_request", "actor_token"),
    "another audience": ({"audience": "https://other.test"}, "invalid_target", "GATEWAY_JWT_AUDIENCE"),
    "a resource": ({"resource": "https://other.test"}, "invalid_target", "GATEWAY_JWT_AUDIENCE"),
    "no session token": ({"subject_token": "x.y.z"}, "invalid_request", "no secret of NEXTAUTH_SECRET"),
    "another secret": ({"subject_token": session(secret="another")}, "invalid_request", "no secret of NEXTAUTH_SECRET"),
    "a session that is over": ({"subject_token": session(exp=1)}, "invalid_request", "expired"),
    "a session without an end": ({"subject_token": session(exp=None)}, "invalid_request", "exp"),
    "a session without a beginning": ({"subject_token": session(iat=None)}, "invalid_request", "iat"),
    "a session of nobody": ({"subject_token": session(sub=None)}, "invalid_request", "names no user"),
    "an endless session": ({"subject_token": session(x="x" * 40_000)}, "invalid_request", "too long"),
    "our own token": ({"subject_token": OwnKeys(secret=SECRET).sign({"sub": "a"})}, "invalid_request", "no secret"),
    "a word for an id token": ({"subject_token": "x", "subject_token_type": ID_TOKEN}, "invalid_request", "malformed"),
}


@pytest.mark.parametrize(("fields", "error", "says"), REFUSED.values(), ids=REFUSED.keys())
async def test_each_refusal_has_the_word_of_its_standard_and_a_sentence(
    exchange: Exchange, fields: dict[str, str], error: str, says: str
) -> None:
    answer = await exchange.post(**fields)
    assert (answer.status_code, answer.json()["error"]) == (400, error), answer.text
    assert answer.json().keys() == {"error", "error_description"}
    assert says in answer.json()["error_description"]
    assert answer.headers["cache-control"] == "no-store"
    assert not [value for value in fields.values() if len(value) > 100 and value in answer.text]


@pytest.mark.parametrize(
    ("content", "kind", "says"),
    [
        ('{"grant_type": "x"}', "application/json", "Content-Type"),
        ("grant_type=x", "", "Content-Type"),
        (b"grant_type=\xff", None, "no form in UTF-8"),
        ("grant_type=%ff", None, "no form in UTF-8"),
        ("&".join(f"a{number}=b" for number in range(MAX_FIELDS + 1)), None, "no form"),
        ("x=" + "y" * BODY_LIMIT, None, "larger than"),
        (f"grant_type={GRANT}&grant_type=x", None, "more than once"),
        (f"grant_type={GRANT}&grant_type={GRANT}", None, "more than once"),
        ("audience=a&audience=b", None, "more than once"),
        ("", None, "grant_type is missing"),
    ],
)
async def test_what_is_no_form_is_an_invalid_request(
    exchange: Exchange, content: str | bytes, kind: str | None, says: str
) -> None:
    answer = await exchange.post(content, kind)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert says in answer.json()["error_description"]


async def test_while_the_providers_keys_cannot_be_read_it_is_to_be_asked_again(exchange: Exchange) -> None:
    stranger = ECKey.generate_key("P-256")
    token = jws.serialize_compact({"alg": "ES256", "kid": "new"}, b"{}", stranger, algorithms=["ES256"])
    answer = await exchange.post(subject_token=token, subject_token_type=ID_TOKEN)
    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
    assert int(answer.headers["retry-after"]) > 0


async def test_a_revoked_session_is_exchanged_no_more(exchange: Exchange) -> None:
    exchange.revoked_before = time.time() + 60  # after any token of this test
    answers = [await exchange.ask(), await exchange.post()]
    assert [answer.status_code for answer in answers] == [401, 400]
    assert [answer.json().get("code", answer.json().get("error")) for answer in answers] == [
        "invalid_token",
        "invalid_request",
    ]
    assert all("revoked" in answer.text for answer in answers)


async def test_what_is_not_configured_is_named(exchange: Exchange) -> None:
    without = Exchange(sessions=False)
    async with without.http:
        answer = await without.post()
        assert "NEXTAUTH_SECRET" in answer.json()["error_description"]
        assert (await without.ask()).json()["code"] == "missing_session"
    assert (await exchange.http.get(PATH)).json()["code"] == "missing_session"


@settings(max_examples=50)
@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
async def test_any_body_is_granted_or_refused_and_nothing_else(body: bytes) -> None:
    exchange = Exchange()
    async with exchange.http:
        assert (await exchange.post(body)).status_code == 400


@given(st.text(max_size=200) | st.lists(st.text("aA0-_", max_size=30), max_size=6).map(".".join))
def test_any_text_is_no_session_and_nothing_else(text: str) -> None:
    with pytest.raises(InvalidToken):
        SessionTokens([APPLICATION]).read(text)


@given(st.dictionaries(st.sampled_from(PIECES), st.text("a.=é", max_size=5)))
def test_any_cookies_make_a_bounded_number_of_tokens_each_of_whole_parts(jar: dict[str, str]) -> None:
    tokens = list(session_cookies(jar))
    assert len(tokens) <= 2 * len(COOKIES)
    for token in tokens:
        assert token in jar.values() or any(
            token == "".join(jar[f"{name}.{number}"] for number in range(count))
            for name in COOKIES
            for count in range(1, 4)
            if all(f"{name}.{number}" in jar for number in range(count))
        )
