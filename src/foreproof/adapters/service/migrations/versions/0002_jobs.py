"""Jobs and their events."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the two tables."""
    op.create_table(
        "jobs",
        sa.Column("id", sa.Text, primary_key=True),
        *(
            sa.Column(name, sa.Text, nullable=False)
            for name in ("tenant", "project", "kind", "request", "status", "by")
        ),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("due", "created")),
        *(sa.Column(name, sa.Text) for name in ("started", "finished", "result", "error")),
        sa.Column("stop", sa.Boolean, nullable=False),
        sa.Column("turn", sa.Integer, nullable=False),
        sa.Column("handed", sa.Boolean, nullable=False),
    )
    op.create_index("jobs_tenant_created", "jobs", ["tenant", "created"])
    op.create_index("jobs_handed", "jobs", ["handed", "created"])
    op.create_table(
        "job_events",
        sa.Column("job", sa.Text, sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("n", sa.Integer, primary_key=True, autoincrement=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("tenant", "at", "event", "said")),
    )


def downgrade() -> None:
    """Take the two tables back, with what they hold."""
    op.drop_table("job_events")
    op.drop_table("jobs")
