"""The main job, the examples and the benchmarks run, on little data."""

import contextlib
import importlib
import io
import json
import re
import runpy
import subprocess
import sys
import warnings
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import wavfile

from skspectral.datasets import make_tones

ROOT = Path(__file__).parents[2]


def run(script, *args, folder, check=True):
    """Run a script as from the command line in a folder, but in this process.

    This process has imported the packages, which takes a process of its own longer than
    most of the scripts do.
    """
    path = ROOT / script
    out, err = io.StringIO(), io.StringIO()
    with (
        patch.object(sys, "argv", [str(path), *map(str, args)]),
        patch.object(sys, "path", [str(path.parent), *sys.path]),
        contextlib.chdir(folder),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        warnings.catch_warnings(action="error"),
        torch.random.fork_rng(devices=[]),
    ):
        try:
            runpy.run_path(str(path), run_name="__main__")
            code = 0
        except SystemExit as end:
            code = end.code or 0
    if isinstance(code, str):
        # Python writes the text of an exit to standard error.
        err.write(f"{code}\n")
        code = 1
    assert code == 0 or not check, err.getvalue()
    return subprocess.CompletedProcess(path, code, out.getvalue(), err.getvalue())


@pytest.fixture
def in_this_process(monkeypatch, module_of):
    """Run the parts of a benchmark in this process, too, where it starts others."""

    def run_part(script, *args, root=None):
        return run(script, *args, folder=Path.cwd()).stdout

    monkeypatch.setattr(module_of("_measure"), "run_apart", run_part)


def write_images(path):
    """Noise, as the image benchmarks take it."""
    rng = np.random.default_rng(0)
    train, test = (
        rng.integers(0, 255, size=(n, 6, 6, 3)).astype(np.uint8) for n in (60, 20)
    )
    np.savez(path, train=train, test=test)


def random_walks(n_images, side, step):
    """Images that are smooth, as photographs are."""
    steps = np.random.default_rng(0).normal(size=(n_images, side, side, 3))
    return np.clip(128 + step * steps.cumsum(1).cumsum(2), 0, 255).astype(np.uint8)


def write_judge(path):
    """A network for metrics, as a TorchScript file."""
    with warnings.catch_warnings():
        # Writing such files is out of fashion.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.script(Features()).save(path)


def write_notes(path, n_train, n_test):
    """Windows of made notes, as the benchmarks of sound take them."""
    notes, _ = make_tones(n_train + n_test, 96, sampling_rate=2000, random_state=0)
    train, test = np.split(notes.astype(np.float32), [n_train])
    np.savez(path, windows_train=train, windows_test=test, sampling_rate=2000.0)


def figures(out, start):
    """Numbers of the line that starts so."""
    line = next(line for line in out.splitlines() if line.strip().startswith(start))
    words = line.strip().removeprefix(start).split()
    return [float(word) for word in words if word.replace(".", "").isdigit()]


def check_picture(path, n_rows, n_columns):
    """Each part of the picture has content of its own."""
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    assert min(pixels.shape[:2]) > 400
    for row in np.array_split(pixels, n_rows, axis=0):
        for part in np.array_split(row, n_columns, axis=1):
            assert part.std() > 10


def check_page(path, title):
    """The page has its title, its pictures, and no word of where it was made."""
    page = path.read_text(encoding="utf-8")
    assert f"<h1>{title}" in page
    assert page.count("<img") > 5
    assert str(ROOT) not in page


@pytest.mark.slow
def test_main_job(tmp_path):
    out = run(
        "examples/plot_generate_images.py", "--n-components", 24, folder=tmp_path
    ).stdout
    assert "selection" in out
    (ours,) = figures(out, "explained fraction of the variance, other images:")
    (pca,) = figures(out, "the same for PCA with as many components:")
    assert 0.7 < ours < 1
    assert abs(ours - pca) < 0.1
    ratio, *_ = figures(out, "distance of new images to the nearest one in the fit:")
    assert ratio > 0.7
    assert re.search(r"waves of most variance: .*\d px, \d+°", out)
    check_page(tmp_path / "generated_images.html", "New galaxies")
    with Image.open(tmp_path / "generated_images.png") as picture:
        pixels = np.asarray(picture.convert("RGB"))
    assert min(pixels.shape[:2]) > 800
    # Each of the four panels has content of its own.
    halves = np.array_split(pixels, 2, axis=0)
    panels = [panel for half in halves for panel in np.array_split(half, 2, axis=1)]
    assert all(panel.std() > 20 for panel in panels)


@pytest.mark.slow
def test_main_job_on_a_folder(tmp_path):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    rng = np.random.default_rng(0)
    for i in range(2):
        noise = rng.integers(0, 255, size=(20, 30, 3)).astype(np.uint8)
        Image.fromarray(noise).resize((300, 200)).save(pictures / f"{i}.jpg")
    (pictures / "notes.txt").write_text("no picture")
    done = subprocess.run(
        [
            sys.executable,
            ROOT / "examples/plot_generate_images.py",
            *("--images", pictures, "--n-components", "12", "--output", "out.png"),
        ],
        cwd=tmp_path,
        check=True,
        text=True,
        capture_output=True,
    )
    assert "notes.txt" in done.stderr
    assert (tmp_path / "out.png").exists()
    check_page(tmp_path / "out.html", "New patches")


