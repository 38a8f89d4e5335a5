"""Rollouts: where each stands, what happened to it, who approved, drills of the way back; and what evaluations found.

A release remembers what the gateways are told of its rollout.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables and the column."""
    op.add_column("releases", sa.Column("rollout", sa.Text))
    _rollouts()
    op.create_table(
        "rollout_events",
        sa.Column("rollout_id", sa.Text, primary_key=True),
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("from_state", sa.Text, nullable=False),
        sa.Column("to_state", sa.Text, nullable=False),
        sa.Column("from_stage", sa.Integer, nullable=False),
        sa.Column("to_stage", sa.Integer, nullable=False),
        sa.Column("weight_bp", sa.Integer, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("evidence", sa.Text),
    )
    op.create_table(
        "rollout_approvals",
        sa.Column("rollout_id", sa.Text, primary_key=True),
        sa.Column("stage", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("plan_hash", sa.Text, primary_key=True),
        sa.Column("who", sa.Text, primary_key=True),
        sa.Column("roles", sa.Text, nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
    )
    op.create_table(
        "rollout_looks",
        sa.Column("rollout_id", sa.Text, primary_key=True),
        sa.Column("evidence", sa.Text, nullable=False),
    )
    op.create_table(
        "rollout_drills",
        sa.Column("drill_id", sa.Text, primary_key=True),
        sa.Column("prompt", sa.Text, nullable=False),
        sa.Column("environment", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("drill", sa.Text, nullable=False),
    )
    op.create_index("ix_rollout_drills_prompt", "rollout_drills", ["prompt", "at_ms"])
    op.create_table(
        "eval_verdicts",
        sa.Column("eval_id", sa.Text, primary_key=True),
        sa.Column("prompt", sa.Text),
        sa.Column("version", sa.Text),
        sa.Column("content_hash", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("answer", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("verdict", sa.Text, nullable=False),
    )
    op.create_index("ix_eval_verdicts_content_hash", "eval_verdicts", ["content_hash", "at_ms"])


def _rollouts() -> None:
    op.create_table(
        "rollouts",
        sa.Column("rollout_id", sa.Text, primary_key=True),
        sa.Column("prompt", sa.Text, nullable=False),
        sa.Column("environment", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("stage", sa.Integer, nullable=False),
        sa.Column("weight_bp", sa.Integer, nullable=False),
        sa.Column("shadow_bp", sa.Integer, nullable=False),
        sa.Column("started_at_ms", sa.BigInteger, nullable=False),
        sa.Column("ended_at_ms", sa.BigInteger),
        sa.Column("rollout", sa.Text, nullable=False),
    )
    op.create_index("ix_rollouts_prompt", "rollouts", ["prompt", "environment", "started_at_ms"])
    op.create_index(
        "uq_rollouts_live",
        "rollouts",
        ["environment", "prompt"],
        unique=True,
        sqlite_where=sa.text("ended_at_ms IS NULL"),
        postgresql_where=sa.text("ended_at_ms IS NULL"),
    )


def downgrade() -> None:
    """Drop them."""
    for table in (
        "eval_verdicts",
        "rollout_drills",
        "rollout_looks",
        "rollout_approvals",
        "rollout_events",
        "rollouts",
    ):
        op.drop_table(table)
    op.drop_column("releases", "rollout")
