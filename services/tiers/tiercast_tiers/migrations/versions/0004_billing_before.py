"""What an update of a subscription has replaced, which orders events of one second."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("billing_events", sa.Column("status_before", sa.String()))
    op.add_column("billing_events", sa.Column("prices_before", sa.String()))


def downgrade() -> None:
    for column in ("prices_before", "status_before"):
        op.drop_column("billing_events", column)
