"""Experiments, their events, and the last analysis of those that are over."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "experiments",
        sa.Column("experiment_id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("environment", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("layer", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("definition", sa.Text, nullable=False),
        sa.Column("salt", sa.Text, nullable=False),
        sa.Column("from_bp", sa.Integer, nullable=False),
        sa.Column("to_bp", sa.Integer, nullable=False),
        sa.Column("weights_bp", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("started_at_ms", sa.BigInteger, nullable=False),
        sa.Column("ended_at_ms", sa.BigInteger),
        sa.Column("decision", sa.Text),
        sa.Column("looked_at_ms", sa.BigInteger, nullable=False),
        sa.Column("weighed_at_ms", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_experiments_name", "experiments", ["name", "started_at_ms"])
    op.create_index("ix_experiments_state", "experiments", ["state"])
    op.create_table(
        "experiment_events",
        sa.Column("experiment_id", sa.Text, primary_key=True),
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
    )
    op.create_table(
        "experiment_analyses",
        sa.Column("experiment_id", sa.Text, primary_key=True),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("analysis", sa.LargeBinary, nullable=False),
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_table("experiment_analyses")
    op.drop_table("experiment_events")
    op.drop_table("experiments")