@pytest.mark.slow
def test_main_job_without_scikit_image(tmp_path):
    """Patches of scikit-learn's photographs are there without it."""
    (tmp_path / "skimage.py").write_text("raise ImportError('not installed')")
    program = (
        "import runpy, sys; sys.path.insert(0, sys.argv.pop(1)); "
        "names = runpy.run_path(sys.argv.pop(1)); "
        "print(names['load_images'](names['parse_arguments']())[2:])"
    )
    script = ROOT / "examples/plot_generate_images.py"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, tmp_path, script],
        check=True,
        text=True,
        capture_output=True,
    )
    told, source = done.stdout.splitlines()
    assert "pip install 'skspectral[examples]'" in told
    assert source == """('patches', "scikit-learn's photographs")"""


def test_main_job_without_the_data(tmp_path):
    for option in ("--images", "--cifar10"):
        done = run(
            "examples/plot_generate_images.py",
            option,
            tmp_path / "missing",
            folder=tmp_path,
            check=False,
        )
        assert done.returncode == 1
        assert done.stderr.startswith("error: ")
        assert "Traceback" not in done.stderr


def check_sounds(folder, rate):
    for name in ("original", "reconstruction", "samples"):
        written, sound = wavfile.read(folder / f"{name}.wav")
        assert written == rate
        assert sound.dtype == np.int16
        assert len(sound) > 256
        # Loud, and not clipped.
        assert 0.89 < np.abs(sound / 2**15).max() < 0.91
        assert sound.std() > 0.02 * 2**15


@pytest.mark.slow
def test_sound(tmp_path):
    out = run(
        "examples/plot_sound.py",
        *("--n-windows", 100, "--length", 256, "--n-components", 24, "--out", "out"),
        folder=tmp_path,
    ).stdout
    assert "explained variance of the test windows, 24 components" in out
    figures = dict(line.split(":") for line in out.splitlines() if " in Hz:" in line)
    pitches, strongest = (np.array(f.split(), dtype=float) for f in figures.values())
    # Each strong atom is a harmonic of a note; 256 samples are 31 Hz wide.
    harmonics = np.round(strongest[:, None] / pitches) * pitches
    assert np.abs(strongest[:, None] - harmonics).min(axis=1).max() < 10
    check_sounds(tmp_path / "out", 8000)
    # The written reconstruction sounds like the original.
    original, reconstruction = (
        wavfile.read(tmp_path / "out" / f"{name}.wav")[1].astype(float)
        for name in ("original", "reconstruction")
    )
    assert np.corrcoef(original, reconstruction)[0, 1] > 0.9
    with Image.open(tmp_path / "out" / "sound.png") as picture:
        pixels = np.asarray(picture.convert("RGB"))
    assert min(pixels.shape[:2]) > 800
    assert all(row.std() > 20 for row in np.array_split(pixels, 4, axis=0))


@pytest.mark.slow
def test_sound_of_recordings(tmp_path):
    folder = tmp_path / "recordings"
    folder.mkdir()
    notes, _ = make_tones(3, 6000, sampling_rate=6000, random_state=0)
    for i, note in enumerate(notes):
        wavfile.write(folder / f"{i}.wav", 6000, (note * 2**15).astype(np.int16))
    run(
        "examples/plot_sound.py",
        *("--recordings", folder, "--length", 300, "--n-components", 6),
        folder=tmp_path,
    )
    check_sounds(tmp_path, 6000)
    assert (tmp_path / "sound.png").exists()
    check_page(tmp_path / "sound.html", "Sounds")
    one = run(
        "examples/plot_sound.py",
        *("--recordings", folder / "0.wav", "--length", 200, "--n-components", 6),
        folder=tmp_path,
    ).stdout
    assert "at 6000 Hz" in one


def write_table(path, n_signals, n_samples):
    t = np.arange(n_samples) / 100
    phases = np.linspace(0, 6, n_signals)[:, None]
    signals = np.sin(2 * np.pi * 7 * t + phases)
    signals[1, 3] = np.nan
    np.savetxt(path, signals, delimiter=",")
    return signals


