"""What completion knows of each Gaussian: place, limb, part, and colour where seen."""

from dataclasses import dataclass, fields

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Surface:
    """What completion knows of each Gaussian; rows belong together, arrays of numpy."""

    rest: np.ndarray
    """Rest pose, naked body's surface [m], (n, 3)."""
    limb: np.ndarray
    """A `Limb` for each."""
    hair_shell: np.ndarray
    """Whether it belongs to the shell of hair."""
    part: np.ndarray
    """A `Part`; trusted where seen, filled in by `spread_parts` elsewhere."""
    seen: np.ndarray
    """Whether its colour is known."""
    copyable: np.ndarray
    """Whether it is seen well inside its part, so that its colour may be copied elsewhere."""
    color: np.ndarray
    """sRGB; trusted where seen."""
    mirrored: np.ndarray
    """What the photo shows at its twin on the other half of the head, sRGB; nan where nothing."""

    def rows(self, chosen: np.ndarray) -> "Surface":
        """Give the chosen Gaussians alone, bool (n,)."""
        return Surface(**{f.name: getattr(self, f.name)[chosen] for f in fields(self)})
