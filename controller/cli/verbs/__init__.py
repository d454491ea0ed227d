"""One module a verb of `expunge`, named by it; each holds a Typer application `app`."""
