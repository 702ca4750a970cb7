"""A token is believed only if this secret signed it, for this audience, by this issuer, for now, and it names a user."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.gateway.doubles import AUDIENCE, ISSUER, NOW, SECRET, make_verifier, token
from tiercast_gateway.auth import LEEWAY_SECONDS, Identity
from tiercast_gateway.errors import InvalidToken
from tiercast_gateway.signatures import MAX_TOKEN_LENGTH

CLAIMS = {"sub": "alice", "iss": ISSUER, "aud": AUDIENCE, "iat": int(NOW), "exp": int(NOW) + 3600}


def segment(value: object) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def made_by_hand(
    header: object, payload: object, *, key: str = SECRET, digest: Callable[..., object] = hashlib.sha256
) -> str:
    """Sign whatever there is, as an attacker who knows the form would."""
    text = f"{segment(header)}.{segment(payload)}"
    signature = hmac.new(key.encode(), text.encode(), digest).digest()  # type: ignore[arg-type] # hashlib's functions
    return f"{text}.{segment(signature)}"


HS256 = {"alg": "HS256", "typ": "JWT"}


def test_a_good_token_names_its_user_and_its_times() -> None:
    identity = make_verifier().verify(token("alice", scope="read write"))

    assert identity == Identity("alice", NOW, NOW + 3600, frozenset({"read", "write"}))


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": ["other", AUDIENCE]},
        {"nbf": int(NOW)},
        {"nbf": int(NOW) + LEEWAY_SECONDS},
        {"iat": int(NOW) + LEEWAY_SECONDS},
        {"iat": None},
        {"exp": NOW + 0.5},
        {"exp": int(NOW) + 1},
        {"sub": "auth0|5f7c8ec7c33c6c004bbafe82"},
        {"sub": "user@example.com"},
        {"sub": "用户"},
        {"sub": "x" * 255},
        {"tier": "elite"},
        {"scope": ["read"]},
        {"nested": {"a": [1, {"b": None}]}},
    ],
    ids=json.dumps,
)
def test_other_good_forms_are_accepted(claims: dict[str, object]) -> None:
    assert make_verifier().verify(token(**{"user": "alice"} | claims)).user_id == claims.get("sub", "alice")


def test_issuer_and_audience_are_free_only_where_none_is_configured() -> None:
    free = make_verifier(issuer=None, audience=None)

    assert free.verify(token(iss="anyone", aud=None)).user_id == "alice"


def test_the_user_may_be_named_by_another_claim() -> None:
    assert make_verifier(user_claim="email").verify(token(email="a@b.c")).user_id == "a@b.c"
    with pytest.raises(InvalidToken, match="email"):
        make_verifier(user_claim="email").verify(token())


FORGED = {
    "no algorithm, no signature": f"{segment({'alg': 'none'})}.{segment(CLAIMS)}.",
    "no algorithm, some signature": f"{segment({'alg': 'none'})}.{segment(CLAIMS)}.{segment(b'x' * 32)}",
    "algorithm None": f"{segment({'alg': 'None'})}.{segment(CLAIMS)}.",
    "algorithm missing": made_by_hand({"typ": "JWT"}, CLAIMS),
    "algorithm null": made_by_hand({"alg": None}, CLAIMS),
    "algorithm a list": made_by_hand({"alg": ["HS256"]}, CLAIMS),
    "algorithm in lower case": made_by_hand({"alg": "hs256"}, CLAIMS),
    "RS256 over the secret": made_by_hand({"alg": "RS256"}, CLAIMS),
    "ES256 over the secret": made_by_hand({"alg": "ES256"}, CLAIMS),
    "HS512": made_by_hand({"alg": "HS512"}, CLAIMS, digest=hashlib.sha512),
    "HS384": made_by_hand({"alg": "HS384"}, CLAIMS, digest=hashlib.sha384),
    "HS512 header, HS256 signature": made_by_hand({"alg": "HS512"}, CLAIMS),
    "another secret": made_by_hand(HS256, CLAIMS, key="another-secret-of-enough-length-too"),
    "the empty secret": made_by_hand(HS256, CLAIMS, key=""),
    "the secret with a space": made_by_hand(HS256, CLAIMS, key=SECRET + " "),
    "signature missing": made_by_hand(HS256, CLAIMS).rpartition(".")[0] + ".",
    "signature segment missing": made_by_hand(HS256, CLAIMS).rpartition(".")[0],
    "signature cut short": made_by_hand(HS256, CLAIMS)[:-5],
    "signature prolonged": made_by_hand(HS256, CLAIMS) + "AAAA",
    "payload exchanged": ".".join(
        [
            made_by_hand(HS256, CLAIMS).split(".")[0],
            segment(CLAIMS | {"sub": "bob"}),
            made_by_hand(HS256, CLAIMS).split(".")[2],
        ]
    ),
    "header exchanged": ".".join([segment(HS256 | {"x": 1}), *made_by_hand(HS256, CLAIMS).split(".")[1:]]),
    "key inside the header": made_by_hand(
        HS256 | {"jwk": {"kty": "oct", "k": segment(b"attacker-secret-of-enough-length")}},
        CLAIMS,
        key="attacker-secret-of-enough-length",
    ),
    "unknown critical header": made_by_hand(HS256 | {"crit": ["tiercast"], "tiercast": 1}, CLAIMS),
    "critical header that is missing": made_by_hand(HS256 | {"crit": ["exp"]}, CLAIMS),
    "critical header that needs no mention": made_by_hand(HS256 | {"crit": ["typ"]}, CLAIMS),
    "unencoded payload": made_by_hand(HS256 | {"crit": ["b64"], "b64": False}, CLAIMS),
    "five segments": f"{segment({'alg': 'dir', 'enc': 'A256GCM'})}..{segment(b'i' * 12)}.{segment(CLAIMS)}.{segment(b't' * 16)}",
    "four segments": made_by_hand(HS256, CLAIMS) + ".AAAA",
    "a dot in front": "." + made_by_hand(HS256, CLAIMS),
    "empty": "",
    "dots": "..",
    "a word": "gibberish",
    "a space in it": made_by_hand(HS256, CLAIMS).replace(".", ". ", 1),
    "a line end behind it": made_by_hand(HS256, CLAIMS) + "\n",
    "not ASCII": "é.é.é",
    "half a surrogate": "\ud800.\ud800.\ud800",
    "NUL": "\x00",
    "too long": made_by_hand(HS256, CLAIMS | {"x": "x" * MAX_TOKEN_LENGTH}),
    "endless": "A" * 5_000_000,
    "header not JSON": made_by_hand(b"HS256", CLAIMS),
    "header a list": made_by_hand(["HS256"], CLAIMS),
    "payload not JSON": made_by_hand(HS256, b"sub=alice"),
    "payload not UTF-8": made_by_hand(HS256, b'{"sub":"\xff"}'),
    "payload a list": made_by_hand(HS256, [CLAIMS]),
    "payload a string": made_by_hand(HS256, "alice"),
    "payload null": made_by_hand(HS256, None),
    "payload nested without end": made_by_hand(HS256, b"[" * 5000),
    "payload nested inside a claim": made_by_hand(HS256, b'{"a":' + b"[" * 5000),
    "payload empty": made_by_hand(HS256, {}),
}

WRONG_CLAIMS: dict[str, dict[str, object]] = {
    "another issuer": {"iss": "https://issuer.test.evil"},
    "issuer missing": {"iss": None},
    "issuer a list": {"iss": [ISSUER]},
    "issuer with a slash": {"iss": ISSUER + "/"},
    "another audience": {"aud": "other"},
    "audience missing": {"aud": None},
    "audiences without ours": {"aud": ["a", "b"]},
    "audience inside an object": {"aud": {AUDIENCE: True}},
    "audience a prefix": {"aud": AUDIENCE[:-1]},
    "expired": {"exp": int(NOW)},
    "expired long ago": {"exp": 1},
    "without an end": {"exp": None},
    "end true": {"exp": True},
    "end as text": {"exp": str(int(NOW) + 3600)},
    "end a list": {"exp": [int(NOW) + 3600]},
    "end negative": {"exp": -1},
    "end too far": {"exp": 10**400},
    "end infinite": {"exp": float("inf")},
    "end not a number": {"exp": float("nan")},
    "not valid yet": {"nbf": int(NOW) + LEEWAY_SECONDS + 1},
    "beginning as text": {"nbf": "0"},
    "beginning true": {"nbf": True},
    "issued in the future": {"iat": int(NOW) + LEEWAY_SECONDS + 1},
    "issued as text": {"iat": "now"},
    "issue not a number": {"iat": float("nan")},
    "user missing": {"sub": None},
    "user empty": {"sub": ""},
    "user a number": {"sub": 7},
    "user a list": {"sub": ["alice"]},
    "user with a NUL": {"sub": "ali\x00ce"},
    "user with a line end": {"sub": "alice\n"},
    "user with DEL": {"sub": "alice\x7f"},
    "user with half a surrogate": {"sub": "alice\ud800"},
    "user with an invisible direction mark": {"sub": "alice\u202e"},
    "user too long": {"sub": "x" * 256},
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED.keys())
def test_a_forged_or_malformed_token_is_refused_without_being_repeated(forged: str) -> None:
    with pytest.raises(InvalidToken) as refusal:
        make_verifier().verify(forged)

    assert len(str(refusal.value)) < 200
    assert not forged or forged not in str(refusal.value)


@pytest.mark.parametrize("claims", WRONG_CLAIMS.values(), ids=WRONG_CLAIMS.keys())
def test_a_token_that_is_signed_but_says_the_wrong_thing_is_refused(claims: dict[str, object]) -> None:
    payload = {name: value for name, value in (CLAIMS | claims).items() if value is not None}

    with pytest.raises(InvalidToken):
        make_verifier().verify(made_by_hand(HS256, payload))


def test_the_tokens_made_by_hand_would_be_good_without_the_fault() -> None:
    assert make_verifier().verify(made_by_hand(HS256, CLAIMS)).user_id == "alice"


@given(at=st.integers(0, 10_000), bit=st.integers(0, 5))
def test_no_single_bit_can_be_changed(at: int, bit: int) -> None:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    good = token()
    at %= len(good)
    if good[at] == ".":
        return
    changed = good[:at] + alphabet[alphabet.index(good[at]) ^ (1 << bit)] + good[at + 1 :]
    if at == len(good) - 1 and bit < 2:
        return  # the last character of 32 bytes has two spare bits: another spelling of the same signature

    with pytest.raises(InvalidToken):
        make_verifier().verify(changed)


@given(st.text(max_size=300) | st.lists(st.text(alphabet="abcABC012-_=", max_size=40), max_size=6).map(".".join))
def test_any_text_is_refused_and_nothing_else(text: str) -> None:
    with pytest.raises(InvalidToken):
        make_verifier().verify(text)


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_any_value_of_a_claim_is_accepted_or_refused_and_nothing_else(value: object) -> None:
    for claim in ("sub", "exp", "nbf", "iat", "iss", "aud", "scope"):
        try:
            identity = make_verifier().verify(made_by_hand(HS256, CLAIMS | {claim: value}))
        except InvalidToken:
            continue
        assert 0 < len(identity.user_id) <= 255
        assert NOW < identity.expires_at < 1e12
