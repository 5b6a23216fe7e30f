"""Reading figures as a person would: their words and whether there is anything drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pypdfium2 as pdfium


def words(path: Path) -> str:
    """The text of a one-page PDF."""
    document = pdfium.PdfDocument(path)
    assert len(document) == 1
    return document[0].get_textpage().get_text_range()


def colours(path: Path) -> set[tuple[int, int, int]]:
    """Colours that cover more than a few pixels of a one-page PDF."""
    image = np.asarray(pdfium.PdfDocument(path)[0].render(scale=2).to_pil().convert("RGB")).reshape(-1, 3)
    found, counts = np.unique(image, axis=0, return_counts=True)
    return {(int(r), int(g), int(b)) for r, g, b in found[counts > 20]}


def rgb(colour: str) -> tuple[int, int, int]:
    """#0072B2 as numbers."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
