"""Entries that cannot be changed, checkpoints that allow to archive them, and a notice of each commit."""

import sqlalchemy as sa
from alembic import op

from tiercast_shared.eventlog.triggers import (
    drop_append_only,
    drop_notify_of_commits,
    keep_append_only,
    notify_of_commits,
)

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

BigInt = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.add_column("signal_log_head", sa.Column("floor", BigInt, nullable=False, server_default="0"))
    op.create_table(
        "signal_log_checkpoint",
        sa.Column("seq", BigInt, primary_key=True, autoincrement=False),
        sa.Column("chain", sa.LargeBinary(), nullable=False),
        sa.Column("standard_seq", BigInt, nullable=False),
        sa.Column("standard_chain", sa.LargeBinary(), nullable=False),
        sa.Column("archived_at", sa.Float(), nullable=False),
    )
    op.create_table(
        "signal_log_archived",
        sa.Column("seq", BigInt, primary_key=True, autoincrement=False),
        sa.Column("producer", sa.String(), nullable=False),
        sa.Column("signal_id", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.UniqueConstraint("producer", "signal_id", name="uq_signal_log_archived_producer_signal_id"),
        sa.UniqueConstraint("id", name="uq_signal_log_archived_id"),
    )
    connection = op.get_bind()
    names = ("producer", "signal_id")
    keep_append_only(
        connection,
        "signal_log",
        [("seq",), ("id",), ("standard_seq",), names],
        deletable="OLD.seq <= (SELECT coalesce(max(seq), 0) FROM signal_log_checkpoint)",
        remedy="entries are never changed, and `tiercast-ingest ledger archive` moves old ones to a file",
    )
    keep_append_only(connection, "signal_log_checkpoint", [("seq",)])
    keep_append_only(connection, "signal_log_archived", [("seq",), ("id",), names])
    notify_of_commits(connection, "signal_log_head")


def downgrade() -> None:
    connection = op.get_bind()
    drop_notify_of_commits(connection, "signal_log_head")
    for table in ("signal_log", "signal_log_checkpoint", "signal_log_archived"):
        drop_append_only(connection, table)
    op.drop_table("signal_log_archived")
    op.drop_table("signal_log_checkpoint")
    with op.batch_alter_table("signal_log_head") as head:
        head.drop_column("floor")
