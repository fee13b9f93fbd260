"""How Alembic reaches the ledger: over a connection that is open, or as SQL text."""

from __future__ import annotations

from alembic import context

from brain_tumor.learning.ledger.schema import metadata

connection = context.config.attributes.get("connection")
if connection is None:
    context.configure(
        url=context.config.get_main_option("sqlalchemy.url"),
        target_metadata=metadata,
        literal_binds=True,
    )
else:
    context.configure(connection=connection, target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
