"""Reads the outside world's events and publishes them; the only folder that does so."""
