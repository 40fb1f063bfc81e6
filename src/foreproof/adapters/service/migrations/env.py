"""Where alembic finds the connection: the one that `adapters.service.migrate` opened and holds its lock on."""

from alembic import context

from foreproof.adapters.service.migrate import VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    version_table=VERSION_TABLE,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
