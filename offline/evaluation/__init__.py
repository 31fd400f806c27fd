"""How good a model is, told in full: figures with intervals, curves, profit, slices, fairness, errors, and the page.

`offline.evaluate` is the short evaluation that every bundle carries; this one is made when somebody asks for it.
"""
