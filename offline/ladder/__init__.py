"""The ladder of models: from knowing nothing over a rule to boosted trees, and whether each step up is worth it.

One model family per file; `family` says what they share, `steps` lists them, `climb` fits them, `judge` compares them.
Nothing here is released: `offline.train` makes what is.
"""
