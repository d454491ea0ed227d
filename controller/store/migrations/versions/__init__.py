"""One module a revision, named by its number and what is true after it."""
