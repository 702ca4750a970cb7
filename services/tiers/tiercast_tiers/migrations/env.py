from alembic import context

from tiercast_tiers.tables import User

context.configure(
    connection=context.config.attributes["connection"],
    version_table=context.config.attributes["version_table"],
    target_metadata=User.metadata,
    render_as_batch=True,
)
context.run_migrations()
