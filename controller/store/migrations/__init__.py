"""Alembic's folder: `env` runs the revisions in `versions` on a connection that is handed in."""
