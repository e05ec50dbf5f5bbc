"""How the gallery runs the examples: they write to a folder, which is shown.

The examples are plain scripts that draw into files. Here they are told to write beside
the pages of the gallery.
"""
# SPDX-License-Identifier: BSD-3-Clause

import base64
import shutil
from pathlib import Path
from typing import Any

from sphinx_gallery.scrapers import figure_rst

# A third of the training that the example asks for, which takes most of its minute.
SHORTENED = {"plot_diffusion_digits": ["--max-images", "40000"]}
INTO_A_FOLDER = ("plot_sound",)

PLAYER = """
.. raw:: html

    <p>{name}<br><audio controls src="data:audio/wav;base64,{data}"></audio></p>
"""


def folder(conf: dict[str, Any], script: dict[str, Any]) -> Path:
    """Where an example writes to."""
    parent = Path(conf["src_dir"]) / conf["gallery_dirs"] / "written"
    return parent / Path(script["src_file"]).stem


def arguments(conf: dict[str, Any], script: dict[str, Any]) -> list[str]:
    """Arguments of an example, whose folder is emptied first."""
    out, name = folder(conf, script), Path(script["src_file"]).stem
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    written = ["--out", out] if name in INTO_A_FOLDER else ["--output", out / "0.png"]
    return [*map(str, written), *SHORTENED.get(name, [])]


def pictures_and_sounds(
    block: Any, script: dict[str, Any], conf: dict[str, Any]
) -> str:
    """Show what a block of an example has written since the one before."""
    out, shown, paths = folder(conf, script), "", []
    for file in sorted(out.iterdir()):
        if file.suffix == ".wav":
            data = base64.b64encode(file.read_bytes()).decode()
            shown += PLAYER.format(name=file.stem, data=data)
        elif file.suffix == ".png":
            paths.append(Path(next(script["image_path_iterator"])))
            shutil.copyfile(file, paths[-1])
        file.unlink()
    return (figure_rst(paths, conf["src_dir"]) if paths else "") + shown
