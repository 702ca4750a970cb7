"""Published keys: rotated keys are found, and an issuer that is slow, huge, elsewhere or asked too often harms nobody."""

import asyncio
import hmac
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

import orjson
import pytest
from joserfc import jwt
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, RSAKey
from joserfc.util import urlsafe_b64encode

from tests.support.oidc_issuer import OidcIssuer, reply
from tests.unit.gateway.doubles import Clock
from tiercast_gateway.auth import TokenVerifier
from tiercast_gateway.errors import InvalidToken, UnknownKey
from tiercast_gateway.id_tokens import IdTokens
from tiercast_gateway.jwks import MAX_BYTES, REFETCH_SECONDS, Jwks
from tiercast_gateway.renewal import verified
from tiercast_gateway.signatures import OwnKeys
from tiercast_shared.errors import Unavailable

US = "our-application"


@asynccontextmanager
async def reading(url: str, clock: Callable[[], float] = time.monotonic) -> AsyncIterator[Jwks]:
    """A key set that was read once, or could not be."""
    keys = Jwks(url, clock=clock)
    first = asyncio.Event()
    keys.renew(first.set)
    task = asyncio.create_task(keys.run())
    try:
        await first.wait()
        yield keys
    finally:
        task.cancel()
        await keys.close()


@pytest.fixture(params=["RS256", "ES256"])
def issuer(request: pytest.FixtureRequest):
    with OidcIssuer(request.param) as issuer:
        yield issuer


def verifier(issuer: OidcIssuer, keys: Jwks) -> TokenVerifier:
    return TokenVerifier([OwnKeys(secret="s" * 32), keys], issuer=issuer.url, audience=US)


async def test_a_token_of_a_published_key_is_good_and_a_new_key_is_found(issuer: OidcIssuer) -> None:
    clock = Clock()
    async with reading(issuer.jwks_url, clock) as keys:
        verify = verifier(issuer, keys).verify
        assert verify(issuer.token("alice", US)).user_id == "alice"
        issuer.rotate(keep=False)
        clock.advance(REFETCH_SECONDS)
        assert (await verified(verify, issuer.token("bob", US), keys)).user_id == "bob"
        assert len(issuer.asked) == 2


async def test_tokens_of_unknown_keys_make_it_ask_once_in_30_s_and_never_where_they_say(issuer: OidcIssuer) -> None:
    clock = Clock()
    async with reading(issuer.jwks_url, clock) as keys:
        verify = verifier(issuer, keys).verify
        theirs = f"{issuer.url}/theirs"
        headers: list[dict[str, Any]] = [{"kid": f"x{number}", "jku": theirs, "x5u": theirs} for number in range(50)]
        for seconds, fetches in ((REFETCH_SECONDS - 1, 1), (1, 2), (REFETCH_SECONDS - 1, 2), (1, 3)):
            clock.advance(seconds)
            refusals = await asyncio.gather(
                *(verified(verify, issuer.sign({"sub": "a"}, **header), keys) for header in headers),
                return_exceptions=True,
            )
            assert {type(refusal) for refusal in refusals} == {UnknownKey}
            assert issuer.asked == ["/keys"] * fetches


