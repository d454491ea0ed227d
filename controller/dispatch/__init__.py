"""Who calls `advance` and does what it leaves to do: one process (`embedded`), later many over PostgreSQL."""
