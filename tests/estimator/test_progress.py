import numpy as np
from sklearn.callback import ProgressBar
from sklearn.neighbors import KernelDensity

from skspectral import SpectralDictionaryLearning
from skspectral.convolutional import ConvolutionalSpectralDictionary
from skspectral.priors import GaussianMixture


class Recorder:
    """A callback that records its calls and can request a stop."""

    def __init__(self, stop_at=None):
        self.tasks, self.states, self.stop_at = [], [], stop_at

    def setup(self, estimator, context):
        self.tasks.append("setup")

    def teardown(self, estimator, context):
        self.tasks.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.tasks.append(("begin", context.task_name))

    def on_fit_task_end(self, estimator, context, *, metadata=None):
        self.tasks.append(("end", context.task_name))
        if metadata is not None:
            self.states.append(metadata)
        return metadata is not None and metadata["stage"] == self.stop_at


def test_every_stage_and_step_is_told(signals):
    recorder = Recorder()
    est = SpectralDictionaryLearning(4, batch_size=50).set_callbacks(recorder)
    est.fit(signals)
    assert recorder.tasks[0] == "setup"
    assert recorder.tasks[-1] == "teardown"
    stages = list(dict.fromkeys(state["stage"] for state in recorder.states))
    assert stages == ["moments", "selection", "frequencies", "modulation", "prior"]
    counts = {s: sum(t["stage"] == s for t in recorder.states) for s in stages}
    assert counts["moments"] == counts["selection"] == 4
    assert sum(t == "setup" for t in recorder.tasks) == 1
    begun = [name for kind, name in recorder.tasks[1:-1] if kind == "begin"]
    ended = [name for kind, name in recorder.tasks[1:-1] if kind == "end"]
    assert sorted(begun) == sorted(ended)


def test_the_explained_variance_is_told(signals):
    recorder = Recorder()
    est = SpectralDictionaryLearning(4).set_callbacks(recorder).fit(signals)
    key = "explained_variance_ratio"
    told = np.array([state[key] for state in recorder.states if key in state])
    assert (np.diff(told) > 0).all()
    total = ((signals - signals.mean(0)) ** 2).sum() / len(signals)
    np.testing.assert_allclose((1 - told) * total, est.history_["loss"][1:])


def test_a_callback_stops_a_stage(patches):
    est = SpectralDictionaryLearning(8, signal_shape=(8, 8, 3), tol=0)
    # A requested stop raises no warning.
    est.set_callbacks(Recorder(stop_at="modulation")).fit(patches[0])
    assert (est.history_["stage"] == "modulation").sum() == 1
    assert est.converged_ is False


def test_progress_bar_of_scikit_learn(signals, capsys):
    SpectralDictionaryLearning(4).set_callbacks(ProgressBar()).fit(signals)
    assert "selection" in capsys.readouterr().out


def test_silent_without_callbacks(signals, capsys):
    SpectralDictionaryLearning(4).fit(signals)
    out = capsys.readouterr()
    assert out.out == out.err == ""


def test_a_prior_tells_its_own_steps(signals):
    bar, told = ProgressBar(), []

    class Listener(ProgressBar):
        def on_fit_task_end(self, estimator, context, *, metadata=None):
            told.append((type(estimator).__name__, metadata))

    est = SpectralDictionaryLearning(4, prior=GaussianMixture(2))
    est.set_callbacks(Listener()).fit(signals)
    steps = [metadata for name, metadata in told if name == "GaussianMixture"]
    assert any(metadata and "log_likelihood" in metadata for metadata in steps)
    # Callbacks that were passed on to the prior are removed.
    assert not getattr(est.prior_, "_skl_callbacks", [])
    with_bar = SpectralDictionaryLearning(4, prior=KernelDensity())
    assert with_bar.set_callbacks(bar).fit(signals).sample().shape == (1, 48)


def test_a_start_anew_is_tried_only_where_rows_matter(signals):
    recorder = Recorder()
    est = SpectralDictionaryLearning(3, modulation=None).fit(signals)
    est.set_callbacks(recorder)
    est.partial_fit(signals[:2])
    assert ("begin", "selection") in recorder.tasks
    recorder.tasks.clear()
    middle = np.repeat(est.mean_[None], 3, axis=0)
    est.partial_fit(middle)
    assert ("begin", "selection") not in recorder.tasks
    # The new start is tried once enough rows have accumulated.
    for _ in range(40):
        est.partial_fit(signals[:1])
    assert ("begin", "selection") in recorder.tasks


def test_passes_over_sparse_codes_are_told_and_can_be_stopped(signals):
    recorder = Recorder()
    est = SpectralDictionaryLearning(8, n_nonzero_coefs=2, modulation=None, tol=0.05)
    est.set_callbacks(recorder).fit(signals)
    told = [state for state in recorder.states if state["stage"] == "sparse codes"]
    assert len(told) == est.n_iter_
    assert all(0 < state["nonzeros_per_row"] <= 2 for state in told)
    stopped = SpectralDictionaryLearning(8, n_nonzero_coefs=2, modulation=None, tol=0)
    stopped.set_callbacks(Recorder(stop_at="sparse codes")).fit(signals)
    assert stopped.n_iter_ == 1


def test_passes_over_recordings_are_told_and_can_be_stopped(signals):
    recorder = Recorder()
    est = ConvolutionalSpectralDictionary(2, n_times_atom=8, tol=0.01)
    est.set_callbacks(recorder).fit(signals)
    stages = [state["stage"] for state in recorder.states]
    assert stages.count("selection") == 2
    assert stages.count("activations") == est.n_iter_
    stopped = ConvolutionalSpectralDictionary(2, n_times_atom=8, tol=0)
    stopped.set_callbacks(Recorder(stop_at="activations")).fit(signals)
    assert stopped.n_iter_ == 1
