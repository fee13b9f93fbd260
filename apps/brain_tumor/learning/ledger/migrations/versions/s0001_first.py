"""The first ledger: patients, cases, submissions, reviews, results, scores, models.

Every table only grows: triggers refuse changes and removals, so that not even a program with the
database open rewrites what somebody submitted.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
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
    """Make the tables and what keeps them append-only."""
    op.create_table(
        "patients",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("key", sa.String(128), nullable=False, unique=True),
        sa.Column("first_seen", sa.String(32), nullable=False),
    )
    op.create_table(
        "cases",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("case_id", sa.String(64), nullable=False),
        sa.Column("patient", sa.Integer, sa.ForeignKey("patients.id"), nullable=False),
        sa.Column("image_sha256", sa.String(64), nullable=False),
        sa.Column("first_seen", sa.String(32), nullable=False),
        sa.UniqueConstraint("case_id", "image_sha256"),
    )
    op.create_table(
        "splits",
        sa.Column("patient", sa.Integer, sa.ForeignKey("patients.id"), primary_key=True),
        sa.Column("part", sa.String(16), nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
    )
    op.create_table(
        "submissions",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("case", sa.Integer, sa.ForeignKey("cases.id"), nullable=False),
        sa.Column("case_id", sa.String(64), nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("annotator", sa.String(128)),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("tag", sa.String(32)),
        sa.Column("label_version", sa.Integer),
        sa.Column("label_sha256", sa.String(64)),
        sa.Column("model", sa.String(64)),
        sa.Column("model_version", sa.String(64)),
        sa.Column("model_sha256", sa.String(64)),
        sa.Column("seconds_spent", sa.Float),
        sa.Column("heat_open", sa.Boolean),
        sa.Column("text_open", sa.Boolean),
        sa.Column("change", sa.JSON),
        sa.Column("payload", sa.JSON),
        sa.UniqueConstraint("case_id", "tag", "label_version"),
    )
    op.create_index("ix_submissions_case_id", "submissions", ["case_id"])
    op.create_table(
        "reviews",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("submission", sa.Integer, sa.ForeignKey("submissions.id"), nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("reviewer", sa.String(128)),
        sa.Column("decision", sa.String(16), nullable=False),
        sa.Column("note", sa.Text, nullable=False),
    )
    op.create_index("ix_reviews_submission", "reviews", ["submission"])
    op.create_table(
        "case_events",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("case_id", sa.String(64), nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("event", sa.String(16), nullable=False),
        sa.Column("client", sa.String(128)),
        sa.Column("until", sa.String(32)),
    )
    op.create_index("ix_case_events_case_id", "case_events", ["case_id"])
    op.create_table(
        "results",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("case", sa.Integer, sa.ForeignKey("cases.id"), nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("task", sa.String(64), nullable=False),
        sa.Column("model", sa.String(64), nullable=False),
        sa.Column("model_version", sa.String(64), nullable=False),
        sa.Column("model_sha256", sa.String(64), nullable=False),
        sa.Column("client", sa.String(128)),
        sa.Column("summary", sa.JSON),
    )
    op.create_index("ix_results_case", "results", ["case"])
    op.create_table(
        "scores",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("case_id", sa.String(64), nullable=False),
        sa.Column("image_sha256", sa.String(64), nullable=False),
        sa.Column("model_sha256", sa.String(64), nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("values", sa.JSON, nullable=False),
    )
    op.create_index("ix_scores_case_id", "scores", ["case_id"])
    op.create_table(
        "model_events",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("version", sa.String(64), nullable=False),
        sa.Column("event", sa.String(16), nullable=False),
        sa.Column("by", sa.String(128)),
        sa.Column("detail", sa.JSON),
    )
    for table in GROWING:
        for statement in growing_only(table, op.get_bind().dialect.name):
            op.execute(statement)


def downgrade() -> None:
    """Refused: it would lose corrections."""
    message = "the first ledger is never taken back: that would lose corrections"
    raise NotImplementedError(message)


def growing_only(table: str, dialect: str) -> list[str]:
    """Statements that let a table grow and nothing else."""
    if dialect == "sqlite":
        return [
            f"CREATE TRIGGER {table}_no_{action.lower()} BEFORE {action} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            for action in ("UPDATE", "DELETE")
        ]
    return [
        f"CREATE FUNCTION {table}_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{table} is append-only'; END $$",
        f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION {table}_append_only()",
    ]
