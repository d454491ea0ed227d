"""One module a kind of decision: what people are shown, how many must sign, and what then happens."""