@pytest.mark.slow
def test_own_signals(tmp_path):
    write_table(tmp_path / "table.csv", 40, 50)
    options = ("--sampling-rate", 100, "--n-components", 4)
    out = run(
        "examples/plot_own_signals.py",
        *("--signals", "table.csv", *options, "--output", "own.png"),
        folder=tmp_path,
    ).stdout
    assert "40 signals of 50 samples each" in out
    assert "atoms of most variance: 7.0 Hz; 7.0 Hz" in out
    assert "hint" not in out
    check_picture(tmp_path / "own.png", 2, 2)
    check_page(tmp_path / "own.html", "Signals of table.csv")
    assert "missing values, filled by the model" in (tmp_path / "own.html").read_text()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (None, "table.csv"),
        ("1,2,3\n4,five,6\n", "line 2, column 2 has 'five'"),
        ("1\n2\n3\n4\n5\n", "run this with --columns"),
        (",1,2,3\n" * 5, "only 0 of 5 signals have no missing value"),
    ],
)
def test_own_signals_that_are_none(tmp_path, table, message):
    if table is not None:
        (tmp_path / "table.csv").write_text(table)
    done = run(
        "examples/plot_own_signals.py",
        *("--signals", "table.csv"),
        folder=tmp_path,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert message in done.stderr


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (
            ("--recordings", "missing"),
            "folder='missing' is neither a folder nor a file",
        ),
        (("--n-windows", 10), "10 windows are too few"),
    ],
)
def test_sound_without_enough_of_it(tmp_path, args, message):
    done = run("examples/plot_sound.py", *args, folder=tmp_path, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert message in done.stderr


@pytest.mark.slow
def test_bench_fit(tmp_path, in_this_process):
    write_images(tmp_path / "images.npz")
    run(
        "benchmarks/bench_fit.py",
        *("--data", "images.npz", "--sizes", 60, "--repeats", 1),
        *("--n-components", 4, "--output", "out.json"),
        folder=tmp_path,
    )
    report = json.loads((tmp_path / "out.json").read_text())
    assert report["machine"]["torch"]
    ours = {"static", "modulated", "plane waves", "modulated plane waves"}
    methods = ours | {"PCA", "MiniBatchDL", "NMF"}
    assert {row["method"] for row in report["results"]} == methods
    for row in report["results"]:
        assert row["fit_s"] > 0
        assert row["fit_over_PCA"] > 0
        assert row["ev"] < 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "options"),
    [
        ("forms", ("--n", 60, "--K", 4)),
        ("sketch", ("--n", 60, "--K", 4, "--sketch-sizes", 8)),
        ("photographs", ("--n", 8, "--K", 3, "--side", 24)),
        ("recordings", ("--n", 20, "--K", 3, "--length", 64)),
        ("long", ("--n", 8, "--K", 3, "--length", 2000)),
    ],
)
def test_bench_second_moment(tmp_path, case, options):
    run(
        "benchmarks/bench_second_moment.py",
        *(case, *options, "--repeats", 1, "--output", "out.json"),
        folder=tmp_path,
    )
    rows = json.loads((tmp_path / "out.json").read_text())["results"]
    assert rows[-1]["method"] == "PCA"
    assert all(row["fit_s"] > 0 and -1 < row["ev"] < 1 for row in rows)


@pytest.mark.slow
def test_bench_growth(tmp_path):
    run(
        "benchmarks/bench_growth.py",
        *("--panels", "n", "T", "--most", 200, "--repeats", 1),
        *("--output", "out.json", "--figure", "out.png"),
        folder=tmp_path,
    )
    rows = json.loads((tmp_path / "out.json").read_text())["results"]
    assert [(row["n"], row["T"]) for row in rows] == [
        (125, 768),
        (500, 108),
        (500, 192),
    ]
    methods = ("plain waves", "modulated waves", "PCA")
    assert all(row[name] > 0 for row in rows for name in methods)
    with Image.open(tmp_path / "out.png") as figure:
        assert figure.width > 300


@pytest.mark.slow
def test_bench_fit_on_a_busy_machine(tmp_path):
    write_images(tmp_path / "images.npz")
    run(
        "benchmarks/bench_fit.py",
        *("--data", "images.npz", "--sizes", 60, "--repeats", 1, "--busy"),
        *("--methods", "PCA", "--n-components", 4, "--output", "out.json"),
        folder=tmp_path,
    )
    report = json.loads((tmp_path / "out.json").read_text())
    assert report["busy"]
    assert report["results"][0]["inverse_ratio"] > 0


@pytest.mark.slow
def test_bench_sound(tmp_path):
    write_notes(tmp_path / "notes.npz", 90, 30)
    run(
        "benchmarks/bench_sound.py",
        *("--data", "notes.npz", "--sizes", 12, 500, "--n-components", 16),
        *("--stft-window", 32, "--weights", 0.1, 1),
        *("--output", "out.json", "--figure", "out.png"),
        folder=tmp_path,
    )
    report = json.loads((tmp_path / "out.json").read_text())
    rows = report["explained_variance"]
    methods = ["plain", "modulated", "PCA"]
    assert [(row["n_train"], row["method"]) for row in rows] == [
        (size, method) for size in (12, 90) for method in methods
    ]
    assert all(0 < row["ev"] < 1 for row in rows)
    assert [row["ev_minus_PCA"] for row in rows if row["method"] == "PCA"] == [0, 0]
    curve = report["trade_off"]["curve"]
    assert [row["method"] for row in curve] == ["transform", "transform", "PCA"]
    light, heavy, _ = curve
    assert 0 <= light["squared_error_percent"] < heavy["squared_error_percent"]
    assert 0 > light["stft_error_percent"] > heavy["stft_error_percent"]
    assert (tmp_path / "out.png").exists()


def test_bench_atoms(tmp_path):
    write_images(tmp_path / "images.npz")
    write_notes(tmp_path / "notes.npz", 60, 30)
    with np.load(tmp_path / "notes.npz") as data:
        parts = data["windows_train"], data["windows_test"], data["sampling_rate"]
    np.savez(tmp_path / "own.npz", train=parts[0], test=parts[1], rate=parts[2])
    done = run(
        "benchmarks/bench_atoms.py",
        *("--data", "images.npz", "--sounds", "notes.npz", "--signals", "own.npz"),
        *("--n-train", 60, "--n-components", 4, "--output", "out.json"),
        folder=tmp_path,
    )
    rows = json.loads((tmp_path / "out.json").read_text())["results"]
    assert [row["data"] for row in rows] == ["images"] * 7 + ["sounds"] * 5 + [
        "own"
    ] * 5
    assert all(row["ev"] < 1 and row["fit_over_pca"] > 0 for row in rows)
    numbers = {row["atoms"]: row["numbers"] for row in rows if row["data"] == "own"}
    assert numbers["gabor"] == 4
    assert numbers["chirp"] == numbers["sinusoid, plain"] == 3
    assert "| images | gabor |" in done.stdout


