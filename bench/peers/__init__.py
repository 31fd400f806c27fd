"""The benchmark's job on other engines, each in an environment of its own."""
