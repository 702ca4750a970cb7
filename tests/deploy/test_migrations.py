"""Every migration can be run while the previous version serves: it expands, and what contracts says so.

A migration that takes something away or demands something new stands in a version of its own, after the last one that needed
what goes, and has `contract = "why nobody needs it any more"` among its names.
"""

import importlib
import pkgutil
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any
from unittest.mock import patch

import pytest
import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations, ops
from alembic.operations.base import AbstractOperations

SERVICES = ("tiercast_ingest", "tiercast_tiers")
CONTRACTING = (ops.DropTableOp, ops.DropColumnOp, ops.RenameTableOp)
CONSTRAINING = (ops.CreateUniqueConstraintOp, ops.CreateCheckConstraintOp, ops.CreateForeignKeyOp)


def migrations() -> Iterator[ModuleType]:
    for package in SERVICES:
        versions = importlib.import_module(f"{package}.migrations.versions")
        for module in pkgutil.iter_modules(versions.__path__):
            yield importlib.import_module(f"{versions.__name__}.{module.name}")


@contextmanager
def recording(connection: sa.Connection) -> Iterator[list[ops.MigrateOperation]]:
    """Everything that is done through `alembic.op`, in batches too, is noted, and done."""
    done: list[ops.MigrateOperation] = []
    invoke = AbstractOperations.invoke

    def noted(self: AbstractOperations, operation: ops.MigrateOperation) -> Any:
        done.append(operation)
        return invoke(self, operation)

    with (
        patch.object(AbstractOperations, "invoke", noted),
        Operations.context(MigrationContext.configure(connection)),
    ):
        yield done


def dangers(done: list[ops.MigrateOperation]) -> list[str]:
    """What the previous version's code would stumble over."""
    made = {each.table_name for each in done if isinstance(each, ops.CreateTableOp)}
    return [problem for each in done if getattr(each, "table_name", None) not in made and (problem := danger(each))]


def danger(operation: ops.MigrateOperation) -> str | None:
    if isinstance(operation, CONTRACTING):
        return f"{type(operation).__name__} takes away what the previous version reads"
    if isinstance(operation, CONSTRAINING) or (isinstance(operation, ops.CreateIndexOp) and operation.unique):
        return f"{type(operation).__name__} refuses what the previous version may write"
    if isinstance(operation, ops.AddColumnOp):
        column = operation.column
        if not column.nullable and column.server_default is None:
            return f"{operation.table_name}.{column.name} must be given, and the previous version does not know it"
    if isinstance(operation, ops.AlterColumnOp) and (
        operation.modify_name or operation.modify_type is not None or operation.modify_nullable is False
    ):
        return f"{operation.table_name}.{operation.column_name} changes under the previous version"
    return None


@pytest.mark.parametrize("package", SERVICES)
def test_every_migration_expands_or_says_why_it_may_contract(package: str) -> None:
    engine = sa.create_engine("sqlite://")
    with engine.begin() as connection, recording(connection) as done:
        for migration in sorted(
            (each for each in migrations() if each.__name__.startswith(f"{package}.")), key=lambda each: each.revision
        ):
            done.clear()
            migration.upgrade()
            found = dangers(done)
            assert not found or getattr(migration, "contract", ""), f"{migration.__name__}: {found}"
    engine.dispose()


def column(name: str, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, sa.Integer(), **options)


@pytest.mark.parametrize(
    ("operation", "dangerous"),
    [
        (ops.AddColumnOp("t", column("c", nullable=True)), False),
        (ops.AddColumnOp("t", column("c", nullable=False, server_default="0")), False),
        (ops.AddColumnOp("t", column("c", nullable=False)), True),
        (ops.DropColumnOp("t", "c"), True),
        (ops.DropTableOp("t"), True),
        (ops.RenameTableOp("t", "u"), True),
        (ops.AlterColumnOp("t", "c", modify_name="d"), True),
        (ops.AlterColumnOp("t", "c", modify_nullable=False), True),
        (ops.CreateIndexOp("i", "t", ["c"]), False),
        (ops.CreateIndexOp("i", "t", ["c"], unique=True), True),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, ops.MigrateOperation) else "",
)
def test_what_the_previous_version_cannot_live_with_is_seen(operation: ops.MigrateOperation, dangerous: bool) -> None:
    assert bool(dangers([operation])) is dangerous


def test_what_is_done_to_a_table_made_in_the_same_migration_is_nobodys_business() -> None:
    made = ops.CreateTableOp("t", [column("a")])
    assert dangers([made, ops.CreateIndexOp("i", "t", ["a"], unique=True)]) == []
