"""Cross-validation in one pass over the data.

Moments of training sets are sums of moments of folds. All parameters that a fit from
moments takes can therefore be compared after a single pass, which `GridSearchCV` would
repeat for each setting and each fold.
"""
# SPDX-License-Identifier: BSD-3-Clause

import time
from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import ArrayLike
from scipy.stats import rankdata
from sklearn.base import MetaEstimatorMixin, TransformerMixin, clone
from sklearn.callback import CallbackSupportMixin
from sklearn.model_selection import ParameterGrid, check_cv
from sklearn.utils.validation import check_is_fitted

from skspectral._device import as_array, resolve_device
from skspectral._progress import CallbackMonitor
from skspectral._sklearn_compat import (
    Estimator,
    HasMethods,
    StrOptions,
    fit_context,
    from_namespace,
    in_native_form,
    input_dtypes,
    validate_data,
)
from skspectral._validation import check_weights, refuse_unusable_tensors
from skspectral.blocks.moments_pass import MomentsPass
from skspectral.blocks.recognition import refuse_gaps, row_blocks
from skspectral.blocks.row_blocks import RowBlocks
from skspectral.folds import MomentsFolds, gather_folds
from skspectral.grid import Grid
from skspectral.moments.choice import choose_kind
from skspectral.spectral_dictionary import SpectralDictionaryLearning

__all__ = ["MomentsFolds", "SpectralDictionaryLearningCV", "moments_cv"]

# Parameters that determine how moments are gathered. They are those of the estimator,
# for all settings.
_OF_THE_PASS = ("second_moment", "sketch_size", "batch_size", "device")
# Without a grid, numbers of atoms from this one in powers of two, up to the other.
_FEWEST, _MOST = 4, 128
_SCORES: Mapping[str, str] = {
    "log_likelihood": "score_moments",
    "explained_variance": "explained_variance_moments",
}


def moments_cv(
    X: ArrayLike,
    cv: Any = None,
    *,
    y: Any = None,
    groups: Any = None,
    sample_weight: ArrayLike | None = None,
    estimator: SpectralDictionaryLearning | None = None,
) -> MomentsFolds:
    """Gather the moments of the splits of a cross-validation in one pass.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Signals or flattened images, one per row; also the kinds of rows in blocks that
        the fit of `SpectralDictionaryLearningCV` takes.
    cv : int, cross-validation generator, iterable or None, default=None
        Splits of the rows, as in `sklearn.model_selection.GridSearchCV`. An int is a
        number of folds of consecutive rows, and None means 5 folds.
    y : array-like of shape (n_samples,), default=None
        Labels, for splitters that use them.
    groups : array-like of shape (n_samples,), default=None
        Groups of the rows, for splitters that use them.
    sample_weight : array-like of shape (n_samples,), default=None
        Non-negative weights of the rows. None means weights of 1.
    estimator : SpectralDictionaryLearning or None, default=None
        Estimator whose parameters ``second_moment``, ``sketch_size``, ``batch_size``,
        ``device`` and ``signal_shape`` determine how the moments are gathered.

    Returns
    -------
    folds : MomentsFolds
        Iterable of pairs of `Moments`, those of the training rows and those of the test
        rows, one pair per split. ``len(folds)`` is the number of splits, and
        ``folds.total()`` the moments of all rows. The moments are not to be changed.

    Raises
    ------
    ValueError
        If X has NaN or infinite values, or a split has no rows.

    See Also
    --------
    SpectralDictionaryLearningCV : Estimator that chooses parameters by such splits.

    Notes
    -----
    Each row is used once. Sums of moments are formed when they are asked for, so that
    K + 3 scatter matrices are in memory with K folds.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skspectral import SpectralDictionaryLearning
    >>> from skspectral.model_selection import moments_cv
    >>> X, _ = load_digits(return_X_y=True)
    >>> est = SpectralDictionaryLearning(8, signal_shape=(8, 8))
    >>> for train, test in moments_cv(X, cv=3):
    ...     score = est.fit_moments(train).explained_variance_moments(test)
    ...     print(train.n_samples, test.n_samples, round(score, 2))
    1198 599 0.62
    1198 599 0.6
    1198 599 0.63
    """
    model = SpectralDictionaryLearning() if estimator is None else estimator
    rows, weights = _checked(X, sample_weight, SpectralDictionaryLearningCV(model))
    splits = _splits(cv, rows, y, groups)
    return gather_folds(rows, splits, _moments_pass(model, rows, tails=True), weights)


