"""Entries that cannot be changed, and a notice of each commit."""

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


def upgrade() -> None:
    connection = op.get_bind()
    keep_append_only(connection, "tier_log", [("seq",)])
    notify_of_commits(connection, "tier_log_head")


def downgrade() -> None:
    connection = op.get_bind()
    drop_notify_of_commits(connection, "tier_log_head")
    drop_append_only(connection, "tier_log")
