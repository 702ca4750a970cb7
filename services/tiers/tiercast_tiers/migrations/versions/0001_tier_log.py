"""Users and the tiers log, with the head of a log that begins its life here."""

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
        "users",
        sa.Column("user_id", sa.String(), primary_key=True),
        sa.Column("tier", sa.String(), nullable=False),
        sa.Column("version", BigInt, nullable=False),
        sa.Column("changed_at", sa.Float()),
        sa.Column("tokens_valid_after", sa.Float()),
    )
    op.create_table(
        "tier_log",
        sa.Column("seq", BigInt, primary_key=True, autoincrement=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("chain", sa.LargeBinary(), nullable=False),
        sa.Column("correlation_id", sa.String(), nullable=False),
        sa.Column("received_at", sa.Float(), nullable=False),
        sa.Column("committed_at", sa.Float(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("tier", sa.String()),
        sa.Column("previous_tier", sa.String()),
        sa.Column("reason", sa.String()),
        sa.Column("actor", sa.String(), nullable=False),
    )
    op.create_index("ix_tier_log_user_id_seq", "tier_log", ["user_id", "seq"])
    head = op.create_table(
        "tier_log_head",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("epoch", sa.String(), nullable=False),
        sa.Column("seq", BigInt, nullable=False),
        sa.Column("chain", sa.LargeBinary(), nullable=False),
    )
    publisher = op.create_table(
        "tier_log_publisher",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("holder", sa.String()),
        sa.Column("until", sa.Float(), nullable=False),
        sa.Column("published", BigInt, nullable=False),
    )
    op.bulk_insert(head, [{"id": 1, "epoch": uuid4().hex, "seq": 0, "chain": GENESIS}])
    op.bulk_insert(publisher, [{"id": 1, "holder": None, "until": 0.0, "published": 0}])


def downgrade() -> None:
    for table in ("tier_log_publisher", "tier_log_head", "tier_log", "users"):
        op.drop_table(table)