@pytest.mark.slow
def test_bench_channels(tmp_path):
    done = run(
        "benchmarks/bench_channels.py",
        *("--windows", 60, "--sizes", 30, "--atoms", 8, "--seeds", 1),
        folder=tmp_path,
    )
    assert "| simulated | 30 | 8 | complex patterns, plain |" in done.stdout
    assert "| delayed | 1 |" in done.stdout


@pytest.mark.slow
def test_bench_gaps(tmp_path):
    write_images(tmp_path / "images.npz")
    done = run(
        "benchmarks/bench_gaps.py",
        *("--images", "images.npz", "--n-images", 40, "--atoms", 4),
        *("--shares", 0.3),
        folder=tmp_path,
    )
    assert "| made | 30% random |" in done.stdout
    assert "| 40 | 30% block |" in done.stdout


@pytest.mark.slow
def test_bench_sparse(tmp_path):
    done = run(
        "benchmarks/bench_sparse.py",
        *("--rows", 300, "--atoms", 40, "--features", 32),
        *("--patches", 300, "--learned-atoms", 80),
        folder=tmp_path,
    )
    assert "| omp | float64 | 10 nonzeros |" in done.stdout
    assert "| 300 | gabor |" in done.stdout


@pytest.mark.slow
def test_bench_restoration(tmp_path):
    done = run(
        "benchmarks/bench_restoration.py",
        *("--patches", 2000, "--gaussians", 4, "--images", 1, "--others", 1),
        *("--sets", "bsd68", "--model", tmp_path / "model"),
        folder=tmp_path,
    )
    assert "| skspectral |" in done.stdout
    assert "Missing pixels, 80%" in done.stdout
    assert "Denoising, kodak24" in done.stdout
    assert (tmp_path / "model").exists()


@pytest.mark.slow
def test_bench_restoration_by_a_network(tmp_path):
    done = run(
        "benchmarks/bench_restoration.py",
        *("--images", 1, "--others", 1, "--sets", "bsd68", "--parts", "network"),
        *("--minutes", 0.05, "--window", 16, "--windows", 600),
        folder=tmp_path,
    )
    assert "| sigma = 50" in done.stdout
    assert "Missing pixels, 80%" in done.stdout


@pytest.mark.slow
def test_bench_recordings(tmp_path):
    done = run(
        "benchmarks/bench_recordings.py",
        *("--recordings", 2, "--windows", 500, "--spectra", 8, "--snr", 5),
        *("--window-length", 64),
        folder=tmp_path,
    )
    assert "SignalRestorer" in done.stdout


@pytest.mark.slow
def test_bench_standard_errors(tmp_path):
    done = run(
        "benchmarks/bench_standard_errors.py", "--simulations", 2, folder=tmp_path
    )
    assert "| waves of images | robust |" in done.stdout
    assert "| 40 dB |" in done.stdout


@pytest.mark.slow
def test_bench_number(tmp_path):
    rng = np.random.default_rng(0)
    signal = (3000 * rng.normal(size=40_000)).astype(np.int16)
    np.savez(tmp_path / "speech.npz", signal=signal)
    np.savez(
        tmp_path / "ecg.npz",
        signal=np.stack([signal, signal], axis=1),
        annotation_sample=np.arange(200, 39_000, 300),
    )
    done = run(
        "benchmarks/bench_number.py",
        *("--simulations", 1, "--speech", "speech.npz", "--ecg", "ecg.npz"),
        folder=tmp_path,
    )
    assert "| 200 | 3.0 | 12 |" in done.stdout
    assert "| heartbeats, modulated | bic |" in done.stdout


@pytest.mark.slow
def test_bench_convolutional(tmp_path):
    rng = np.random.default_rng(0)
    beats = np.arange(200, 19_000, 300)
    signal = rng.normal(size=(20_000, 2)) * 4
    for beat in beats:
        signal[beat - 10 : beat + 10] += 200 * np.hanning(20)[:, None]
    np.savez(
        tmp_path / "ecg.npz",
        signal=signal.astype(np.int16),
        sampling_rate=360.0,
        annotation_sample=beats,
        annotation_symbol=np.full(len(beats), "N"),
    )
    impacts = 0.05 * rng.normal(size=(1, 2, 24_000))
    t = np.arange(60) / 12_000
    ring = np.exp(-t * 1000) * np.sin(2 * np.pi * 3000 * t)
    for start in np.arange(50, 23_900, 12_000 / (3.5848 * 30)):
        impacts[..., round(start) : round(start) + 60] += ring
    np.savez(
        tmp_path / "bearing.npz",
        X=impacts,
        fault=np.array(["OR"]),
        rpm=np.array([1800.0]),
        sampling_rate=12_000.0,
    )
    done = run(
        "benchmarks/bench_convolutional.py",
        *("--samples", 4000, "--skip-alphacsc"),
        *("--ecg", "ecg.npz", "--bearings", "bearing.npz"),
        folder=tmp_path,
    )
    assert "| 3 Gabor atoms, noise 0.03 | gabor | 0.99" in done.stdout
    assert "| 1 | gabor | 63 | 63 | 1.0000 |" in done.stdout
    assert "| OR, 1800 rpm | 107.5 Hz | 107." in done.stdout


