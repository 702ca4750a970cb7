"""What the service says of its settings."""

import pytest

from tiercast_shared.settings import EX_CONFIG, load_settings
from tiercast_tiers.settings import TiersSettings

GOOD = {
    "TIERS_DATABASE_URL": "sqlite+aiosqlite:///x.db",
    "AMQP_URL": "amqp://shared/",
    "TIERS_ADMIN_KEY": "an-admin-key-of-enough-length",
    "SERVICE_KEY": "a-service-key-of-enough-length",
}
OTHERS = ("TIERS_AMQP_URL", "TIERS_PORT", "TIERS_METRICS_PORT", "HOST", "LOG_LEVEL", "LOG_FORMAT")


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in OTHERS:
        monkeypatch.delenv(name, raising=False)
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_ports_have_defaults_and_the_broker_address_falls_back_to_the_common_one(environment):
    settings = load_settings(TiersSettings)
    assert (settings.port, settings.metrics_port) == (8002, 9102)
    assert settings.amqp_url.get_secret_value() == "amqp://shared/"


def test_the_service_s_own_broker_address_comes_first(environment):
    environment.setenv("TIERS_AMQP_URL", "amqp://own/")
    assert load_settings(TiersSettings).amqp_url.get_secret_value() == "amqp://own/"


@pytest.mark.parametrize("name", GOOD)
def test_nothing_secret_or_local_has_a_default(environment, capsys, name):
    environment.delenv(name)
    with pytest.raises(SystemExit) as stopped:
        load_settings(TiersSettings)
    assert stopped.value.code == EX_CONFIG
    assert name in capsys.readouterr().err


def test_a_short_key_is_refused_without_being_shown(environment, capsys):
    environment.setenv("TIERS_ADMIN_KEY", "hunter2")
    with pytest.raises(SystemExit):
        load_settings(TiersSettings)
    said = capsys.readouterr().err
    assert "TIERS_ADMIN_KEY" in said
    assert "hunter2" not in said