class SpectralDictionaryLearningCV(
    CallbackSupportMixin, MetaEstimatorMixin, TransformerMixin, Estimator
):
    """Choice of the parameters of a spectral dictionary by cross-validation.

    All settings of a grid are compared after one pass over the data, in which the
    moments of the folds are gathered. The settings are fitted to moments, and scored on
    the moments of the held-out rows. The scores are those of `GridSearchCV`, which
    would pass the data for each setting and fold.

    Parameters
    ----------
    estimator : SpectralDictionaryLearning, default=None
        The estimator, with the parameters that are not in the grid. Its prior must be
        fitted from moments, as `GaussianPrior` is. None means
        ``SpectralDictionaryLearning()``.
    param_grid : dict or list of dict, default=None
        Names of parameters with lists of values, as in
        `sklearn.model_selection.GridSearchCV`. None compares numbers of atoms:
        ``n_components`` of 4, 8, 16, and so on, up to 128 and the number of features.
    cv : int, cross-validation generator, iterable or None, default=None
        Splits of the rows, as in `sklearn.model_selection.GridSearchCV`. An int is a
        number of folds of consecutive rows, and None means 5 folds.
    scoring : {"log_likelihood", "explained_variance"}, default="log_likelihood"
        Score of held-out rows: their mean log-likelihood, as of `score`, or the
        fraction of their variance that reconstructions explain, as of
        `skspectral.metrics.explained_variance`. The latter usually chooses the largest
        number of atoms.
    refit : bool, default=True
        Whether to fit the best setting to all rows.
    n_jobs : int or None, default=None
        Number of folds that are processed at a time, by processes of joblib. None means
        1 unless in a ``joblib.parallel_config`` context.

    Attributes
    ----------
    best_estimator_ : SpectralDictionaryLearning
        Estimator with the best setting, fitted to all rows. Set only if ``refit`` is
        True.
    best_params_ : dict
        The best setting.
    best_score_ : float
        Mean score of the best setting over the splits.
    best_index_ : int
        Index of the best setting in ``cv_results_``.
    cv_results_ : dict of str to array
        Table of all settings, as of `sklearn.model_selection.GridSearchCV`: "params",
        one column per parameter, such as "param_n_components", "split0_test_score" and
        so on, "mean_test_score", "std_test_score", "rank_test_score", and seconds as
        "mean_fit_time" and "std_fit_time".
    n_splits_ : int
        Number of splits.
    n_features_in_ : int
        Number T of features.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features. Set only if X has feature names that are all strings.

    See Also
    --------
    moments_cv : Moments of the splits, for other scores or loops.
    sklearn.model_selection.GridSearchCV : Search for any estimator and score.

    Notes
    -----
    The cost is one pass over X, and one fit from moments per setting and split. The
    numbers of rows do not matter for these fits. K + 3 scatter matrices are in memory
    with K folds and one job.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skspectral import SpectralDictionaryLearning, SpectralDictionaryLearningCV
    >>> X, _ = load_digits(return_X_y=True)
    >>> est = SpectralDictionaryLearning(16, signal_shape=(8, 8), shrinkage=0.1)
    >>> grid = {"n_components": [8, 16, 32], "modulation": [None, "basis"]}
    >>> search = SpectralDictionaryLearningCV(est, grid).fit(X)
    >>> search.best_params_["n_components"]
    32
    >>> search.transform(X).shape
    (1797, 32)
    """

    _parameter_constraints = {
        "estimator": [HasMethods(["fit_moments", "score_moments"]), None],
        "param_grid": [dict, list, None],
        "cv": "no_validation",
        "scoring": [StrOptions(set(_SCORES))],
        "refit": ["boolean"],
        "n_jobs": [Integral, None],
    }

    best_estimator_: SpectralDictionaryLearning
    best_params_: dict[str, Any]
    cv_results_: dict[str, Any]

    def __init__(
        self,
        estimator: SpectralDictionaryLearning | None = None,
        param_grid: Any = None,
        *,
        cv: Any = None,
        scoring: str = "log_likelihood",
        refit: bool = True,
        n_jobs: int | None = None,
    ):
        self.estimator = estimator
        self.param_grid = param_grid
        self.cv = cv
        self.scoring = scoring
        self.refit = refit
        self.n_jobs = n_jobs

    @fit_context(prefer_skip_nested_validation=False)
    def fit(
        self,
        X: ArrayLike,
        y: Any = None,
        sample_weight: ArrayLike | None = None,
        groups: Any = None,
    ) -> "SpectralDictionaryLearningCV":
        """Choose the setting with the best score on held-out rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Signals or flattened images, one per row. Rows that do not fit into memory
            may be a dask array or data frame with known numbers of rows, or an array of
            zarr or h5py.
        y : array-like of shape (n_samples,), default=None
            Labels, for splitters that use them.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the rows, in the fits and in the scores. None means
            weights of 1.
        groups : array-like of shape (n_samples,), default=None
            Groups of the rows, for splitters that use them.

        Returns
        -------
        self : SpectralDictionaryLearningCV
            The fitted search.

        Raises
        ------
        ValueError
            If X has NaN or infinite values, or a split has too few rows.
        ValueError
            If a setting has an invalid value, or a parameter that needs the rows.
        """
        model = self.estimator
        if model is None:
            model = SpectralDictionaryLearning()
        rows, weights = _checked(X, sample_weight, self)
        settings = list(ParameterGrid(self._grid(self.n_features_in_)))
        candidates = [_candidate(model, setting) for setting in settings]
        tails = any(each.shrinkage == "auto" for each in candidates)
        splits = _splits(self.cv, rows, y, groups)
        monitor = CallbackMonitor(self)
        folds = gather_folds(
            rows,
            splits,
            _moments_pass(model, rows, tails=tails),
            weights,
            stage=lambda n_steps: monitor.stage("moments", n_steps),
        )
        step = monitor.stage("folds", len(folds))
        parallel = Parallel(n_jobs=self.n_jobs, return_as="generator")
        tasks = (
            delayed(_scores_of_fold)(candidates, train, test, _SCORES[self.scoring])
            for train, test in folds
        )
        found = []
        for result in parallel(tasks):
            found.append(result)
            step()
        scores, seconds = (np.array(each).T for each in zip(*found, strict=True))
        self.cv_results_ = _table(settings, scores, seconds)
        self.n_splits_ = len(folds)
        self.best_index_ = int(self.cv_results_["rank_test_score"].argmin())
        self.best_params_ = settings[self.best_index_]
        self.best_score_ = float(self.cv_results_["mean_test_score"][self.best_index_])
        self.__dict__.pop("best_estimator_", None)
        if self.refit:
            best = clone(model).set_params(**self.best_params_)
            with monitor.fitting("best setting", best):
                best.fit_moments(folds.total())
            if hasattr(self, "feature_names_in_"):
                best.feature_names_in_ = self.feature_names_in_
            self.best_estimator_ = best
        monitor.close()
        return self

    def _grid(self, n_features: int) -> Any:
        """Return the grid, or the one that None means."""
        if self.param_grid is not None:
            return self.param_grid
        numbers = [_FEWEST]
        while 2 * numbers[-1] <= min(_MOST, n_features):
            numbers.append(2 * numbers[-1])
        return {"n_components": [min(number, n_features) for number in numbers]}

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Compute the codes of the samples with the best setting.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Signals or flattened images, one per row.

        Returns
        -------
        codes : ndarray of shape (n_samples, n_components)
            Codes of the atoms.
        """
        refuse_gaps(X, self)
        return self._best().transform(X)

    def inverse_transform(self, X: ArrayLike) -> np.ndarray:
        """Compute the signals of codes with the best setting.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Codes, as `transform` returns them.

        Returns
        -------
        signals : ndarray of shape (n_samples, n_features)
            Signals or flattened images, one per row.
        """
        return self._best().inverse_transform(X)

    def score_samples(self, X: ArrayLike) -> np.ndarray:
        """Compute the log-likelihood of each sample with the best setting.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Signals or flattened images, one per row.

        Returns
        -------
        log_density : ndarray of shape (n_samples,)
            Log-density of each sample, in nats.
        """
        refuse_gaps(X, self)
        return self._best().score_samples(X)

    def score(self, X: ArrayLike, y: Any = None) -> float:
        """Compute the mean log-likelihood of samples with the best setting.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Signals or flattened images, one per row.
        y : object, default=None
            Not used, present for API consistency by convention.

        Returns
        -------
        score : float
            Mean of `score_samples`, in nats.
        """
        return self._best().score(X)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the codes.

        Parameters
        ----------
        input_features : object, default=None
            Not used, present for API consistency by convention.

        Returns
        -------
        names : ndarray of str
            Names such as "spectraldictionarylearning0".
        """
        return self._best().get_feature_names_out(input_features)

    def _best(self) -> SpectralDictionaryLearning:
        check_is_fitted(self, "best_params_")
        if not hasattr(self, "best_estimator_"):
            raise AttributeError(
                "There is no best_estimator_, because refit=False. Pass refit=True, and"
                " call fit again."
            )
        return self.best_estimator_


