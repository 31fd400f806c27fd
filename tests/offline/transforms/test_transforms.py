"""Transforms give what scikit-learn gives, remember only the rows they were fitted on, and survive JSON."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, PolynomialFeatures, StandardScaler, TargetEncoder

from offline.errors import OfflineError
from offline.transforms import Transform, TransformOptions, fit_cleaning, fit_transform_spec
from offline.transforms.caps import Caps
from stream_app.plan import FeatureColumn

COLOURS = ("red", "green", "blue")
PLAIN = TransformOptions(cap_share=0.0, indicators=False, scale=False)


def number(name: str) -> FeatureColumn:
    return FeatureColumn(name, "count", "1", False, (), False, False)


COLUMNS = (number("a"), FeatureColumn("colour", "last", "1", True, COLOURS, False, False), number("b"), number("rare"))


def rows(n: int = 500, seed: int = 0) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    rng = np.random.default_rng(seed)
    X = np.column_stack(
        [rng.exponential(5.0, n), rng.integers(0, 4, n), rng.normal(3.0, 2.0, n), rng.random(n) < 0.004]
    ).astype(np.float32)
    X[rng.random(n) < 0.1, 0] = np.nan
    X[rng.random(n) < 0.1, 1] = np.nan
    y = (rng.random(n) < 0.2 + 0.2 * (X[:, 1] == 1)).astype(np.float64)
    return X, y


def test_missing_numbers_become_the_median_and_are_indicated() -> None:
    X, y = rows()
    made = fit_transform_spec(X, y, COLUMNS, TransformOptions(cap_share=0.0, scale=False))
    theirs = SimpleImputer(strategy="median", add_indicator=True).fit_transform(X[:, [0, 2]])
    names = list(made.columns())
    assert names[-1] == "a is missing"
    np.testing.assert_array_equal(made.matrix(X)[:, [names.index("a"), names.index("b"), -1]], theirs)


def test_missing_numbers_become_a_constant_when_told_so() -> None:
    X, y = rows()
    made = fit_transform_spec(X, y, COLUMNS, TransformOptions(0.0, "constant", -7.0, False, scale=False))
    np.testing.assert_array_equal(made.matrix(X)[:, 0] == -7.0, np.isnan(X[:, 0]))


def test_one_hot_is_scikit_learns_without_the_missing() -> None:
    X, y = rows()
    made = fit_transform_spec(X, y, COLUMNS, PLAIN)
    assert made.columns() == ("a", "colour = red", "colour = green", "colour = blue", "colour = other", "b", "rare")
    encoder = OneHotEncoder(categories=[[0, 1, 2, 3]], handle_unknown="ignore", sparse_output=False).fit([[0]])
    codes = np.where(np.isnan(X[:, 1:2]), -1, X[:, 1:2]).astype(int)
    np.testing.assert_array_equal(made.matrix(X)[:, 1:5], encoder.transform(codes))


def test_a_category_not_seen_in_training_gets_no_column_of_its_own() -> None:
    X, y = rows()
    seen = X[:, 1] != 2
    made = fit_transform_spec(X[seen], y[seen], COLUMNS, PLAIN)
    assert "colour = blue" not in made.columns()
    assert not made.matrix(X[~seen])[:, 1:4][X[~seen][:, 1] == 2].any()


@pytest.mark.parametrize("smoothing", [0.5, 20.0])
def test_target_means_are_scikit_learns(smoothing: float) -> None:
    X, y = rows()
    X[:, 1] = np.where(np.isnan(X[:, 1]), 0, X[:, 1])
    options = TransformOptions(0.0, indicators=False, encoder="target", smoothing=smoothing, scale=False)
    theirs = TargetEncoder(smooth=smoothing, target_type="binary").fit(X[:, 1:2].astype(int), y)
    made = fit_transform_spec(X, y, COLUMNS, options)
    np.testing.assert_allclose(made.matrix(X)[:, 1:2], theirs.transform(X[:, 1:2].astype(int)), rtol=1e-12)


def test_an_unseen_or_missing_category_has_the_overall_mean() -> None:
    X, y = rows()
    seen = X[:, 1] < 2
    made = fit_transform_spec(X[seen], y[seen], COLUMNS, TransformOptions(encoder="target", scale=False))
    assert set(made.matrix(X[~seen])[:, 1]) == {y[seen].mean()}


def test_ordinal_codes_are_scikit_learns() -> None:
    X, y = rows()
    made = fit_transform_spec(X, y, COLUMNS, TransformOptions(0.0, encoder="ordinal", scale=False))
    theirs = OrdinalEncoder(encoded_missing_value=-1).fit_transform(X[:, 1:2].astype(float))
    np.testing.assert_array_equal(made.matrix(X)[:, 1:2], theirs)


def test_scaled_columns_are_scikit_learns() -> None:
    X, y = rows()
    plain = fit_transform_spec(X, y, COLUMNS, PLAIN).matrix(X)
    made = fit_transform_spec(X, y, COLUMNS, TransformOptions(cap_share=0.0, indicators=False))
    np.testing.assert_allclose(made.matrix(X), StandardScaler().fit_transform(plain), atol=1e-9)


def test_interactions_are_the_products_of_pairs() -> None:
    X, y = rows()
    options = TransformOptions(
        0.0, indicators=False, encoder="ordinal", scale=False, n_interacting=3, important=("a", "colour", "b", "rare")
    )
    made = fit_transform_spec(X, y, COLUMNS, options)
    theirs = PolynomialFeatures(2, interaction_only=True, include_bias=False).fit_transform(made.matrix(X)[:, :3])
    assert made.columns()[4:] == ("a x colour", "a x b", "colour x b")
    np.testing.assert_allclose(made.matrix(X)[:, 4:], theirs[:, 3:])


def test_the_column_that_goes_with_the_outcome_interacts_first() -> None:
    X, y = rows()
    X[:, 2] = y + 0.1 * X[:, 2]
    made = fit_transform_spec(X, y, COLUMNS, TransformOptions(n_interacting=2))
    assert "b" in made.columns()[-1].split(" x ")


@pytest.mark.parametrize("wanted", [3, 0.8])
def test_components_are_scikit_learns_up_to_their_sign(wanted: float) -> None:
    X, y = rows()
    scaled = fit_transform_spec(X, y, COLUMNS).matrix(X)
    made = fit_transform_spec(X, y, COLUMNS, TransformOptions(components=wanted))
    theirs = PCA(wanted, svd_solver="full").fit_transform(scaled)
    assert len(made.columns()) == theirs.shape[1]
    np.testing.assert_allclose(np.abs(made.matrix(X)), np.abs(theirs), atol=1e-8)


def test_caps_are_the_quantiles_and_hits_are_counted() -> None:
    X, y = rows()
    made = fit_transform_spec(X, y, COLUMNS, TransformOptions(cap_share=0.05))
    low, high = np.nanquantile(X[:, 0].astype(np.float64), [0.05, 0.95])
    caps = made.steps[0]
    assert isinstance(caps, Caps)
    np.testing.assert_array_equal(
        caps.matrix(X.astype(np.float64))[:, 0], np.clip(X[:, 0].astype(np.float64), low, high)
    )
    assert made.n_capped(X)["a"] == int(((X[:, 0] < low) | (X[:, 0] > high)).sum())


def test_rare_counts_and_categories_are_not_capped_away() -> None:
    X, y = rows()
    made = fit_transform_spec(X, y, COLUMNS, TransformOptions(cap_share=0.05))
    assert set(made.n_capped(X)) == {"a", "b"}


@pytest.mark.parametrize(
    "options",
    [
        TransformOptions(),
        TransformOptions(encoder="target", n_interacting=3, components=2),
        TransformOptions(0.0, "constant", -1.0, encoder="ordinal", components=0.9),
    ],
)
def test_json_brings_back_the_same_transform(options: TransformOptions) -> None:
    X, y = rows()
    made = fit_transform_spec(X, y, COLUMNS, options)
    again = Transform.from_json(json.loads(json.dumps(made.as_json(), allow_nan=False)))
    assert again == made
    np.testing.assert_array_equal(again.matrix(X), made.matrix(X))
    assert np.isfinite(made.matrix(X)).all()
    assert made.matrix(X).shape == (len(X), len(made.columns()))


def test_other_rows_change_nothing_that_was_fitted() -> None:
    X, y = rows()
    made = fit_transform_spec(X, y, COLUMNS)
    alone = made.matrix(X[:1])
    np.testing.assert_array_equal(made.matrix(np.vstack([X[:1], 1e6 * X[1:]]))[:1], alone)


def test_columns_that_say_nothing_stay_finite() -> None:
    X, y = rows(20)
    X[:, 0], X[:, 2], X[:, 3] = np.nan, 4.0, np.inf
    made = fit_transform_spec(X, y, COLUMNS, TransformOptions(n_interacting=3))
    assert np.isfinite(made.matrix(X)).all()


def test_what_cannot_be_done_gets_one_line() -> None:
    X, y = rows(20)
    with pytest.raises(OfflineError, match="at least one row"):
        fit_transform_spec(X[:0], y[:0], COLUMNS)
    with pytest.raises(OfflineError, match="important column 'c' is not there"):
        fit_transform_spec(X, y, COLUMNS, TransformOptions(n_interacting=2, important=("c",)))
    with pytest.raises(OfflineError, match="rows have 2 columns; the transform takes 4"):
        fit_transform_spec(X, y, COLUMNS).matrix(X[:, :2])
    with pytest.raises(OfflineError, match="cannot be read"):
        Transform.from_json({"inputs": ["a"], "steps": [{"step": "pickle"}]})
    with pytest.raises(OfflineError, match="cap_share"):
        TransformOptions(cap_share=0.5)


def test_cleaning_is_the_first_half_of_a_transform_and_keeps_every_column() -> None:
    X, y = rows()
    cleaning = Transform.from_json(json.loads(json.dumps(fit_cleaning(X, COLUMNS).as_json())))
    whole = fit_transform_spec(X, y, COLUMNS, TransformOptions(indicators=False))
    assert cleaning.columns() == tuple(column.name for column in COLUMNS)
    later = rows(300, seed=1)[0]
    later[:7, 0] = 1e6
    assert cleaning.n_capped(later) == whole.n_capped(later)
    assert cleaning.n_capped(later)["a"] >= 7
    made = cleaning.matrix(later)
    assert np.isnan(made[:, 1]).sum() == np.isnan(later[:, 1]).sum(), "a category may be missing"
    assert not np.isnan(made[:, [0, 2, 3]]).any()
    with pytest.raises(OfflineError, match="at least one row"):
        fit_cleaning(X[:0], COLUMNS)
