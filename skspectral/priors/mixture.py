"""The mixture prior."""
# SPDX-License-Identifier: BSD-3-Clause

import warnings
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.callback import CallbackSupportMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from skspectral._progress import CallbackMonitor
from skspectral._random import draw_seed, random_stream
from skspectral._sklearn_compat import Interval, StrOptions, fit_context
from skspectral.gaussian.gaussian import n_parameters
from skspectral.gaussian.mixture import Mixture, WhitenedMixture
from skspectral.priors.components import CovarianceModel
from skspectral.priors.em import Ascent, maximise_likelihood, partition
from skspectral.priors.gaussian import GaussianPrior
from skspectral.priors.prediction import ComponentPrior
from skspectral.priors.prior import Capabilities

# Whitening makes ties between directions where rows are few. Which of them a component
# of low rank keeps is decided by this much in favour of the loud, not by rounding.
_PREFERENCE = 1e-6


class GaussianMixture(CallbackSupportMixin, ComponentPrior):
    """Mixture of Gaussians whose covariances are drawn towards that of all samples.

    Differs from `sklearn.mixture.GaussianMixture` in that few samples for a component
    do no harm, in weights, in covariances of low rank, in always being float64, and in
    that ``sample`` takes a seed and returns an array alone, in random order.

    Parameters
    ----------
    n_components : int, default=1
        Number of Gaussians.
    covariance : {"full", "diag", "low_rank"}, default="full"
        What a covariance may be, where the codes are whitened by that of all samples:
        anything; diagonal; or the same variance in all but ``rank`` directions, as in
        mixtures of probabilistic principal component analysers, which is the way for
        many components and many codes.
    rank : int, default=20
        Of "low_rank".
    shrinkage : float, default=2.0
        How many samples that vary as all samples do, for each of the K codes, each
        component is given beside its own: they count where a component has few. 0 is
        maximum likelihood.
    max_iter : int, default=200
        Largest number of iterations of expectation maximisation.
    tol : float, default=1e-3
        Stop when an iteration gains less, in nats a sample.
    n_init : int, default=1
        Number of starts, the best of which is kept: first from k-means on clusters
        split along principal components, which needs no seed, then on random ones.
    random_state : int, RandomState instance or None, default=None
        Seed of the random starts.

    Attributes
    ----------
    weights_ : ndarray of shape (n_components,)
    means_ : ndarray of shape (n_components, `n_features_in_`)
    covariances_ : ndarray of shape (n_components, `n_features_in_`, \
            `n_features_in_`)
    lower_bounds_ : ndarray of shape (`n_iter_` + 1,)
        Mean log-likelihood plus the log-density of the covariances under the inverse
        Wishart prior of ``shrinkage``, for each sample, before each iteration and after
        the last: what the iterations climb.
    n_iter_ : int
    converged_ : bool
    n_parameters_ : int
        Free parameters.
    n_features_in_ : int
        Number K of codes.

    Notes
    -----
    An iteration costs n K^2 for each component, and K^3 for its eigenvalues; K^2
    numbers are held for each. Of low rank, densities cost n K rank.

    A component of m < K / 2 samples, if not diagonal and with ``shrinkage`` > 0, is of
    rank m beside the shrinkage: it costs n K m and K m^2, and holds K m numbers. So
    hundreds of components of few samples each cost little to fit, to draw from and to
    score. What the estimator asks of a prior beside draws, and ``covariances_``, make
    K^2 numbers for each component, at K^3, when it is first asked.

    References
    ----------
    M. E. Tipping, C. M. Bishop (1999). Mixtures of probabilistic principal component
    analyzers. C. Fraley, A. E. Raftery (2007). Bayesian regularization for normal
    mixture estimation and model-based clustering.

    Examples
    --------
    The Bayesian information criterion chooses the number of components:

    >>> import numpy as np
    >>> from skspectral.priors import GaussianMixture
    >>> rng = np.random.default_rng(0)
    >>> codes = rng.normal(size=(600, 2)) + 8 * rng.integers(3, size=(600, 1))
    >>> fits = [GaussianMixture(n, random_state=0).fit(codes) for n in (1, 2, 3, 4)]
    >>> min(fits, key=lambda prior: prior.bic(codes)).n_components
    3
    """

    _parameter_constraints = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "covariance": [StrOptions({"full", "diag", "low_rank"})],
        "rank": [Interval(Integral, 0, None, closed="left")],
        "shrinkage": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
    }

    capabilities = Capabilities(gaussians=True, weights=True)

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance: str = "full",
        rank: int = 20,
        shrinkage: float = 2.0,
        max_iter: int = 200,
        tol: float = 1e-3,
        n_init: int = 1,
        random_state: int | np.random.RandomState | None = None,
    ):
        self.n_components = n_components
        self.covariance = covariance
        self.rank = rank
        self.shrinkage = shrinkage
        self.max_iter = max_iter
        self.tol = tol
        self.n_init = n_init
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None
    ) -> "GaussianMixture":
        """Estimate weights, means and covariances.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_codes)
            Codes.
        y : Ignored
        sample_weight : array-like of shape (n_samples,), default=None
            Weights; a weight of 2 counts a row twice.

        Returns
        -------
        self : GaussianMixture

        Raises
        ------
        ValueError
            If there are fewer distinct rows than components, all are equal, or a
            component without shrinkage has no variance left.
        """
        X, weight = self._checked(X, sample_weight)
        # Rows of weight 0 are none, also to the choice of where to start.
        X, weight = X[weight > 0], weight[weight > 0]
        (pooled,) = GaussianPrior().fit(X, sample_weight=weight).mixture().components
        varies = pooled.values > pooled.floor
        basis, spread = pooled.vectors[:, varies], np.sqrt(pooled.values[varies])
        if self.covariance == "low_rank":
            spread = spread * np.linspace(1 - _PREFERENCE, 1, len(spread))
        principal = (X - pooled.mean) @ basis
        best = self._best(principal, spread, weight)
        self._mixture = WhitenedMixture(best.mixture, pooled.mean, basis, spread)
        self.converged_ = best.converged
        self.lower_bounds_ = np.array(best.bounds) - np.log(spread).sum()
        self.n_iter_ = max(1, len(best.bounds) - 1)
        self.weights_, self.means_ = self._mixture.weights, self._mixture.means
        n_codes = X.shape[1]
        rank = self.rank if self.covariance == "low_rank" else n_codes
        diagonal = self.covariance == "diag"
        each = 2 * n_codes if diagonal else n_parameters(n_codes, rank)
        self.n_parameters_ = self.n_components * (each + 1) - 1
        if not (best.converged or best.stopped):
            warnings.warn(
                f"The mixture had not converged after {self.n_iter_} iterations. "
                "Increase max_iter, or tol, or shrinkage if it is less than 1.",
                ConvergenceWarning,
                stacklevel=3,
            )
        return self

    def _best(
        self, principal: np.ndarray, spread: np.ndarray, weight: np.ndarray
    ) -> Ascent:
        """Best of the runs, on whitened principal components."""
        model = CovarianceModel(
            self.covariance, self.rank, self.shrinkage * len(spread)
        )
        white = principal / spread
        monitor = CallbackMonitor(self)
        stream = random_stream(self.random_state)
        runs = []
        for run in range(self.n_init):
            seed = draw_seed(stream) if run else None
            labels = partition(principal, weight, self.n_components, seed)
            step = monitor.stage("expectation maximisation", self.max_iter + 1)
            runs.append(
                maximise_likelihood(
                    white, weight, labels, model, step, self.max_iter, self.tol
                )
            )
        monitor.close()
        return max(runs, key=lambda run: run.bounds[-1])

    @property
    def covariances_(self) -> np.ndarray:
        """Covariances of the components, of shape (n_components, K, K)."""
        check_is_fitted(self, "weights_")
        return self._mixture.covariances

    def mixture(self) -> Mixture:
        """The fitted mixture; its K x K covariances are computed when first used."""
        return self._mixture
