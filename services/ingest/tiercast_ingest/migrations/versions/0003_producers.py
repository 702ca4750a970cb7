"""Producers, and the digests of their keys."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "producers",
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("disabled_at", sa.Float()),
        sa.Column("per_second", sa.Integer()),
    )
    op.create_table(
        "producer_keys",
        sa.Column("digest", sa.LargeBinary(), primary_key=True),
        sa.Column("producer", sa.String(), sa.ForeignKey("producers.name"), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("revoked_at", sa.Float()),
    )
    op.create_index("ix_producer_keys_producer", "producer_keys", ["producer"])


def downgrade() -> None:
    op.drop_table("producer_keys")
    op.drop_table("producers")
