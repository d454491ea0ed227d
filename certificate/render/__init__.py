"""What was verified, for people. Rendering decides nothing: it is given a verdict and shows it."""
