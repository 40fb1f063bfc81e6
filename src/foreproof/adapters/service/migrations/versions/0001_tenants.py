"""Keys, usage, audit and kept answers."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_NUMBERS = ("calls", "cpu_ns", "bytes_scanned", "bytes_stored", "rows_predicted", "tokens_in", "tokens_out")


def upgrade() -> None:
    """Make the four tables."""
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Text, primary_key=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("tenant", "name", "role")),
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        *(sa.Column(name, sa.BigInteger) for name in ("expires", "revoked", "used")),
        sa.Column("replaced_by", sa.Text),
    )
    op.create_index("ix_api_keys_tenant", "api_keys", ["tenant"])
    op.create_table(
        "usage",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("at", sa.BigInteger, primary_key=True, autoincrement=False),
        *(sa.Column(name, sa.Text, primary_key=True) for name in ("kind", "name", "key")),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in _NUMBERS),
    )
    op.create_index("ix_usage_at", "usage", ["at"])
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("key", "role", "method", "route", "path")),
        sa.Column("status", sa.Integer, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("request", "body")),
    )
    op.create_index("ix_audit_tenant", "audit", ["tenant", "id"])
    op.create_table(
        "answers",
        *(sa.Column(name, sa.Text, primary_key=True) for name in ("tenant", "method", "path", "key")),
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("beat", sa.BigInteger, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("status", sa.Integer),
        sa.Column("head", sa.Text),
        sa.Column("body", sa.LargeBinary),
    )
    op.create_index("ix_answers_created", "answers", ["created"])


def downgrade() -> None:
    """Take the four tables back, with what they hold."""
    for name in ("answers", "audit", "usage", "api_keys"):
        op.drop_table(name)
