"""The estimator `ConvolutionalSpectralDictionary`."""
# SPDX-License-Identifier: BSD-3-Clause

import warnings
from numbers import Integral, Real
from typing import Any

import numpy as np
import scipy.sparse
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.callback import CallbackSupportMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from skspectral._device import as_array, as_tensor, resolve_device, training_mode
from skspectral._progress import CallbackMonitor
from skspectral._sklearn_compat import (
    Estimator,
    Interval,
    StrOptions,
    check_array,
    fit_context,
    validated,
)
from skspectral.atoms import FAMILIES, MODULATIONS
from skspectral.atoms.family import AtomFamily, Modulation
from skspectral.convolutional.activations import Events, encode
from skspectral.convolutional.learning import (
    ConvolutionalPlan,
    ConvolutionalState,
    learn_convolutional,
)
from skspectral.convolutional.moments import ActivationMoments
from skspectral.convolutional.recordings import Recordings, recordings_of
from skspectral.fit_plan import atom_models
from skspectral.grid import Grid
from skspectral.learning.fixed_codes import unit_atoms
from skspectral.model import Dictionary

# Default length of an atom, as a fraction of the shortest recording, and its limit.
_SHARE, _LONGEST = 10, 128
# Largest number of times that missing samples are filled in `transform`.
_FILLING = 30


