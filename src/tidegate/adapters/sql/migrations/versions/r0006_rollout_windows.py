"""What was judged of rollouts, window by window; and what the scoring worker has scored."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "rollout_windows",
        sa.Column("rollout_id", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("share_bp", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("arm", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("judged", sa.Integer, nullable=False),
        sa.Column("arrived", sa.Integer, nullable=False),
        sa.Column("newest_ms", sa.BigInteger, nullable=False),
        sa.Column("figures", sa.Text, nullable=False),
    )
    op.create_table(
        "rollout_marks",
        sa.Column("rollout_id", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("windows", sa.Integer, nullable=False),
    )
    op.create_table(
        "online_scores",
        sa.Column("call_id", sa.Text, primary_key=True),
        sa.Column("scorer", sa.Text, primary_key=True),
        sa.Column("environment", sa.Text, nullable=False),
        sa.Column("about", sa.Text, nullable=False),
        sa.Column("arm", sa.Text, nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("value", sa.Float),
        sa.Column("error", sa.Text),
        sa.Column("cost_nano_usd", sa.BigInteger),
    )
    op.create_index("ix_online_scores_about", "online_scores", ["about", "at_ms"])
    op.create_index("ix_online_scores_state", "online_scores", ["state", "at_ms"])


def downgrade() -> None:
    """Drop them."""
    op.drop_table("online_scores")
    op.drop_table("rollout_marks")
    op.drop_table("rollout_windows")