def _checked(
    X: Any, sample_weight: Any, estimator: Estimator
) -> tuple[np.ndarray | RowBlocks, Any]:
    """Return checked rows and weights, and set the names of features."""
    blocks = row_blocks(X)
    if blocks is not None:
        if blocks.n_rows is None:
            raise ValueError(
                "The number of rows of X is not known, so that they cannot be divided "
                "into folds. Call X.compute_chunk_sizes() of a dask array, or pass an "
                "array in a file."
            )
        X = blocks.stand_in()
    refuse_unusable_tensors(X)
    X = in_native_form(X)
    rows = validate_data(estimator, X, dtype=input_dtypes(X), ensure_min_samples=2)
    if blocks is not None:
        return blocks, sample_weight
    return as_array(from_namespace(rows)), check_weights(sample_weight, rows, estimator)


def _splits(
    cv: Any, rows: np.ndarray | RowBlocks, y: Any, groups: Any
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the indices of training and test rows of all splits."""
    if isinstance(rows, RowBlocks):
        # Splitters of scikit-learn use the number of rows only.
        rows = np.broadcast_to(0.0, _shape(rows))
    return list(check_cv(cv, y).split(rows, y, groups))


def _shape(rows: np.ndarray | RowBlocks) -> tuple[int, int]:
    """Return the numbers of rows and columns."""
    if isinstance(rows, RowBlocks):
        assert rows.n_rows is not None
        return rows.n_rows, rows.n_features
    return rows.shape[0], rows.shape[1]


def _moments_pass(
    model: SpectralDictionaryLearning, rows: np.ndarray | RowBlocks, *, tails: bool
) -> MomentsPass:
    """Return how the moments of rows are gathered for an estimator."""
    n_rows, n_features = _shape(rows)
    kind = model.second_moment
    if kind == "auto":
        kind = choose_kind(n_rows, n_features, rows.dtype.itemsize)
    return MomentsPass(
        grid=Grid.of(
            model.signal_shape, n_features, model.sampling_rate, model.channel_axis
        ),
        kind=kind,
        sketch_size=model.sketch_size,
        tails=tails,
        batch_size=model.batch_size,
        device=resolve_device(model.device),
    )


def _candidate(
    model: SpectralDictionaryLearning, setting: Mapping[str, Any]
) -> SpectralDictionaryLearning:
    """Return an estimator with a setting of the grid."""
    for name in _OF_THE_PASS:
        if name in setting:
            raise ValueError(
                f"param_grid has the parameter {name}, which determines how moments are"
                " gathered, and all settings share the moments. Set it in estimator."
            )
    candidate: SpectralDictionaryLearning = clone(model).set_params(**setting)
    return candidate.set_params(keep_moments=False)


def _scores_of_fold(
    candidates: Sequence[SpectralDictionaryLearning],
    train: Any,
    test: Any,
    score: str,
) -> tuple[list[float], list[float]]:
    """Return the scores of all settings in one split, and the seconds of their fits."""
    scores, seconds = [], []
    for candidate in candidates:
        start = time.perf_counter()
        fitted = clone(candidate).fit_moments(train)
        seconds.append(time.perf_counter() - start)
        scores.append(getattr(fitted, score)(test))
    return scores, seconds


def _table(
    settings: Sequence[Mapping[str, Any]], scores: np.ndarray, seconds: np.ndarray
) -> dict[str, Any]:
    """Return the table of results, from arrays of shape (n_settings, n_splits)."""
    table: dict[str, Any] = {
        "mean_fit_time": seconds.mean(1),
        "std_fit_time": seconds.std(1),
    }
    for name in sorted({name for setting in settings for name in setting}):
        values = np.empty(len(settings), dtype=object)
        values[:] = [setting.get(name) for setting in settings]
        missing = [name not in setting for setting in settings]
        table[f"param_{name}"] = np.ma.MaskedArray(values, missing)
    table["params"] = list(settings)
    for split, column in enumerate(scores.T):
        table[f"split{split}_test_score"] = column
    table["mean_test_score"] = scores.mean(1)
    table["std_test_score"] = scores.std(1)
    # Rounding errors do not decide between equal settings.
    rounded = np.round(scores.mean(1), 12)
    table["rank_test_score"] = rankdata(-rounded, method="min").astype(np.int32)
    return table
