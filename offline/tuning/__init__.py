"""Hyperparameter tuning: one search space, three ways to search it, folds in time, and what the choice is worth.

No row of the test block is ever looked at here, and nothing is released: the result is a file of parameters that
`driftline train --params` takes.
"""
