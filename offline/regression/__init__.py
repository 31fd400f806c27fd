"""How much will a customer be worth? A sum over the label's horizon, predicted, and judged beside simple guesses.

A batch side table: nothing here is released to the stream, which scores the label alone. Rows, split, maturity and
censoring are those of the label, so that a value and a risk speak of the same customers.
"""