FAULTS: dict[str, Callable[[OidcIssuer, BaseHTTPRequestHandler], None]] = {
    "huge": lambda issuer, asked: reply(asked, issuer.key_set() + b" " * MAX_BYTES),
    "redirecting": lambda issuer, asked: (
        issuer.publish(asked)
        if asked.path == "/elsewhere"
        else reply(asked, b"", 302, Location=f"{issuer.url}/elsewhere")
    ),
    "failing": lambda issuer, asked: reply(asked, issuer.key_set(), 500),
    "no JSON": lambda _issuer, asked: reply(asked, b"<html>"),
    "no set": lambda _issuer, asked: reply(asked, b'{"keys": {}}'),
    "too many keys": lambda _issuer, asked: reply(asked, orjson.dumps({"keys": [{}] * 101})),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
async def test_a_bad_answer_is_no_key_set_and_what_was_known_stays_known(fault) -> None:
    with OidcIssuer() as issuer:
        clock = Clock()
        async with reading(issuer.jwks_url, clock) as keys:
            verify = verifier(issuer, keys).verify
            old = issuer.token("alice", US)
            issuer.answer = lambda asked: fault(issuer, asked)
            issuer.rotate(keep=True)
            clock.advance(REFETCH_SECONDS)
            with pytest.raises(Unavailable):
                await verified(verify, issuer.token("bob", US), keys)
            assert keys.problem() is not None
            assert keys.never_read() is None
            assert verify(old).user_id == "alice"
        assert "/elsewhere" not in issuer.asked


async def test_a_slow_issuer_is_given_up_and_holds_up_nothing_meanwhile() -> None:
    with OidcIssuer() as issuer:
        clock = Clock()
        async with reading(issuer.jwks_url, clock) as keys:
            verify = verifier(issuer, keys).verify
            old = issuer.token("alice", US)
            released = asyncio.Event()
            loop = asyncio.get_running_loop()

            def trickle(asked: BaseHTTPRequestHandler) -> None:
                asked.send_response(200)
                asked.send_header("Content-Length", "100000")
                asked.end_headers()
                asked.wfile.write(b"{")
                asyncio.run_coroutine_threadsafe(released.wait(), loop).result(10)  # and then breaks off

            issuer.answer = trickle
            clock.advance(REFETCH_SECONDS)
            waiting = asyncio.create_task(verified(verify, stranger(issuer), keys))
            while len(issuer.asked) < 2:
                assert verify(old).user_id == "alice"
                await asyncio.sleep(0)
            with pytest.raises(Unavailable):
                await waiting
            assert "it takes longer than" in str(keys.problem())
            released.set()


def base64url(part: object) -> str:
    return urlsafe_b64encode(orjson.dumps(part)).decode()


def stranger(issuer: OidcIssuer) -> str:
    """A token of a key that is not published yet."""
    return issuer.sign({"sub": "bob"}, kid="new")


def forged_by_strangers(issuer: OidcIssuer) -> dict[str, str]:
    """Tokens that use what is public of the issuer's key, or a key of their own."""
    now = int(time.time())
    claims = {"iss": issuer.url, "sub": "mallory", "aud": US, "iat": now, "exp": now + 600}
    published = issuer.keys[-1]
    kid = str(published.kid)
    rsa, ec = RSAKey.generate_key(2048), ECKey.generate_key("P-256")
    head = ".".join(base64url(part) for part in ({"alg": "HS256", "kid": kid}, claims))
    over_public_key = hmac.digest(published.as_pem(private=False), head.encode(), "sha256")

    def made(header: dict[str, Any], key: Any) -> str:
        return jwt.encode(header, claims, key, algorithms=[header["alg"]])

    return {
        "HS256 over the public key": f"{head}.{urlsafe_b64encode(over_public_key).decode()}",
        "another RSA key under its name": made({"alg": "RS256", "kid": kid}, rsa),
        "another EC key under its name": made({"alg": "ES256", "kid": kid}, ec),
        "its own key inside": made({"alg": "RS256", "kid": kid, "jwk": rsa.as_dict(private=False)}, rsa),
        "its own key inside, without a name": made({"alg": "ES256", "jwk": ec.as_dict(private=False)}, ec),
        "RS384": made({"alg": "RS384", "kid": kid}, rsa),
        "PS256": made({"alg": "PS256", "kid": kid}, rsa),
        "no signature": issuer.token("mallory", US).rpartition(".")[0] + ".",
        "unknown critical header": issuer.sign(claims, crit=["kid"]),
        "a logout token": issuer.sign(claims, typ="logout+jwt"),
    }


async def test_forged_tokens_are_not_accepted(issuer: OidcIssuer) -> None:
    async with reading(issuer.jwks_url) as keys:
        verify = verifier(issuer, keys).verify
        for name, forged in forged_by_strangers(issuer).items():
            with pytest.raises(InvalidToken):
                raise AssertionError(f"{name}: {verify(forged)}")


BAD_ID_TOKENS: dict[str, dict[str, Any]] = {
    "another client's": {"aud": "another-application"},
    "another client's, among others": {"aud": ["a", "b"]},
    "ours among others, for another": {"aud": [US, "another"], "azp": "another"},
    "ours among others, for nobody": {"aud": [US, "another"]},
    "ours, issued to another": {"azp": "another"},
    "nobody's": {"aud": None},
    "another issuer's": {"iss": "https://issuer.evil"},
    "over": {"exp": 1},
    "without an end": {"exp": None},
    "without a beginning": {"iat": None},
    "not valid yet": {"nbf": 9_999_999_999},
    "without a user": {"sub": None},
}


@pytest.mark.parametrize("claims", BAD_ID_TOKENS.values(), ids=BAD_ID_TOKENS.keys())
async def test_an_id_token_is_good_for_us_alone(claims: dict[str, Any]) -> None:
    with OidcIssuer() as issuer:
        async with reading(issuer.jwks_url) as keys:
            id_tokens = IdTokens(keys, issuer=issuer.url, client_id=US)
            assert id_tokens.read(issuer.token("alice", US)).user_id == "alice"
            assert id_tokens.read(issuer.token("alice", [US, "another"], azp=US)).user_id == "alice"
            with pytest.raises(InvalidToken):
                id_tokens.read(issuer.token("alice", US, **claims))
            with pytest.raises(InvalidToken):
                id_tokens.read(issuer.token("alice", US) + "x")


async def test_an_address_that_nobody_has_verified_names_nobody() -> None:
    with OidcIssuer() as issuer:
        async with reading(issuer.jwks_url) as keys:
            by_mail = IdTokens(keys, issuer=issuer.url, client_id=US, user_claim="email")
            assert by_mail.read(issuer.token("a", US, email="a@b.c", email_verified=True)).user_id == "a@b.c"
            with pytest.raises(InvalidToken, match="not verified"):
                by_mail.read(issuer.token("a", US, email="a@b.c", email_verified=False))


CHANGES: list[dict[str, str]] = [{"use": "enc"}, {"alg": "PS256"}, {"kty": "oct"}, {"e": "!"}]


async def test_weak_keys_and_keys_for_something_else_are_not_trusted() -> None:
    with OidcIssuer() as issuer:
        entries = orjson.loads(issuer.key_set())["keys"]
        with pytest.warns(SecurityWarning):
            small = RSAKey.generate_key(1024).as_dict(private=False, kid=issuer.keys[-1].kid)
        for entry in (*(entries[0] | change for change in CHANGES), small):
            issuer.answer = lambda asked, entry=entry: reply(asked, orjson.dumps({"keys": [entry]}))
            async with reading(issuer.jwks_url) as keys:
                assert keys.problem() is None
                with pytest.raises(UnknownKey):
                    verifier(issuer, keys).verify(issuer.token("alice", US))
