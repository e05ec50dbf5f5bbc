"""The mixture prior."""
# SPDX-License-Identifier: BSD-3-Clause

import warnings
from functools import partial
from numbers import Integral, Real
from typing import Any

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from numpy.typing import ArrayLike
from sklearn.callback import CallbackSupportMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from skspectral._progress import CallbackMonitor, Step
from skspectral._random import draw_seed, random_stream
from skspectral._sklearn_compat import Interval, StrOptions, fit_context
from skspectral.gaussian.gaussian import n_parameters
from skspectral.gaussian.mixture import Mixture, WhitenedMixture
from skspectral.priors.components import CovarianceModel
from skspectral.priors.em import Ascent
from skspectral.priors.gaussian import GaussianPrior
from skspectral.priors.prediction import ComponentPrior
from skspectral.priors.prior import Capabilities
from skspectral.priors.warm_up import Settings, ascend

# If a component has few rows, many directions have tied variances after whitening. This
# small relative preference for directions of large variance decides which of them a
# component of low rank keeps. Without it, rounding errors would decide.
_PREFERENCE = 1e-6


class GaussianMixture(CallbackSupportMixin, ComponentPrior):
    """Mixture of Gaussians whose covariances are shrunk to that of all samples.

    The shrinkage makes components with few samples safe. The main differences from
    `sklearn.mixture.GaussianMixture` are:

    - ``fit`` takes ``sample_weight``;
    - covariances may be of low rank plus white noise;
    - all results are float64;
    - ``sample`` takes a seed, and returns only the draws, in random order.

    Parameters
    ----------
    n_components : int, default=1
        Number of Gaussians.
    covariance : {"full", "diag", "low_rank"}, default="full"
        Structure of the covariances, after the codes have been whitened with the
        covariance of all samples. "full" allows any covariance. "diag" makes the
        whitened codes independent within a component. "low_rank" has one common
        variance in all but ``rank`` directions, as in a mixture of probabilistic
        principal component analysers [1]_; it suits many components and many codes.
    rank : int, default=20
        Number of directions with variances of their own. Used only by
        ``covariance="low_rank"``.
    shrinkage : float, default=2.0
        Strength of the shrinkage, in pseudo-samples per code. In addition to its own
        samples, each component receives ``shrinkage * K`` pseudo-samples that have the
        covariance of all samples, up to a factor per component [2]_. Components with
        many more samples than this change little. 0 is maximum likelihood.
    common_mean : bool, default=False
        Whether all components have the mean of all samples, so that they differ in
        their covariances alone. It suits data in which x and -x are equally likely,
        such as patches of images without their mean: a component then describes both.
    max_iter : int, default=200
        Largest number of iterations of expectation maximisation, per start. The
        iterations on subsets of many samples, see Notes, are not counted.
    tol : float, default=1e-3
        Stop when an iteration raises the objective (see ``lower_bounds_``) by less than
        ``tol`` nats per sample.
    n_init : int, default=1
        Number of starts. The mixture with the highest objective is kept. The first
        start is k-means on clusters that are split along principal components [3]_; it
        does not depend on the seed. The other starts are k-means on random clusters.
    n_jobs : int or None, default=None
        Number of starts that are computed at a time, by processes of joblib. None means
        1 unless in a ``joblib.parallel_config`` context. Used only if ``n_init`` is
        greater than 1.
    random_state : int, RandomState instance or None, default=None
        Seed of the random starts. Used only if ``n_init`` is greater than 1.

    Attributes
    ----------
    weights_ : ndarray of shape (n_components,)
        Weights of the components; their sum is 1.
    means_ : ndarray of shape (n_components, `n_features_in_`)
        Means of the components.
    covariances_ : ndarray of shape (n_components, `n_features_in_`, \
            `n_features_in_`)
        Covariances of the components. They are computed at each access.
    lower_bounds_ : ndarray of shape (`n_iter_` + 1,)
        Objective before each iteration and after the last one, in nats per sample. It
        is the log-likelihood, plus the log-density of the covariances under the inverse
        Wishart prior of ``shrinkage``, divided by the sum of the sample weights.
    n_iter_ : int
        Number of iterations on all samples, of the start that was kept.
    converged_ : bool
        Whether the last iteration raised the objective by less than ``tol``.
    n_parameters_ : int
        Number of free parameters.
    n_features_in_ : int
        Number K of codes.

    See Also
    --------
    GaussianPrior : One Gaussian.
    ClassConditionalPrior : One prior per label.

    Notes
    -----
    With n samples, an iteration costs n K^2 + K^3 operations and K^2 numbers of memory
    per component. With ``covariance="low_rank"`` densities cost n K rank.

    A component of m < K / 2 samples is cheaper, unless its covariance is diagonal or
    ``shrinkage`` is 0: it costs n K m + K m^2 operations and K m numbers. Hundreds of
    components with few samples each are therefore quick to fit, to draw from and to
    score. The first access to ``mixture().components``, which the estimator needs for
    denoising and imputation, costs K^3 operations and K^2 numbers of memory per
    component. Each access to ``covariances_`` costs the same.

    With ``covariance="full"``, at least 10,000 samples, at least twice as many samples
    as numbers in all means, and at most 256 codes, the densities and the moments of all
    components are matrix products of the products x_i x_j of codes. They cost the same
    number of operations, but take a small fraction of the time. The products are
    float32 if the rounding errors of log-densities are estimated to be less than
    ``tol`` and less than 0.001 nats, and float64 otherwise. If float64 is not precise
    enough either, because a variance nearly vanishes, the components are computed one
    by one.

    With at least 40,000 samples, and at least ten times as many samples as numbers in
    all means, the clusters and the first iterations use a subset of the samples, and
    the next iterations use larger subsets. The subsets do not depend on
    ``random_state``. The last iterations, which ``lower_bounds_`` describes, use all
    samples. Callbacks are told the progress on each subset as a stage of its own.

    References
    ----------
    .. [1] M. E. Tipping, C. M. Bishop (1999). Mixtures of probabilistic principal
       component analyzers. Neural Computation 11, 443-482.
    .. [2] C. Fraley, A. E. Raftery (2007). Bayesian regularization for normal mixture
       estimation and model-based clustering. Journal of Classification 24, 155-181.
    .. [3] T. Su, J. G. Dy (2007). In search of deterministic methods for initializing
       K-means and Gaussian mixture clustering. Intelligent Data Analysis 11, 319-338.

    Examples
    --------
    The number of components with the lowest Bayesian information criterion is the
    number of groups in the codes:

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
        "common_mean": ["boolean"],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "n_jobs": [Integral, None],
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
        common_mean: bool = False,
        max_iter: int = 200,
        tol: float = 1e-3,
        n_init: int = 1,
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
    ):
        self.n_components = n_components
        self.covariance = covariance
        self.rank = rank
        self.shrinkage = shrinkage
        self.common_mean = common_mean
        self.max_iter = max_iter
        self.tol = tol
        self.n_init = n_init
        self.n_jobs = n_jobs
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None
    ) -> "GaussianMixture":
        """Estimate the weights, means and covariances of the components.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_codes)
            Codes.
        y : Ignored
            Not used, present for API consistency by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the rows. A weight of 2 has the same effect as a row
            that occurs twice. None means weights of 1.

        Returns
        -------
        self : GaussianMixture
            The fitted prior.

        Raises
        ------
        ValueError
            If there are fewer different rows than components.
            If all rows are equal.
            If a component has no variance, which is possible only with ``shrinkage=0``.
        ArithmeticError
            If the likelihood is not finite.

        Warns
        -----
        ConvergenceWarning
            If the start that was kept had not converged after ``max_iter`` iterations.
        """
        X, weight = self._checked(X, sample_weight)
        # Rows of weight 0 must not influence the clusters from which EM starts.
        X, weight = X[weight > 0], weight[weight > 0]
        (pooled,) = GaussianPrior().fit(X, sample_weight=weight).mixture().components
        varies = pooled.values > pooled.floor
        basis, spread = pooled.vectors[:, varies], np.sqrt(pooled.values[varies])
        if self.covariance == "low_rank":
            spread = spread * np.linspace(1 - _PREFERENCE, 1, len(spread))
        principal = (X - pooled.mean) @ basis
        best = self._best_ascent(principal, spread, weight)
        self._mixture = WhitenedMixture(best.mixture, pooled.mean, basis, spread)
        self.converged_ = best.converged
        self.lower_bounds_ = np.array(best.bounds) - np.log(spread).sum()
        self.n_iter_ = max(1, len(best.bounds) - 1)
        self.weights_, self.means_ = self._mixture.weights, self._mixture.means
        n_codes = X.shape[1]
        rank = self.rank if self.covariance == "low_rank" else n_codes
        diagonal = self.covariance == "diag"
        per_component = 2 * n_codes if diagonal else n_parameters(n_codes, rank)
        self.n_parameters_ = self.n_components * (per_component + 1) - 1
        if self.common_mean:
            self.n_parameters_ -= (self.n_components - 1) * n_codes
        if not (best.converged or best.stopped):
            warnings.warn(
                f"The mixture had not converged after {self.n_iter_} iterations. "
                f"Increase max_iter={self.max_iter} or tol={self.tol:g}, or use "
                "shrinkage >= 1.",
                ConvergenceWarning,
                stacklevel=3,
            )
        return self

    def _best_ascent(
        self, principal: np.ndarray, spread: np.ndarray, weight: np.ndarray
    ) -> Ascent:
        """Run EM from ``n_init`` starts, and return the best result.

        ``principal`` (n, r) holds the principal components of the codes, ``spread``
        (r,) their standard deviations, and ``weight`` (n,) the sample weights. EM runs
        on ``principal / spread``.
        """
        model = CovarianceModel(
            self.covariance,
            self.rank,
            self.shrinkage * len(spread),
            self.common_mean,
        )
        stream = random_stream(self.random_state)
        seeds = [None, *(draw_seed(stream) for _ in range(self.n_init - 1))]
        settings = Settings(self.n_components, model, self.max_iter, self.tol)
        monitor = CallbackMonitor(self)
        start = partial(ascend, principal, spread, weight, settings)
        if self.n_init == 1 or effective_n_jobs(self.n_jobs) == 1:
            runs = [start(seed, monitor.stage) for seed in seeds]
        else:
            step, runs = monitor.stage("starts", self.n_init), []
            parallel = Parallel(n_jobs=self.n_jobs, return_as="generator")
            for run in parallel(delayed(start)(seed, _no_stage) for seed in seeds):
                runs.append(run)
                step()
        monitor.close()
        return max(runs, key=lambda run: run.bounds[-1])

    @property
    def covariances_(self) -> np.ndarray:
        """Covariances of the components, shape (n_components, K, K)."""
        check_is_fitted(self, "weights_")
        return self._mixture.covariances

    def mixture(self) -> Mixture:
        """Return the fitted mixture.

        Returns
        -------
        mixture : skspectral.gaussian.Mixture
            The mixture. Its ``components``, with K x K covariances, are computed at the
            first access.
        """
        return self._mixture


def _no_stage(name: str, n_steps: int | None) -> Step:
    """Begin a stage whose progress nobody sees."""
    return _go_on


def _go_on(**state: Any) -> bool:
    """Return that the iterations go on."""
    return False
