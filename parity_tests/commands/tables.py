"""A table whose targets follow from its features: a class of three, one of two, and a number."""

from pathlib import Path

import numpy as np


def write_table(path: Path) -> None:
    """Write 60 rows: three features, and the targets kind, two and price."""
    random = np.random.default_rng(8)
    x = random.normal((30, 1.5, 0), (9, 0.2, 1), (60, 3))
    lines = ["id,age,height,noise,kind,two,price"]
    for i, (age, height, noise) in enumerate(x):
        kind, two = "abc"[int(age > 26) + int(age > 34)], "yes" if height > 1.5 else "no"
        lines.append(f"{i},{age:.3f},{height:.4f},{noise:.3f},{kind},{two},{1000 + 20 * age + 100 * height:.2f}")
    path.write_text("\n".join(lines) + "\n")
