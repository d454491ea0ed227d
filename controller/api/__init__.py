"""What the controller offers over HTTP: front doors only, which store and answer; nothing is decided here."""
