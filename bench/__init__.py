"""How fast the stream is on this machine, beside the loops that people write by hand: ``python -m bench --help``."""
