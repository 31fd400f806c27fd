"""How fast the stream is on this machine, beside the loops that people write by hand. Run: ``python -m bench --help``."""
