"""Writes a figure into a file that a repository can hold: a PNG of few colours is a third as large."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from azr import files

#: Plots have a dozen colours, and shades of them at the edges of lines and letters.
COLOURS = 64


def write_picture(figure: Any, path: Path, dpi: int) -> None:
    """Write a matplotlib figure; the suffix (.png, .svg) chooses the format."""
    kind = path.suffix.removeprefix(".")
    with files.replacing(path) as file:
        if kind != "png":
            figure.savefig(file, format=kind, dpi=dpi)
            return
        from PIL import Image

        figure.set_dpi(dpi)
        figure.canvas.draw()
        drawn = Image.frombuffer("RGBA", figure.canvas.get_width_height(), figure.canvas.buffer_rgba())
        drawn.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(file, format="png", optimize=True)
