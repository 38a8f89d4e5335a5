"""Regions on keys; which budgets' events were told."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column and the table."""
    op.add_column("api_keys", sa.Column("regions", sa.Text, nullable=False, server_default="[]"))
    op.create_table(
        "budget_marks",
        sa.Column("counter", sa.Text, primary_key=True),
        sa.Column("window", sa.Text, primary_key=True),
        sa.Column("event", sa.Text, primary_key=True),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("ends_at_ms", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    """Drop both."""
    op.drop_table("budget_marks")
    op.drop_column("api_keys", "regions")
