"""What the payment provider told: events, customers and their users, subscriptions, and the tier that follows."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

BigInt = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "billing_events",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("created", BigInt, nullable=False),
        sa.Column("received_at", sa.Float(), nullable=False),
        sa.Column("customer", sa.String()),
        sa.Column("subscription", sa.String()),
        sa.Column("user_id", sa.String()),
        sa.Column("status", sa.String()),
        sa.Column("prices", sa.String(), nullable=False),
    )
    op.create_index("ix_billing_events_customer", "billing_events", ["customer"])
    op.create_index("ix_billing_events_subscription", "billing_events", ["subscription"])
    op.create_table(
        "billing_customers",
        sa.Column("customer", sa.String(), primary_key=True),
        sa.Column("user_id", sa.String(), nullable=False),
    )
    op.create_index("ix_billing_customers_user_id", "billing_customers", ["user_id"])
    op.create_table(
        "billing_subscriptions",
        sa.Column("subscription", sa.String(), primary_key=True),
        sa.Column("customer", sa.String()),
        sa.Column("status", sa.String()),
        sa.Column("prices", sa.String(), nullable=False),
        sa.Column("unpaid_since", BigInt),
        sa.Column("lapsed", sa.Boolean(), nullable=False),
    )
    op.create_index("ix_billing_subscriptions_customer", "billing_subscriptions", ["customer"])
    op.create_index("ix_billing_subscriptions_unpaid_since", "billing_subscriptions", ["unpaid_since"])
    op.create_table(
        "billing_users",
        sa.Column("user_id", sa.String(), primary_key=True),
        sa.Column("tier", sa.String(), nullable=False),
    )


def downgrade() -> None:
    for table in ("billing_users", "billing_subscriptions", "billing_customers", "billing_events"):
        op.drop_table(table)
