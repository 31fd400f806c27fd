"""Batch scoring: every customer of the lake as of a day, into a Parquet file and a database.

``scores`` takes the tick rows of the stream's heart and the model's scores; ``score_file`` and ``score_table`` are
where they go; ``run`` is what the command does.
"""
