"""PostgreSQL empties a table without asking its row triggers: TRUNCATE is refused, too."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

GROWING = (
    "patients",
    "cases",
    "splits",
    "submissions",
    "reviews",
    "case_events",
    "results",
    "scores",
    "model_events",
)


def upgrade() -> None:
    """Guard every table; SQLite knows no TRUNCATE."""
    if op.get_bind().dialect.name != "postgresql":
        return
    for table in GROWING:
        op.execute(
            f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION {table}_append_only()"
        )


def downgrade() -> None:
    """Take the guards away; no row changes."""
    if op.get_bind().dialect.name != "postgresql":
        return
    for table in GROWING:
        op.execute(f"DROP TRIGGER {table}_no_truncate ON {table}")
