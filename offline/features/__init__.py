"""Which feature entries a workload should have: candidates made of its kinds and fields, and what each one earns.

`candidates` lists entries, `rows` takes their values at cut-offs from the stream's own heart, `earning` measures on
folds in time, `suggest` adds what earns its place, `select` finds what earns nothing.
"""
