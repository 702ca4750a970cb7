"""What the gateway says of settings that cannot work: one line that names what to set, and exit status 78."""

import os

import pytest
from joserfc.jwk import ECKey, RSAKey
from typer.testing import CliRunner

from tiercast_gateway.main import main
from tiercast_gateway.settings import GatewaySettings
from tiercast_shared.settings import EX_CONFIG, load_settings

SECRET = "a-secret-of-more-than-32-characters!"
KEYS_URL = "https://issuer.test/keys"
GOOD = {"AMQP_URL": "amqp://broker/", "SERVICE_KEY": "k" * 16, "GATEWAY_JWT_SECRET": SECRET}
PUBLISHED = {"GATEWAY_JWKS_URL": KEYS_URL, "GATEWAY_JWT_ISSUER": "https://issuer.test", "GATEWAY_JWT_AUDIENCE": "us"}
OIDC = {"OIDC_ISSUER": "https://issuer.test", "OIDC_CLIENT_ID": "us", "OIDC_JWKS_URL": KEYS_URL}
NONE = {"GATEWAY_JWT_SECRET": ""}
EC_KEY = ECKey.generate_key("P-256")


def pem(key: RSAKey | ECKey, *, private: bool = True) -> str:
    return key.as_pem(private=private).decode()


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("GATEWAY_", "OIDC_", "NEXTAUTH_"))]:
        monkeypatch.delenv(name)
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)


def load(monkeypatch: pytest.MonkeyPatch, changes: dict[str, str]) -> GatewaySettings:
    for name, value in changes.items():
        monkeypatch.setenv(name, value)
    return load_settings(GatewaySettings)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (NONE, "GATEWAY_JWT_SECRET, GATEWAY_JWT_PRIVATE_KEY or GATEWAY_JWKS_URL must be set"),
        ({"AMQP_URL": ""}, "AMQP_URL is not set"),
        ({"SERVICE_KEY": ""}, "SERVICE_KEY is not set"),
        ({"SERVICE_KEY": "short"}, "SERVICE_KEY is invalid"),
        ({"GATEWAY_JWT_SECRET": SECRET[:31]}, "GATEWAY_JWT_SECRET is invalid"),
        ({**PUBLISHED, "GATEWAY_JWT_ISSUER": ""}, "GATEWAY_JWKS_URL needs GATEWAY_JWT_ISSUER and GATEWAY_JWT_AUDIENCE"),
        ({**PUBLISHED, "GATEWAY_JWT_AUDIENCE": ""}, "GATEWAY_JWKS_URL needs GATEWAY_JWT_ISSUER and"),
        ({**PUBLISHED, "GATEWAY_JWKS_URL": "http://issuer.test/keys"}, "GATEWAY_JWKS_URL is invalid: must be an https"),
        ({**OIDC, "OIDC_JWKS_URL": "http://issuer.test/keys"}, "OIDC_JWKS_URL is invalid: must be an https"),
        ({**OIDC, "OIDC_CLIENT_ID": ""}, "OIDC_ISSUER, OIDC_CLIENT_ID and OIDC_JWKS_URL must be set together"),
        ({**NONE, **PUBLISHED, **OIDC}, "GATEWAY_JWT_SECRET or GATEWAY_JWT_PRIVATE_KEY must be set, to sign"),
        ({**NONE, **PUBLISHED, "NEXTAUTH_SECRET": "x"}, "GATEWAY_JWT_SECRET or GATEWAY_JWT_PRIVATE_KEY must be set"),
        ({"NEXTAUTH_SECRET": '["x", ""]'}, "NEXTAUTH_SECRET is invalid: a secret is empty"),
        ({"GATEWAY_JWT_PRIVATE_KEY": "no key"}, "GATEWAY_JWT_PRIVATE_KEY is invalid: is no PEM"),
        ({"GATEWAY_JWT_PRIVATE_KEY": pem(EC_KEY, private=False)}, "GATEWAY_JWT_PRIVATE_KEY is invalid: is a public"),
        ({"GATEWAY_JWT_PRIVATE_KEY": pem(ECKey.generate_key("P-384"))}, "must be RSA of 2048 to 8192 bits, or EC on"),
        ({"GATEWAY_TRUSTED_PROXIES": "10.0.0.0/8, proxy"}, "GATEWAY_TRUSTED_PROXIES is invalid: 'proxy'"),
        ({"GATEWAY_TOKEN_SECONDS": "0"}, "GATEWAY_TOKEN_SECONDS is invalid"),
    ],
)
def test_what_is_missing_or_wrong_is_named_and_ends_the_start_with_78(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], changes: dict[str, str], says: str
) -> None:
    with pytest.raises(SystemExit) as stopped:
        load(monkeypatch, changes)
    assert stopped.value.code == EX_CONFIG
    said = capsys.readouterr().err
    assert [line for line in said.splitlines() if line.startswith("configuration error: ") and says in line], said
    assert not [value for value in changes.values() if len(value) > 20 and "://" not in value and value in said]


def test_the_command_ends_before_anything_connects() -> None:
    stopped = CliRunner().invoke(main, ["serve"], env=NONE)
    assert stopped.exit_code == EX_CONFIG
    assert stopped.stderr == (
        "configuration error: GATEWAY_JWT_SECRET, GATEWAY_JWT_PRIVATE_KEY or GATEWAY_JWKS_URL must be set\n"
    )


@pytest.mark.parametrize(
    "origin",
    [
        "*",
        "null",
        "app.test",
        "https://app.test/",
        "https://app.test/path",
        "https://App.test",
        "HTTPS://app.test",
        "https://app.test:443",
        "http://app.test:80",
        "https://app.test:",
        "https://user@app.test",
        "https://*.app.test",
        "https://\u00e4pp.test",
    ],
)
def test_an_origin_that_no_browser_says_is_quoted_instead_of_never_being_met(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], origin: str
) -> None:
    with pytest.raises(SystemExit) as stopped:
        load(monkeypatch, {"GATEWAY_ALLOWED_ORIGINS": f"https://app.test, {origin}"})
    assert stopped.value.code == EX_CONFIG
    assert f"GATEWAY_ALLOWED_ORIGINS is invalid: {origin!r}" in capsys.readouterr().err


def test_origins_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    origins = ["https://app.test", "http://localhost:3000", "http://[::1]:3000", "capacitor://localhost"]
    assert load(monkeypatch, {"GATEWAY_ALLOWED_ORIGINS": " ,".join(origins)}).allowed_origins == frozenset(origins)


@pytest.mark.parametrize(
    "enough",
    [
        {"GATEWAY_JWT_PRIVATE_KEY": pem(EC_KEY)},
        {"GATEWAY_JWT_PRIVATE_KEY": pem(RSAKey.generate_key(2048)).replace("\n", "\\n")},
        PUBLISHED,
        {**PUBLISHED, "GATEWAY_JWKS_URL": "http://127.0.0.1:9999/keys"},
    ],
    ids=["EC key", "RSA key in one line", "published keys", "published on this machine"],
)
def test_one_way_to_check_tokens_is_enough(monkeypatch: pytest.MonkeyPatch, enough: dict[str, str]) -> None:
    assert load(monkeypatch, {**NONE, **enough}).jwt_secret is None


def test_several_secrets_of_an_application_are_a_json_list(monkeypatch: pytest.MonkeyPatch) -> None:
    for given, read in [("one", ["one"]), ('["new", "old"]', ["new", "old"]), ("[sic", ["[sic"]), ("[1]", ["[1]"])]:
        assert load(monkeypatch, {"NEXTAUTH_SECRET": given}).nextauth_secrets == read
