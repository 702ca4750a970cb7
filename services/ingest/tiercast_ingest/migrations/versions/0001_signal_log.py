"""The signal log, with the head of a log that begins its life here."""

from uuid import uuid4

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

BigInt = sa.BigInteger().with_variant(sa.Integer, "sqlite")
GENESIS = bytes(32)


def upgrade() -> None:
    op.create_table(
        "signal_log",
        sa.Column("seq", BigInt, primary_key=True, autoincrement=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("chain", sa.LargeBinary(), nullable=False),
        sa.Column("correlation_id", sa.String(), nullable=False),
        sa.Column("received_at", sa.Float(), nullable=False),
        sa.Column("committed_at", sa.Float(), nullable=False),
        sa.Column("standard_seq", BigInt),
        sa.Column("standard_chain", sa.LargeBinary()),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("feed", sa.String(), nullable=False),
        sa.Column("symbol", sa.String(), nullable=False),
        sa.Column("producer", sa.String(), nullable=False),
        sa.Column("signal_id", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("hashed_text", sa.String(), nullable=False),
        sa.UniqueConstraint("producer", "signal_id", name="uq_signal_log_producer_signal_id"),
        sa.UniqueConstraint("standard_seq", name="uq_signal_log_standard_seq"),
        sa.UniqueConstraint("id", name="uq_signal_log_id"),
    )
    head = op.create_table(
        "signal_log_head",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("epoch", sa.String(), nullable=False),
        sa.Column("seq", BigInt, nullable=False),
        sa.Column("chain", sa.LargeBinary(), nullable=False),
        sa.Column("standard_seq", BigInt, nullable=False),
        sa.Column("standard_chain", sa.LargeBinary(), nullable=False),
        sa.Column("server_timestamp", sa.Float(), nullable=False),
    )
    publisher = op.create_table(
        "signal_log_publisher",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("holder", sa.String()),
        sa.Column("until", sa.Float(), nullable=False),
        sa.Column("published", BigInt, nullable=False),
    )
    op.bulk_insert(
        head,
        [
            {
                "id": 1,
                "epoch": uuid4().hex,
                "seq": 0,
                "chain": GENESIS,
                "standard_seq": 0,
                "standard_chain": GENESIS,
                "server_timestamp": 0.0,
            }
        ],
    )
    op.bulk_insert(publisher, [{"id": 1, "holder": None, "until": 0.0, "published": 0}])


def downgrade() -> None:
    for table in ("signal_log_publisher", "signal_log_head", "signal_log"):
        op.drop_table(table)