@pytest.mark.slow
def test_bench_uneven(tmp_path):
    rng = np.random.default_rng(0)
    days = np.sort(rng.uniform(0, 40, (2, 60)), axis=1)
    bands = {
        f"star.{name}.mjd": np.stack([t, np.sin(5 * t), np.full(60, 0.1)], axis=1)
        for name, t in zip("BR", days, strict=True)
    }
    np.savez(tmp_path / "stars.npz", **bands)
    done = run(
        "benchmarks/bench_uneven.py",
        *("--rows", 20, "--times", 50, "--atoms", 3, "--stars", "stars.npz"),
        *("--epochs", 40, "--draws", 2),
        folder=tmp_path,
    )
    assert "| star | 0.79" in done.stdout
    assert "| 100% | 100% | 100% |" in done.stdout
    assert "20 rows of 50 uneven times, 3 waves" in done.stdout


@pytest.fixture
def module_of(monkeypatch):
    """Import a module of the benchmarks by name."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module


def test_benchmark_ratios_are_of_medians(module_of):
    runs = [
        {"n_train": 10, "method": method, "fit_s": seconds, "ev": 0.5}
        for method, seconds in (
            *(("PCA", 1.0), ("PCA", 9.0), ("PCA", 2.0)),
            *(("static", 8.0), ("static", 1.0), ("static", 4.0)),
        )
    ]
    table = {row["method"]: row for row in module_of("bench_fit").summary(runs)}
    assert table["static"]["fit_over_PCA"] == 2.0
    assert table["PCA"]["fit_s"] == 2.0


@pytest.fixture
def other_checkout(tmp_path):
    """Root of a checkout with a package that is empty."""
    (tmp_path / "other/skspectral").mkdir(parents=True)
    (tmp_path / "other/skspectral/__init__.py").touch()
    return tmp_path / "other"


def test_child_imports_the_given_checkout(module_of, other_checkout, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import importlib.util, sys\n"
        "print(importlib.util.find_spec('skspectral').origin, *sys.argv[1:])"
    )
    for root in (ROOT, other_checkout):
        out = module_of("_measure").run_apart(script, 3, root=root)
        assert out.split() == [str(root / "skspectral/__init__.py"), "3"]


def test_bench_fit_against_another_checkout(
    module_of, other_checkout, monkeypatch, capsys
):
    bench = module_of("bench_fit")
    # Of ours, of the other: the machine is slower by half in the second repeat.
    seconds = {ROOT: [2.0, 3.0, 2.0], other_checkout: [1.0, 1.5, 4.0]}
    calls = []

    def run_apart(script, flag, name, size, *options, root):
        calls.append(root)
        s = seconds[root][(len(calls) - 1) // 2]
        steps = {"fit_s": s, "transform_s": 2 * s, "sample_s": 3 * s}
        what = {"n_train": size, "n_test": 1000, "ev": 0.5, "extrapolated": False}
        what |= {"transform_ratio": 1.0, "sample_ratio": 1.0, "peak_bytes": 0}
        return json.dumps(steps | what | {"package_root": str(root)})

    monkeypatch.setattr(bench, "run_apart", run_apart)
    options = ("--against", other_checkout, "--methods", "static", "--sizes", 60)
    output = other_checkout / "out.json"
    monkeypatch.setattr(sys, "argv", ["", *map(str, options), "--output", str(output)])
    bench.main()
    there = other_checkout
    assert calls == [ROOT, there, there, ROOT, ROOT, there]
    ours, other = json.loads(output.read_text())["results"]
    assert (ours["method"], other["method"]) == ("static", "static, other")
    assert ours["fit_ratios"] == [2.0, 2.0, 0.5]
    assert ours["fit_over_other"] == ours["sample_over_other"] == 2.0
    assert "fit_over_other" not in other
    header, _, *lines = capsys.readouterr().out.splitlines()
    assert header.endswith("| fit ÷ other | transform ÷ other | sample ÷ other |")
    assert lines[0].endswith("| 2.000 | 2.000 | 2.000 |")
    assert lines[1].endswith("|  |  |  |")

    # A measurement of the wrong package is not taken for one of the other.
    monkeypatch.setattr(
        bench, "run_apart", lambda *args, root: run_apart(*args, root=ROOT)
    )
    calls.clear()
    with pytest.raises(SystemExit, match="was imported, not of"):
        bench.main()


def test_tables_of_benchmarks(module_of):
    rows = [{"name": "a", "n": 1200, "x": 0.123}, {"name": "b", "x": None}]
    columns = [
        ("name", "name"),
        ("n", "n", "{:,}"),
        ("twice x", lambda row: row["x"] and 2 * row["x"], "{:+.2f} %"),
        ("nowhere", "y"),
    ]
    markdown = module_of("_tables").markdown
    assert markdown(rows, columns).splitlines() == [
        "| name | n | twice x | nowhere |",
        "|---|---|---|---|",
        "| a | 1,200 | +0.25 % |  |",
        "| b |  |  |  |",
    ]
    assert markdown(rows, columns, drop_empty=True).splitlines()[2:] == [
        "| a | 1,200 | +0.25 % |",
        "| b |  |  |",
    ]
    assert markdown(rows[:1]).splitlines()[::2] == [
        "| name | n | x |",
        "| a | 1200 | 0.123 |",
    ]


def test_mosaics_of_images(tmp_path, module_of):
    """They are cut where one mosaic ends, and within one."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (800, 32, 32, 3), np.uint8)
    tiles = images.reshape(2, 20, 20, 32, 32, 3).swapaxes(2, 3)
    files = []
    for mosaic in tiles.reshape(2, 640, 640, 3):
        Image.fromarray(mosaic).save(file := io.BytesIO(), "webp", lossless=True)
        files.append(file.getvalue())
    for split, n in (("train", 2), ("test", 1)):
        np.savez(
            tmp_path / f"cifar10_{split}.npz",
            webp=np.frombuffer(b"".join(files[:n]), np.uint8),
            offsets=np.cumsum([0, *map(len, files[:n])]),
            labels=np.arange(400 * n) % 10,
        )
    train, test, labels = module_of("_data").load_images(tmp_path, 401)
    np.testing.assert_array_equal(train, images[:401])
    np.testing.assert_array_equal(test, images[:400])
    np.testing.assert_array_equal(labels, np.arange(401) % 10)