class ConvolutionalSpectralDictionary(
    CallbackSupportMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, Estimator
):
    """Dictionary of short atoms that may stand anywhere on long recordings.

    A recording x is written as the sum of K atoms d_k of L samples, each at several
    places, with sparse activations z_k::

        x(t) = mean + sum_k sum_s z_k(s) d_k(t - s) + noise

    Learning minimises ``|x - x^|^2 / 2 + alpha |z|_1``. The atoms are sinusoids whose
    amplitude and phase vary, Gabor atoms, or any other family of `skspectral.atoms`, so
    that each event has a frequency. With several channels, an atom has a pattern over
    the channels.

    Parameters
    ----------
    n_components : int, default=1
        Number K of atoms.
    n_times_atom : int or None, default=None
        Length L of an atom in samples, at least 2. None means a tenth of the shortest
        recording, and between 4 and 128 samples.
    atoms : {"auto", "sinusoid", "plane_wave", "gabor", "chirp"} or AtomFamily, \
            default="auto"
        Kind of the atoms, as for `SpectralDictionaryLearning`.
    modulation : {"auto", "basis"}, Modulation or None, default="auto"
        Modulation of the atoms, as for `SpectralDictionaryLearning`.
    reg : float, default=0.1
        Weight alpha of the absolute activations, as a fraction of the largest product
        of a recording and the first atom, between 0 and 1. A larger value leads to
        fewer activations.
    positive_code : bool, default=True
        Whether activations must not be negative.
    sampling_rate : float or None, default=None
        Samples per second. If given, frequencies are in Hz and times in seconds.
        Otherwise frequencies are in cycles per length of an atom, and times in samples.
    max_iter : int, default=50
        Largest number of passes over the recordings.
    tol : float, default=1e-3
        Relative tolerance of the objective. Learning stops when two passes in a row
        lower it by less.
    device : str, torch.device or None, default=None
        Device on which to compute. None means the CPU.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_times_atom) or (n_components, \
            n_channels, n_times_atom)
        Atoms of unit norm, in the order of the sums of their squared activations.
    frequencies_ : ndarray of shape (n_components,)
        Frequency of the plain wave nearest to each atom.
    phases_ : ndarray of shape (n_components,)
        Phase of this wave at the first sample of the atom, in radians in [0, 2 pi).
    amplitudes_ : ndarray of shape (n_components,)
        Root mean square of the amplitude over the atom, in units of ``components_``.
    patterns_ : ndarray of shape (n_components, n_channels)
        Relative strength of each atom in each channel, of unit norm. Set only for
        several channels.
    event_rates_ : ndarray of shape (n_components,)
        Number of activations that are not zero, per second or per sample.
    event_scales_ : ndarray of shape (n_components,)
        Typical activation of the strong events of each atom: the sum of the squared
        activations over that of their absolute values.
    alpha_ : float
        Weight of the absolute activations.
    mean_ : ndarray of shape (n_channels,)
        Mean of each channel.
    noise_variance_ : float
        Mean square of the residual.
    moments_ : ActivationMoments
        Correlations of the activations with each other and with the recordings seen so
        far. `partial_fit` adds to them.
    n_times_atom_ : int
        Length of an atom.
    n_channels_ : int
        Number of channels.
    losses_ : ndarray of shape (n_passes + 1,)
        Objective per sample, at the start and after each pass.
    n_iter_ : int
        Number of passes.
    converged_ : bool
        Whether the objective reached ``tol``.
    n_features_in_ : int
        Number of columns of X. Set only if X has two axes.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns. Set only if X has names that are all strings.

    See Also
    --------
    skspectral.SpectralDictionaryLearning : Atoms as long as the signals.
    skspectral.plotting.EventDisplay : A recording with its events.

    Notes
    -----
    Some kinds of atoms have further attributes: `Gabor` has ``centers_`` and
    ``widths_``, as fractions of the length of an atom.

    With T samples, a pass costs O(T K C log L) for the products of recordings and
    atoms, and O(K L) for each change of an activation. Memory is that of some copies of
    K numbers per sample.

    References
    ----------
    R. Grosse, R. Raina, H. Kwong, A. Y. Ng (2007). Shift-invariant sparse coding for
    audio classification. Uncertainty in Artificial Intelligence.

    T. Moreau, L. Oudre, N. Vayatis (2018). DICOD: distributed convolutional coordinate
    descent for convolutional sparse coding. International Conference on Machine
    Learning.

    Examples
    --------
    >>> import numpy as np
    >>> from skspectral.convolutional import ConvolutionalSpectralDictionary
    >>> rng = np.random.default_rng(0)
    >>> pulse = np.hanning(40) * np.sin(2 * np.pi * np.arange(40) / 8)
    >>> X = 0.1 * rng.normal(size=(1, 2000))
    >>> for start in (100, 450, 1300):
    ...     X[0, start : start + 40] += pulse
    >>> est = ConvolutionalSpectralDictionary(1, n_times_atom=40).fit(X)
    >>> events = est.find_events(X)
    >>> print(np.abs(events["time"] - np.array([119.5, 469.5, 1319.5])).max() < 2)
    True
    """

    _parameter_constraints = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "n_times_atom": [Interval(Integral, 2, None, closed="left"), None],
        "atoms": [StrOptions({"auto", *FAMILIES}), AtomFamily],
        "modulation": [StrOptions({"auto", *MODULATIONS}), Modulation, None],
        "reg": [Interval(Real, 0, 1, closed="neither")],
        "positive_code": ["boolean"],
        "sampling_rate": [Interval(Real, 0, None, closed="neither"), None],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "device": [str, torch.device, None],
    }

    def __init__(
        self,
        n_components: int = 1,
        *,
        n_times_atom: int | None = None,
        atoms: str | AtomFamily = "auto",
        modulation: str | Modulation | None = "auto",
        reg: float = 0.1,
        positive_code: bool = True,
        sampling_rate: float | None = None,
        max_iter: int = 50,
        tol: float = 1e-3,
        device: str | torch.device | None = None,
    ):
        self.n_components = n_components
        self.n_times_atom = n_times_atom
        self.atoms = atoms
        self.modulation = modulation
        self.reg = reg
        self.positive_code = positive_code
        self.sampling_rate = sampling_rate
        self.max_iter = max_iter
        self.tol = tol
        self.device = device

    # Learning

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any = None) -> "ConvolutionalSpectralDictionary":
        """Learn the atoms.

        Parameters
        ----------
        X : array-like of shape (n, n_times) or (n, n_channels, n_times), or list of \
                ndarray
            Recordings. Those of a list have the shape (n_times,) or (n_channels,
            n_times), and may have different lengths. NaN marks missing samples, in all
            methods.
        y : object, default=None
            Not used, present for API consistency by convention.

        Returns
        -------
        self : ConvolutionalSpectralDictionary
            The fitted estimator.

        Raises
        ------
        ValueError
            If a recording is shorter than an atom, or has infinite values.
        ValueError
            If the recordings are constant, or a parameter has an invalid value.

        Notes
        -----
        With missing samples, the error of the observed samples is minimised: each pass
        fills the gaps with the present sum of the events.
        """
        return self._learn(X, earlier=None)

    @fit_context(prefer_skip_nested_validation=False)
    def partial_fit(self, X: Any, y: Any = None) -> "ConvolutionalSpectralDictionary":
        """Add recordings to those seen before, and refine the atoms on all of them.

        The first call does the same as `fit`. Later calls compute activations of their
        own recordings, and add the correlations to ``moments_``; the activations of
        earlier recordings stay as they are. ``alpha_`` and ``mean_`` stay those of the
        first call.

        Parameters
        ----------
        X : array-like or list of ndarray
            Further recordings, as in `fit`.
        y : object, default=None
            Not used, present for API consistency by convention.

        Returns
        -------
        self : ConvolutionalSpectralDictionary
            The updated estimator.
        """
        return self._learn(X, earlier=getattr(self, "moments_", None))

    def _learn(
        self, X: Any, earlier: ActivationMoments | None
    ) -> "ConvolutionalSpectralDictionary":
        if earlier is None:
            recordings = recordings_of(
                X, self, reset=True, shortest=self.n_times_atom or 1
            )
            shortest = min(signal.shape[1] for signal in recordings.signals)
            length = self.n_times_atom
            if length is None:
                length = min(max(4, min(_LONGEST, shortest // _SHARE)), shortest)
            self.mean_ = _observed_mean(recordings.signals)
            self.n_channels_, self.n_times_atom_ = recordings.n_channels, length
        else:
            recordings = self._recordings(X)
            if len(earlier.lags) != self.n_components:
                raise ValueError(
                    f"n_components={self.n_components} differs from the "
                    f"{len(earlier.lags)} atoms of the earlier calls of partial_fit. "
                    "Call fit to start anew."
                )
        device = resolve_device(self.device)
        with training_mode():
            plan = self._plan()
            signal, usable = self._joined(recordings, device)
            if not bool((signal.nan_to_num() != 0).any()):
                raise ValueError(
                    "The recordings are constant, so that there is no event to learn "
                    "from. Pass recordings that vary."
                )
            monitor = CallbackMonitor(self)
            options: dict[str, Any] = {}
            if earlier is not None:
                options = {
                    "params": as_tensor(self._params, device),
                    "sign": as_tensor(self._sign, device),
                    "alpha": self.alpha_,
                    "earlier": earlier.converted(lambda part: as_tensor(part, device)),
                }
            state = learn_convolutional(signal, usable, plan, monitor, **options)
            monitor.close()
            self._publish(state, plan, signal.shape[1])
        if not state.converged:
            warnings.warn(
                f"The atoms had not converged after max_iter={self.max_iter} passes. "
                "Increase max_iter, or tol.",
                ConvergenceWarning,
                stacklevel=4,
            )
        return self

    def _plan(self) -> ConvolutionalPlan:
        """Return the plan of a fit to recordings like those that were seen."""
        several = self.n_channels_ > 1
        shape = (self.n_channels_, self.n_times_atom_)
        grid = Grid.of(
            shape if several else shape[1:],
            self.n_channels_ * self.n_times_atom_,
            self.sampling_rate,
            0 if several else None,
        )
        carrier, model = atom_models(
            self.atoms, self.modulation, grid, np.random.default_rng(0)
        )
        if not model.separable:
            raise ValueError(
                f"modulation={self.modulation!r} makes atoms with common parameters, "
                "which cannot be learned here. Pass modulation='basis' or None."
            )
        return ConvolutionalPlan(
            self.n_components,
            carrier,
            model,
            self.reg,
            bool(self.positive_code),
            self.max_iter,
            self.tol,
        )

    def _publish(
        self, state: ConvolutionalState, plan: ConvolutionalPlan, n_times: int
    ) -> None:
        """Set the fitted attributes, with the atoms in the order of their energies."""
        order = state.moments.code_energy.argsort(descending=True, stable=True)
        params, sign = state.params[order], state.sign[order]
        self.moments_ = state.moments.reordered(order, torch.ones_like(sign)).converted(
            as_array
        )
        self._params, self._sign = as_array(params), as_array(sign)
        rows = plan.model.atoms(params)
        norms = torch.linalg.vector_norm(rows, dim=1)
        atoms = sign[:, None] * unit_atoms(rows)
        shape = plan.shape if self.n_channels_ > 1 else plan.shape[1:]
        self.components_ = as_array(atoms).reshape(len(atoms), *shape)
        found = plan.model.describe(params)
        waves = found.waves
        turned = torch.where(waves.sign * sign < 0, torch.pi, 0.0)
        described = Dictionary(
            components=self.components_,
            atoms=plan.model,
            params=self._params,
            frequency=as_array(waves.frequency),
            phase=as_array(waves.phase + turned),
            colour=as_array(waves.colour),
            amplitude=as_array(found.amplitude / norms),
            extras={k: as_array(v) for k, v in found.extras.items()},
        ).describe()
        for name, values in described.items():
            setattr(self, f"{name}_", values)
        rate = self.sampling_rate or 1.0
        atom, value = as_array(state.events.atom), as_array(state.events.value)
        counts, absolute, squares = (
            np.bincount(atom, weights, minlength=self.n_components)
            for weights in (None, np.abs(value), value**2)
        )
        kept = as_array(order)
        self.event_rates_ = counts[kept] * rate / n_times
        self.event_scales_ = (squares / np.maximum(absolute, 1e-300))[kept]
        self.alpha_ = state.alpha
        error = self.moments_.converted(torch.from_numpy).squared_error(atoms.cpu())
        self.noise_variance_ = max(0.0, error) / self.n_channels_
        self.losses_ = np.array(state.losses)
        self.n_iter_ = max(1, len(state.losses) - 1)
        self.converged_ = state.converged

    def _recordings(self, X: Any) -> Recordings:
        """Check recordings for a method of the fitted estimator."""
        check_is_fitted(self)
        return recordings_of(
            X,
            self,
            reset=False,
            shortest=self.n_times_atom_,
            channels=self.n_channels_,
        )

    def _joined(
        self, recordings: Recordings, device: torch.device
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return all recordings without the mean, and the starts within them.

        Missing samples are NaN.
        """
        joined = np.concatenate(recordings.signals, axis=1) - self.mean_[:, None]
        length = self.n_times_atom_
        usable = np.ones(joined.shape[1] - length + 1, dtype=bool)
        for end in np.cumsum([signal.shape[1] for signal in recordings.signals])[:-1]:
            usable[end - length + 1 : end] = False
        return as_tensor(joined, device), as_tensor(usable, device)

    def _atoms(self, device: torch.device) -> torch.Tensor:
        """Return the atoms, shape (K, C, L)."""
        shape = (-1, self.n_channels_, self.n_times_atom_)
        return as_tensor(self.components_, device).reshape(shape)

    def _events(self, recordings: Recordings) -> tuple[list[Events], float]:
        """Return the activations of each recording, and the explained variance."""
        device = resolve_device(self.device)
        atoms = self._atoms(device)
        signal, usable = self._joined(recordings, device)
        missing = signal.isnan()
        signal, events = signal.nan_to_num(0.0), None
        for _ in range(_FILLING if bool(missing.any()) else 1):
            before = events
            events, converged = encode(
                signal,
                atoms,
                self.alpha_,
                positive=bool(self.positive_code),
                usable=usable,
                start=before,
            )
            filled = events.signal(atoms, signal.shape[1])
            change = (filled - signal)[missing].abs().sum()
            signal = torch.where(missing, filled, signal)
            if not float(change) > 1e-3 * float(filled[missing].abs().sum()):
                break
        assert events is not None
        if not converged:
            warnings.warn(
                "The activations had not converged. Pass a larger reg to fit.",
                ConvergenceWarning,
                stacklevel=4,
            )
        residual = signal - events.signal(atoms, signal.shape[1])
        residual[missing] = 0.0
        total = float((signal[~missing] ** 2).sum())
        explained = 1 - float((residual**2).sum()) / total if total > 0 else 0.0
        parts, first = [], 0
        for part in recordings.signals:
            parts.append(events.between(first, first + part.shape[1]))
            first += part.shape[1]
        return parts, explained

    # Activations

    def transform(self, X: Any) -> Any:
        """Compute the sparse activations of recordings.

        Parameters
        ----------
        X : array-like or list of ndarray
            Recordings, as in `fit`.

        Returns
        -------
        activations : csr_array of shape (n, n_components * n_starts), or list
            Activations of the atoms at each start, the first atom first; there are
            ``n_starts = n_times - n_times_atom + 1`` starts. For a list of recordings,
            a list with one csr_array of shape (n_components, n_starts) per recording.

        Raises
        ------
        ValueError
            If a recording is shorter than an atom, has another number of channels than
            in `fit`, or has infinite values.
        """
        recordings = self._recordings(X)
        parts = []
        for signal, events in zip(
            recordings.signals, self._events(recordings)[0], strict=True
        ):
            n_starts = signal.shape[1] - self.n_times_atom_ + 1
            value = as_array(events.value).astype(recordings.dtype)
            place = as_array(events.atom), as_array(events.start)
            shape = (len(self.components_), n_starts)
            if recordings.kind != "list":
                flat = place[0] * n_starts + place[1]
                place, shape = (np.zeros_like(flat), flat), (1, shape[0] * shape[1])
            parts.append(scipy.sparse.coo_array((value, place), shape).tocsr())
        if recordings.kind == "list":
            return parts
        return scipy.sparse.vstack(parts, format="csr")

    def inverse_transform(self, X: Any) -> Any:
        """Compute the recordings of given activations.

        Parameters
        ----------
        X : sparse or dense array of shape (n, n_components * n_starts), or list
            Activations, as `transform` returns them.

        Returns
        -------
        recordings : ndarray of shape (n, n_times) or (n, n_channels, n_times), or list
            The recordings; for a list, a list of arrays.

        Raises
        ------
        ValueError
            If the activations have another shape than those of `transform`.
        """
        check_is_fitted(self)
        n_atoms = len(self.components_)
        is_list = isinstance(X, (list, tuple))
        rows = X if is_list else [row[None] for row in _dense(X)]
        signals = []
        for row in rows:
            activations = _dense(row)
            size = activations.size
            if size % n_atoms or (is_list and len(activations) != n_atoms):
                raise ValueError(
                    f"Activations of shape {activations.shape} do not belong to "
                    f"{n_atoms} atoms. Pass the result of transform."
                )
            z = torch.from_numpy(activations.reshape(n_atoms, -1).astype(np.float64))
            n_times = z.shape[1] + self.n_times_atom_ - 1
            atoms = self._atoms(torch.device("cpu"))
            signal = as_array(Events.of_dense(z).signal(atoms, n_times))
            signal = (signal + self.mean_[:, None]).astype(activations.dtype)
            signals.append(signal[0] if self.n_channels_ == 1 else signal)
        return signals if is_list else np.stack(signals)

    @validated(
        min_distance=[Interval(Real, 0, None, closed="left"), None],
        min_amplitude=[Interval(Real, 0, None, closed="left")],
    )
    def find_events(
        self,
        X: Any,
        *,
        min_distance: float | None = None,
        min_amplitude: float = 0.25,
    ) -> np.ndarray:
        """Find the events in recordings: which atom occurs when, and how strongly.

        Neighbouring activations of one atom often belong to one event, whose exact
        place or shape lies between them. Of activations of the same atom that are
        nearer than ``min_distance``, only the largest counts.

        Parameters
        ----------
        X : array-like or list of ndarray
            Recordings, as in `fit`.
        min_distance : float or None, default=None
            Smallest time between events of the same atom, in seconds with
            ``sampling_rate`` and in samples otherwise. None means half of the length of
            an atom.
        min_amplitude : float, default=0.25
            Smallest amplitude of an event, as a multiple of ``event_scales_``.

        Returns
        -------
        events : structured ndarray of shape (n_events,)
            Events in the order of recordings and times, with the fields "recording"
            (index), "atom" (index), "start" (first sample that the atom covers), "time"
            (that of the atom's centre of energy, in seconds or samples) and "amplitude"
            (activation). ``pandas.DataFrame(events)`` is a table.

        Raises
        ------
        ValueError
            For each reason for which `transform` raises it.
        """
        recordings = self._recordings(X)
        rate = self.sampling_rate or 1.0
        apart = self.n_times_atom_ / 2 if min_distance is None else min_distance * rate
        energy = (self._atoms(torch.device("cpu")) ** 2).sum(1).numpy()
        centre = energy @ np.arange(self.n_times_atom_)
        fields = [
            ("recording", np.int64),
            ("atom", np.int64),
            ("start", np.int64),
            ("time", np.float64),
            ("amplitude", np.float64),
        ]
        tables = [np.zeros(0, fields)]
        for number, found in enumerate(self._events(recordings)[0]):
            atom, start = as_array(found.atom), as_array(found.start)
            value = as_array(found.value)
            strong = np.abs(value) >= min_amplitude * self.event_scales_[atom]
            kept = np.zeros(len(atom), dtype=bool)
            for k in range(len(self.components_)):
                own = np.flatnonzero((atom == k) & strong)
                kept[own] = _separate(start[own], np.abs(value[own]), apart)
            table = np.zeros(int(kept.sum()), fields)
            table["recording"] = number
            table["atom"], table["start"] = atom[kept], start[kept]
            table["time"] = (start[kept] + centre[atom[kept]]) / rate
            table["amplitude"] = value[kept]
            tables.append(table)
        events = np.concatenate(tables)
        return events[np.lexsort((events["time"], events["recording"]))]

    def score(self, X: Any, y: Any = None) -> float:
        """Return the fraction of the variance that the events explain.

        Parameters
        ----------
        X : array-like or list of ndarray
            Recordings, as in `fit`.
        y : object, default=None
            Not used, present for API consistency by convention.

        Returns
        -------
        score : float
            1 minus the squared error over the sum of squares about ``mean_``.
        """
        return self._events(self._recordings(X))[1]

    # scikit-learn's conventions

    @property
    def _n_features_out(self) -> int:
        n_starts = self.n_features_in_ - self.n_times_atom_ + 1
        return len(self.components_) * n_starts

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        return tags


def _observed_mean(signals: list[np.ndarray]) -> np.ndarray:
    """Return the mean of each channel over the observed samples, or 0 for none."""
    total = sum(np.nansum(signal, axis=1) for signal in signals)
    count = sum((~np.isnan(signal)).sum(axis=1) for signal in signals)
    return np.asarray(total / np.maximum(count, 1))


def _dense(X: Any) -> np.ndarray:
    """Return a sparse or dense array as a dense one with two axes and a float type."""
    array = X.toarray() if scipy.sparse.issparse(X) else X
    return check_array(array, "X", dtype=[np.float64, np.float32])


def _separate(place: np.ndarray, size: np.ndarray, apart: float) -> np.ndarray:
    """Return which events to keep so that all are at least ``apart``, largest first.

    The places are sorted.
    """
    kept = np.zeros(len(place), dtype=bool)
    blocked = np.zeros(len(place), dtype=bool)
    for i in np.argsort(-size, kind="stable"):
        if blocked[i]:
            continue
        kept[i] = True
        first = np.searchsorted(place, place[i] - apart, side="right")
        last = np.searchsorted(place, place[i] + apart, side="left")
        blocked[first:last] = True
    return kept
