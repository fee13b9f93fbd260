"""Tables of the ledger. `migrations/` makes them; a test holds the two together."""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()

_WHO, _WHEN, _DIGEST = sa.String(128), sa.String(32), sa.String(64)
"""Times are UTC, ISO 8601 to the millisecond: they sort as text on every database."""

patients = sa.Table(
    "patients",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("key", _WHO, nullable=False, unique=True),
    sa.Column("first_seen", _WHEN, nullable=False),
)

cases = sa.Table(
    "cases",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("case_id", sa.String(64), nullable=False),
    sa.Column("patient", sa.Integer, sa.ForeignKey("patients.id"), nullable=False),
    sa.Column("image_sha256", _DIGEST, nullable=False),
    sa.Column("first_seen", _WHEN, nullable=False),
    sa.UniqueConstraint("case_id", "image_sha256"),
)

splits = sa.Table(
    "splits",
    metadata,
    sa.Column("patient", sa.Integer, sa.ForeignKey("patients.id"), primary_key=True),
    sa.Column("part", sa.String(16), nullable=False),
    sa.Column("at", _WHEN, nullable=False),
)

submissions = sa.Table(
    "submissions",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("case", sa.Integer, sa.ForeignKey("cases.id"), nullable=False),
    sa.Column("case_id", sa.String(64), nullable=False, index=True),
    sa.Column("at", _WHEN, nullable=False),
    sa.Column("annotator", _WHO),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("tag", sa.String(32)),
    sa.Column("label_version", sa.Integer),
    sa.Column("label_sha256", _DIGEST),
    sa.Column("model", sa.String(64)),
    sa.Column("model_version", sa.String(64)),
    sa.Column("model_sha256", _DIGEST),
    sa.Column("seconds_spent", sa.Float),
    sa.Column("heat_open", sa.Boolean),
    sa.Column("text_open", sa.Boolean),
    sa.Column("change", sa.JSON),
    sa.Column("payload", sa.JSON),
    sa.UniqueConstraint("case_id", "tag", "label_version"),
)

reviews = sa.Table(
    "reviews",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column(
        "submission", sa.Integer, sa.ForeignKey("submissions.id"), nullable=False, index=True
    ),
    sa.Column("at", _WHEN, nullable=False),
    sa.Column("reviewer", _WHO),
    sa.Column("decision", sa.String(16), nullable=False),
    sa.Column("note", sa.Text, nullable=False),
)

case_events = sa.Table(
    "case_events",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("case_id", sa.String(64), nullable=False, index=True),
    sa.Column("at", _WHEN, nullable=False),
    sa.Column("event", sa.String(16), nullable=False),
    sa.Column("client", _WHO),
    sa.Column("until", _WHEN),
)

results = sa.Table(
    "results",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("case", sa.Integer, sa.ForeignKey("cases.id"), nullable=False, index=True),
    sa.Column("at", _WHEN, nullable=False),
    sa.Column("task", sa.String(64), nullable=False),
    sa.Column("model", sa.String(64), nullable=False),
    sa.Column("model_version", sa.String(64), nullable=False),
    sa.Column("model_sha256", _DIGEST, nullable=False),
    sa.Column("client", _WHO),
    sa.Column("summary", sa.JSON),
)

scores = sa.Table(
    "scores",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("case_id", sa.String(64), nullable=False, index=True),
    sa.Column("image_sha256", _DIGEST, nullable=False),
    sa.Column("model_sha256", _DIGEST, nullable=False),
    sa.Column("at", _WHEN, nullable=False),
    sa.Column("values", sa.JSON, nullable=False),
)

model_events = sa.Table(
    "model_events",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("at", _WHEN, nullable=False),
    sa.Column("name", sa.String(64), nullable=False),
    sa.Column("version", sa.String(64), nullable=False),
    sa.Column("event", sa.String(16), nullable=False),
    sa.Column("by", _WHO),
    sa.Column("detail", sa.JSON),
)