def test_bench_ablation(tmp_path):
    write_images(tmp_path / "images.npz")
    out = run(
        "benchmarks/bench_ablation.py",
        *("--data", "images.npz", "--size", 60, "--n-components", 4),
        *("--configurations", "published recipe", "greedy, basis"),
        *("plane waves, plain", "PCA", "--output", "out.json"),
        folder=tmp_path,
    ).stdout
    assert out.startswith("| K | configuration | EV |")
    rows = json.loads((tmp_path / "out.json").read_text())["results"]
    by_name = {row["configuration"]: row for row in rows}
    assert by_name["plane waves, plain"]["in_one_wave"] > 0.95
    assert by_name["PCA"]["parameters"] == 108
    assert by_name["greedy, basis"]["stft"] == 1
    assert by_name["greedy, basis"]["squared"] == 1
    for row in rows:
        assert row["ev"] < 1
        assert row["condition"] >= 1


def test_bench_device(tmp_path):
    write_images(tmp_path / "images.npz")
    run(
        "benchmarks/bench_device.py",
        *("--device", "cpu", "--data", "images.npz", "--n-components", 4),
        folder=tmp_path,
    )
    report = json.loads((tmp_path / "bench_device.json").read_text())
    assert report["pass_s"] > 0
    assert report["fit_modulated_s"] > 0
    assert 0 < report["explained_static"] < 1


@pytest.mark.slow
def test_bench_few_samples(tmp_path):
    rng = np.random.default_rng(0)
    windows = np.cumsum(rng.normal(size=(90, 40)), axis=1).astype(np.float32)
    parts = {"windows_train": windows[:60], "windows_test": windows[60:]}
    np.savez(tmp_path / "walks.npz", **parts, sampling_rate=1.0)
    out = run(
        "benchmarks/bench_few_samples.py",
        *("--speech", "walks.npz", "--data", "speech", "digits", "--titles"),
        *("speech=random walks", "--sizes", 30, 50, "--seeds", 1, "--rules"),
        *("--figures", "pictures", "--output", "out.json"),
        folder=tmp_path,
    ).stdout
    assert out.startswith("| data | n | weight | EV: none |")
    assert "| data | n | auto | no tails |" in out
    rows = json.loads((tmp_path / "out.json").read_text())["results"]
    assert [(row["data"], row["n"]) for row in rows] == [
        (name, n) for name in ("speech", "digits") for n in (30, 50)
    ]
    for row in rows:
        models = row["models"]
        assert models["auto"]["ll"] > models["none"]["ll"]
        assert 0 < models["auto"]["weight"] < 1
        assert all(models[name]["ev"] < 1 for name in ("PCA", "FactorAnalysis"))
        assert {"LedoitWolf", "OAS"} < models.keys()
        assert [fit["weight"] for fit in row["grid"]] == sorted(
            fit["weight"] for fit in row["grid"]
        )
    for name in ("speech", "digits"):
        with Image.open(tmp_path / f"pictures/few_samples_{name}.png") as picture:
            pixels = np.asarray(picture.convert("RGB"))
        assert all(panel.std() > 20 for panel in np.array_split(pixels, 2, axis=1))


def test_bench_priors(tmp_path):
    write_images(tmp_path / "images.npz")
    out = run(
        "benchmarks/bench_priors.py",
        *("--images", "images.npz", "--size", 60, "--n-components", 4),
        *("--priors", "Gaussian, diagonal", "mixture of 5", "scikit-learn's of 10"),
        folder=tmp_path,
    ).stdout
    assert "60 samples of 108, 4 atoms, 20 held out" in out
    rows = json.loads((tmp_path / "bench_priors.json").read_text())["results"]
    assert rows[0]["prior"] == "Gaussian"
    assert len(rows) == 4
    assert all(np.isfinite(row["score"]) and row["fit_s"] > 0 for row in rows)


@pytest.mark.slow
def test_denoise(tmp_path):
    out = run(
        "examples/plot_denoise.py",
        *("--n-patches", 2000, "--n-components", 48, "--crop", 64),
        folder=tmp_path,
    ).stdout
    noisy, wavelets, pca, gaussian, mixture = (
        figures(out.split("SSIM\n")[1], name)
        for name in ("noisy", "wavelets", "PCA", "Gaussian", "mixture, full")
    )
    # Noise of standard deviation 0.1 is at 20 dB.
    np.testing.assert_allclose(noisy[:2], 20, atol=0.2)
    assert noisy[0] < pca[0] < gaussian[0]
    # Of the photographs; wavelets have no column of patches.
    for photo in (0, 2):
        assert wavelets[photo] < mixture[1 + photo]
        assert pca[1 + photo] < mixture[1 + photo]
    check_picture(tmp_path / "denoised.png", 4, 4)


