"""Renders one drift page with Evidently; run as ``python -m offline.report_page``, never imported by the product.

Methods are named, because Evidently's defaults change with the number of rows. Empty columns are left out, because it
cannot take them.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

THRESHOLD = 0.1


def render(reference_file: str, current_file: str, target: str, categorical: str, left_out: str) -> list[str]:
    """Write the page to `target` and return the columns compared.

    Parameters
    ----------
    categorical, left_out
        Column names separated by commas.
    """
    import pandas as pd
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    frames = [
        pd.read_parquet(file).drop(columns=[n for n in left_out.split(",") if n])
        for file in (reference_file, current_file)
    ]
    columns = [str(name) for name in frames[0] if all(frame[name].notna().any() for frame in frames)]
    categories = [name for name in categorical.split(",") if name in columns]
    definition = DataDefinition(
        numerical_columns=[name for name in columns if name not in categories], categorical_columns=categories
    )
    datasets: list[Any] = [Dataset.from_pandas(frame[columns], data_definition=definition) for frame in frames]
    preset = DataDriftPreset(
        num_method="jensenshannon", num_threshold=THRESHOLD, cat_method="psi", cat_threshold=THRESHOLD
    )
    snapshot = Report([preset]).run(current_data=datasets[1], reference_data=datasets[0])
    draft = Path(target).with_name(f".{Path(target).name}.tmp")
    snapshot.save_html(str(draft))
    draft.replace(target)
    return columns


if __name__ == "__main__":
    render(*sys.argv[1:])
