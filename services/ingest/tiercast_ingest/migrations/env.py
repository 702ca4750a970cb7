from alembic import context

from tiercast_ingest.tables import SignalLogEntry

context.configure(
    connection=context.config.attributes["connection"],
    version_table=context.config.attributes["version_table"],
    target_metadata=SignalLogEntry.metadata,
    render_as_batch=True,
)
context.run_migrations()