def test_fill_gaps(tmp_path):
    out = run("examples/plot_fill_gaps.py", folder=tmp_path).stdout
    parts = out.split("Notes")
    for part in parts:
        ours, line, mean = (
            figures(part, f"error of {name}")[0]
            for name in ("skspectral", "straight line", "mean of the windows")
        )
        assert ours < min(line, mean)
        assert 90 < figures(part, "truth within the 95 % band")[0] < 99
    check_picture(tmp_path / "filled_gaps.png", 3, 2)


@pytest.mark.slow
def test_inpaint(tmp_path):
    out = run(
        "examples/plot_inpaint.py",
        *("--n-patches", 1000, "--n-components", 64),
        folder=tmp_path,
    ).stdout
    mean, neighbours, ours = (
        np.array(figures(out, name)[:4])
        for name in ("mean filling", "5 nearest neighbours", "skspectral")
    )
    assert (ours < neighbours).all()
    assert (neighbours < mean).all()
    check_picture(tmp_path / "inpainted.png", 4, 8)


@pytest.mark.slow
def test_digits_by_class(tmp_path):
    out = run(
        "examples/plot_digits_by_class.py",
        *("--n-components", 16, "--n-gaussians", 1, 3, 30),
        folder=tmp_path,
    ).stdout
    assert "lowest BIC: 3 Gaussians" in out
    assert figures(out, "a Gaussian for each")[0] > 0.95
    check_picture(tmp_path / "digits_by_class.png", 2, 2)


@pytest.mark.slow
def test_diffusion_of_digits(tmp_path):
    out = run(
        "examples/plot_diffusion_digits.py", "--max-images", 10_000, folder=tmp_path
    ).stdout
    first, now = figures(out.replace(",", ""), "10000 digits seen in")[-2:]
    assert now < 0.9 < first
    check_picture(tmp_path / "diffusion_digits.png", 2, 2)


@pytest.mark.slow
def test_training_of_diffusion(tmp_path):
    """A tiny run, killed by its time, that goes on."""
    images = random_walks(260, 8, 20)
    np.savez(
        tmp_path / "images.npz",
        train=images[:200],
        test=images[200:],
        train_labels=np.arange(200) % 2,
    )
    write_judge(tmp_path / "judge.ts")
    command = (
        "examples/train_diffusion.py",
        *("--data", "images.npz", "--judge", "judge.ts", "--labels", "--width", 4),
        *("--n-components", 150, "--n-samples", 40, "--output", "out"),
    )
    seen = []
    for minutes in (0.02, 0.04):
        out = run(*command, "--minutes", minutes, folder=tmp_path).stdout
        line = next(line for line in out.splitlines() if "parameters" in line)
        seen.append(int(line.split()[0].replace(",", "")))
        assert "Fréchet distance to 60 test images" in out
    assert seen[1] > seen[0] > 0
    with np.load(tmp_path / "out" / "draws.npz") as saved:
        assert saved["images"].shape == (40, 8, 8, 3)
        assert saved["images"].std(axis=0).min() > 0
    check_picture(tmp_path / "out" / "known.png", 2, 3)
    assert (tmp_path / "out" / "draws.png").exists()


@pytest.mark.slow
def test_parts_of_diffusion(tmp_path):
    write_judge(tmp_path / "judge.ts")
    out = run(
        "benchmarks/bench_diffusion.py",
        *("--minutes", 0.01, "--width", 4, "--n-samples", 8, "--steps"),
        *("--judge", "judge.ts"),
        *("--output", "results.json", "--variants", "pixels"),
        *("whole: + a third of the codes", "whole, coloured noise"),
        folder=tmp_path,
    ).stdout
    assert "| exact flow | plain |" in out
    results = json.loads((tmp_path / "results.json").read_text())
    assert [row["images seen"] > 0 for row in results] == [True] * 3
    assert 0.5 < results[1]["error, test"] < 3
    assert all(row["frechet_distance"] > 0 for row in results)
    assert all(row["exact flow"] > 0 < row["plain"] for row in results[1]["steps"])


@pytest.mark.slow
def test_anomalies(tmp_path):
    out = run("examples/plot_anomalies.py", "--n-notes", 60, folder=tmp_path).stdout
    mean, worst, notes = figures(out, "skspectral")
    assert mean > 0.98
    assert worst > 0.95
    assert notes > figures(out, "isolation forest")[2]
    assert "GridSearchCV by likelihood chooses" in out
    assert "area in cross-validation 0.9" in out
    check_picture(tmp_path / "anomalies.png", 2, 3)


