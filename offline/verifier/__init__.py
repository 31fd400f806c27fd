"""What a partition's worker must have done, recomputed from the logs by plain Python, and compared with what it did.

Nothing of the stream's arithmetic is used here: `events` reads bytes, `customer` remembers, `features` and `liveness`
answer questions, `decisions` decides, `replay` tells the story in the order of the `journal`.
"""
