"""The README's table of configuration is the code's."""

from pathlib import Path

from pydantic import AliasChoices
from pydantic.fields import FieldInfo

from tiercast_gateway.settings import GatewaySettings
from tiercast_ingest.settings import IngestSettings
from tiercast_tiers.settings import TiersSettings

README = Path(__file__).resolve().parents[2] / "README.md"
SERVICES = {"ingest": IngestSettings, "tiers": TiersSettings, "gateway": GatewaySettings}


def names_of(field: FieldInfo) -> list[str]:
    alias = field.validation_alias or field.alias
    return [str(choice) for choice in alias.choices] if isinstance(alias, AliasChoices) else [str(alias)]


def default_of(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    if field.default is None:
        return "none"
    if isinstance(field.default, str | int | float):
        return f"`{field.default}`"
    return "[these](docs/protocol.md#words)" if isinstance(field.default, dict) else "empty"


def test_every_variable_is_in_the_table_with_its_default_and_meaning() -> None:
    readers: dict[str, list[str]] = {}
    fields: dict[str, FieldInfo] = {}
    for service, settings in SERVICES.items():
        for field in settings.model_fields.values():
            readers.setdefault(names_of(field)[0], []).append(service)
            fields[names_of(field)[0]] = field
    rows = []
    for name, field in fields.items():
        label = ", else ".join(f"`{each}`" for each in names_of(field))
        service = "all" if len(readers[name]) == len(SERVICES) else ", ".join(readers[name])
        rows.append(f"| {label} | {service} | {default_of(field)} | {field.description} |")
    lines = README.read_text().splitlines()
    assert [row for row in rows if row not in lines] == []
    assert sum(line.startswith(("| `", "| variable")) for line in lines) == len(rows) + 1, "a row without a setting"