@pytest.mark.slow
def test_bench_inference(tmp_path):
    images = random_walks(140, 10, 8)
    np.savez(tmp_path / "images.npz", train=images[:100], test=images[100:])
    write_notes(tmp_path / "notes.npz", 100, 40)
    out = run(
        "benchmarks/bench_inference.py",
        *("--images", "images.npz", "--signals", "notes.npz", "--n-low-rank", 3),
        *("--impute-train", 60, "--n-impute", 5, "--timeout", 1),
        folder=tmp_path,
    ).stdout
    assert "| missing | method | RMSE |" in out
    report = json.loads((tmp_path / "bench_inference.json").read_text())
    assert report["machine"]["torch"]
    for kind in ("images", "signals"):
        results = report["results"][kind]
        rows = {row["method"]: row for row in results["denoise"]}
        assert rows["PCA"]["db_over_PCA"] == 0
        assert rows["wavelets"]["time_over_wavelets"] == 1
        assert all(row["db"] >= rows["noisy"]["db"] for row in rows.values())
        assert ("ssim" in rows["noisy"]) == (kind == "images")
        for row in results["impute"]:
            assert row["rmse"] > 0
            assert (row["rmse_over_mean"] == 1) == (row["method"] == "mean filling")
        # With so little time, IterativeImputer may not come to an end.
        names = {row["method"] for row in results["impute_crops"]}
        assert "IterativeImputer" in names


@pytest.mark.slow
@pytest.mark.parametrize("generated", [False, True])
def test_bench_refinement(tmp_path, generated):
    options = ["--size", "40", "--fit-size", "60", "--minutes", "0.02"]
    if generated:
        noise = np.random.default_rng(0).integers(0, 256, (140, 32, 32, 3))
        np.savez(tmp_path / "noise.npz", images=noise.astype(np.uint8))
        options += ["--generated", "noise.npz"]
    else:
        options += ["--translator", "--pictures", "pictures"]
    out = run("benchmarks/bench_refinement.py", *options, folder=tmp_path).stdout
    name = "noise" if generated else "autoencoder"
    results = json.loads((tmp_path / "bench_refinement.json").read_text())["results"]
    rows = {row["method"]: row for row in results if row["images"] == name}
    assert "| mean log |" in out
    assert rows["none"]["AUC frozen"] > 0.95
    assert rows["none"]["distance"] > rows["mean log"]["distance"]
    assert rows["mean log"]["fit s"] > 0
    assert np.isfinite(rows["mean log"]["PSNR"])
    if not generated:
        assert rows["translator"]["epochs"] > 0
        picture = np.asarray(Image.open(tmp_path / "pictures/autoencoder.png"))
        assert np.ptp(picture) == 255


class Features(torch.nn.Module):
    """Features and logits of images, as a judge gives them."""

    def forward(self, x):
        coarse = torch.nn.functional.avg_pool2d(x, 4).flatten(1)
        return coarse, coarse[:, :3]


@pytest.mark.slow
def test_generation(tmp_path, in_this_process):
    images = random_walks(400, 8, 20)
    labels = np.random.default_rng(1).integers(2, size=300)
    np.savez(
        tmp_path / "images.npz",
        train=images[:300],
        test=images[300:],
        train_labels=labels,
    )
    write_judge(tmp_path / "judge.ts")
    command = (
        "benchmarks/generation/run.py",
        *("--data", "images.npz", "--judge", "judge.ts", "--n-samples", 100),
        *("--minutes", 0.05, "--output", "out", "--methods", "training images"),
        *("VAE", "GAN", "diffusion", "Gaussian on pixels", "PCA 128 + mixture of 10"),
        "PCA 512 + Gaussian by class",
        *(
            "ours, 128 plane waves, Gaussian",
            "ours, 1024 plane waves, contrast by class",
            "ours, 1024 plane waves, diffusion",
        ),
    )
    table = run(*command, folder=tmp_path).stdout
    out = tmp_path / "out"
    assert (out / "results.md").read_text() == table
    report = json.loads((out / "results.json").read_text())
    assert report["machine"]["torch"]
    rows = {row["method"]: row for row in report["results"]}
    # Copies are found out.
    floor = rows.pop("training images")
    assert floor["memorization_features"] == floor["memorization_pixels"] == 0
    assert floor["copies"] == 1
    assert all(row["memorization_pixels"] > 0.3 for row in rows.values())
    # Few steps of a network do not come close; a Gaussian of random walks is right.
    gaussian = rows["Gaussian on pixels"]
    networks = ("VAE", "GAN", "diffusion")
    # Draws near the mean are often nearer to a sample than others of so few are; on a
    # slow machine, all draws of a network are near the mean.
    assert all(rows[name]["copies"] < 1 for name in rows if name not in networks)
    for name in networks:
        assert rows[name]["frechet_distance"] > gaussian["frechet_distance"]
        assert rows[name]["coverage"] <= gaussian["coverage"]
    for row in rows.values():
        assert row["n_parameters"] > 0
        assert row["fit_s"] > 0
        with np.load(out / f"{row['method']}.npz") as saved:
            assert saved["images"].shape == (100, 8, 8, 3)
            assert saved["images"].dtype == np.uint8
            assert saved["images"].std(axis=0).min() > 0
        with Image.open(out / f"{row['method']}.png") as picture:
            assert picture.size == (128, 128)
    check_picture(out / "samples.jpg", 1, 1)
    # What is there is not run again: not even a method that now would fail.
    written = {path: path.stat().st_mtime_ns for path in out.glob("*.npz")}
    assert run(*command, folder=tmp_path).stdout == table
    assert {path: path.stat().st_mtime_ns for path in out.glob("*.npz")} == written


def test_generation_of_an_unknown_method(tmp_path):
    write_images(tmp_path / "images.npz")
    done = run(
        "benchmarks/generation/run.py",
        *("--data", "images.npz", "--methods", "flow"),
        folder=tmp_path,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: no method 'flow'; there are [")
