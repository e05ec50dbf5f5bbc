"""How the gallery runs the examples: they write to a folder, which is shown.

The examples are plain scripts that draw into files. Here they are told where to.
"""
# SPDX-License-Identifier: BSD-3-Clause

import ast
import base64
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sphinx_gallery.scrapers import figure_rst

# A sixth of the training that the example asks for: its pictures are nearly the same.
SHORTENED = {"plot_diffusion_digits": ["--max-images", "20000"]}
INTO_A_FOLDER = ("plot_sound",)
# What most readers come for stands first; the other examples follow by name.
FIRST = (
    "plot_quickstart.py",
    "plot_generate_images.py",
    "plot_denoise.py",
    "plot_inpaint.py",
    "plot_fill_gaps.py",
    "plot_anomalies.py",
    "plot_sound.py",
)

PLAYER = """
.. raw:: html

    <p>{name}<br><audio controls src="data:audio/wav;base64,{data}"></audio></p>
"""

_written = TemporaryDirectory()


def folder(script: dict[str, Any]) -> Path:
    """Where an example writes to."""
    return Path(_written.name) / Path(script["src_file"]).stem


def place(name: str) -> tuple[int, str]:
    """Where an example stands in the gallery, as a key to sort by."""
    return (FIRST.index(name) if name in FIRST else len(FIRST)), name


def arguments(conf: dict[str, Any], script: dict[str, Any]) -> list[str]:
    """Arguments of an example, which also gets back its docstring, for ``--help``."""
    source = Path(script["src_file"])
    docstring = ast.get_docstring(ast.parse(source.read_text()), clean=False)
    script["example_globals"]["__doc__"] = docstring
    out = folder(script)
    out.mkdir()
    if source.stem in INTO_A_FOLDER:
        written = ["--out", str(out)]
    else:
        written = ["--output", str(out / f"{source.stem}.png")]
    return [*written, *SHORTENED.get(source.stem, [])]


def pictures_and_sounds(
    block: Any, script: dict[str, Any], conf: dict[str, Any]
) -> str:
    """Show what a block of an example has written."""
    pictures, players = [], ""
    for file in sorted(folder(script).glob("*")):
        if file.suffix == ".png":
            pictures.append(Path(next(script["image_path_iterator"])))
            shutil.copyfile(file, pictures[-1])
        elif file.suffix == ".wav":
            data = base64.b64encode(file.read_bytes()).decode()
            players += PLAYER.format(name=file.stem, data=data)
        file.unlink()
    return (figure_rst(pictures, conf["src_dir"]) if pictures else "") + players
