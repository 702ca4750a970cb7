"""Settings of ingest, and what is said of wrong ones."""

import pytest

from tiercast_ingest.settings import DatabaseSettings, IngestSettings
from tiercast_shared.settings import EX_CONFIG, load_settings

REQUIRED = {
    "INGEST_DATABASE_URL": "sqlite+aiosqlite:///x.db",
    "AMQP_URL": "amqp://broker/",
    "SERVICE_KEY": "k" * 16,
}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("INGEST_DATABASE_URL", "INGEST_AMQP_URL", "INGEST_API_KEYS", "INGEST_TRUSTED_PUBLISHERS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in REQUIRED.items():
        monkeypatch.setenv(name, value)


def test_defaults_are_those_of_the_protocol():
    settings = load_settings(IngestSettings)
    assert (settings.port, settings.metrics_port) == (8001, 9101)
    assert settings.amqp_url.get_secret_value() == "amqp://broker/"
    assert settings.trusted_publishers == frozenset()
    assert settings.api_keys == {}


def test_its_own_broker_url_comes_first(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("INGEST_AMQP_URL", "amqp://own/")
    assert load_settings(IngestSettings).amqp_url.get_secret_value() == "amqp://own/"


def test_trusted_publishers_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("INGEST_TRUSTED_PUBLISHERS", "runner, guest,,")
    assert load_settings(IngestSettings).trusted_publishers == {"runner", "guest"}


def test_keys_are_read_from_json(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("INGEST_API_KEYS", '{"acme": "a-key-of-16-chars", "other": "b-key-of-16-chars"}')
    assert load_settings(IngestSettings).api_keys["acme"].get_secret_value() == "a-key-of-16-chars"


@pytest.mark.parametrize("name", list(REQUIRED))
def test_nothing_that_is_secret_has_a_default(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.delenv(name)
    with pytest.raises(SystemExit) as caught:
        load_settings(IngestSettings)
    assert caught.value.code == EX_CONFIG
    assert "is not set" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ('{"acme": "short"}', "a key has at least 16 characters"),
        ('{"": "a-key-of-16-chars"}', "a producer's name has 1 to 255 characters"),
        ('{"a": "a-key-of-16-chars", "b": "a-key-of-16-chars"}', "two producers have the same key"),
    ],
)
def test_unusable_keys_are_refused_without_being_shown(
    keys: str, problem: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("INGEST_API_KEYS", keys)
    with pytest.raises(SystemExit):
        load_settings(IngestSettings)
    said = capsys.readouterr().err
    assert problem in said
    assert "a-key-of" not in said


def test_every_setting_is_described():
    assert all(field.description for field in IngestSettings.model_fields.values())


def test_migrating_needs_nothing_but_the_database(monkeypatch: pytest.MonkeyPatch):
    for name in ("AMQP_URL", "SERVICE_KEY"):
        monkeypatch.delenv(name)
    assert load_settings(DatabaseSettings).database_url.get_secret_value() == REQUIRED["INGEST_DATABASE_URL"]
