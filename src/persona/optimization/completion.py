"""Colour for what the photo does not show, from what it shows of the same garment."""

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spla
from scipy.ndimage import gaussian_filter1d
from scipy.spatial import cKDTree

from persona.optimization.head import looks_like_skin, nearest_hair
from persona.optimization.limbs import MIRROR, Limb, along, front_plane
from persona.optimization.surface import Surface
from persona.records.observation import Part

SLICE = 0.01
"""Length of a slice across a limb [m]."""
SLICE_SIGMA = 2.5
"""How far a slice's colour reaches along the limb [slices]."""
STRIPED = 0.045
"""Mean difference between a slice and the mean around it from which cloth has stripes [sRGB]."""
STRIPE_SIGMA = 0.5
"""How far a slice's colour reaches where it has [slices]."""
RIM_VOTERS = 3
"""Seen Gaussians of a slice's rim on either side that say what goes round."""
SEAM_LEAK = 0.08
"""Pull of a completed colour towards its own guess against its neighbours'; 2 cm of blending."""
SEAM_NEIGHBORS = 6
"""Neighbours over which seams are blended."""
DETAIL_LIMIT = {
    Part.UPPER: 0.10,
    Part.LOWER: 0.10,
    Part.SKIN: 0.025,
    Part.HAIR: 0.12,
    Part.SHOES: 0.12,
}
"""Largest deviation of a copied detail from its slice's colour, so that no print is copied."""
DETAIL_NEIGHBORS = 48
"""Detail is what differs from the mean of so many neighbours: a patch 4 cm wide on a torso."""
LIKE_SLEEVES = 0.2
"""Largest difference in any channel from the sleeves' or the trousers' usual colour [sRGB]."""
LAYER_BORDER = 0.012
"""Cloth nearer than this to another layer is not copied [m]."""
VOTERS = 15
"""Seen Gaussians that decide what an unseen one of the torso shows."""
COLLAR = 0.1
"""Half the width of the widest collar opening that stays in front [m]."""
HEM_ROUNDS = 2
"""Votes after which a hem is straight."""
SHADE_SHARE = 0.7
"""How much of a slice's shade is taken away [-]."""
SAME_HUE = (0.12, 0.3)
"""Differences of a channel over the mean of all up to which cloth is alike, and from which not."""
SHADE_STEP = (0.5, 0.9)
"""Steps of lightness that are shade, and that are a pattern [natural logarithm]."""
FACE_VOTERS = 60
"""Seen skin of the head whose mean colours a place beside it."""
FACE_REACH = 0.01
"""Distance within which that skin counts alike [m]."""
ENOUGH = 60
"""Seen Gaussians from which a limb's colours can be read."""
OUTER = 0.45
"""Beyond this share of the half-width a torso's front shows the cloth that also covers the back."""


def complete_colors(surface: Surface) -> np.ndarray:
    """Guess the colours of unseen Gaussians and blend them into the seen ones.

    Every unseen Gaussian takes the robust colour of the slice of its limb that shows the same
    part (so that hems stay where they are), plus the fine detail of the seen Gaussian in front of
    it, clipped so that a weave is copied and a print is not.

    Returns:
        Colours for all Gaussians, sRGB in [0, 1], (n, 3); seen ones unchanged.
    """
    guess = surface.color.copy()
    detail = np.zeros_like(guess)
    for limb in Limb:
        for part in Part:
            if part is Part.BACKGROUND:
                continue
            _complete_group(surface, limb, part, guess, detail)
    guess += detail
    return np.clip(_blend_seams(surface, guess), 0, 1)


def spread_parts(surface: Surface) -> np.ndarray:
    """Say what the unseen Gaussians show: the commonest part of their slice, seen from outside in.

    Returns:
        A `Part` for each Gaussian; seen ones keep theirs.
    """
    part = surface.part.copy()
    for limb in Limb:
        mine = surface.limb == limb
        both = mine | (surface.limb == MIRROR[limb])
        known = surface.seen & (surface.part > 0)
        source = mine & known if (mine & known).sum() >= 200 else both & known
        if limb is Limb.HEAD or not source.any():
            continue
        unknown = np.where(mine & ~known)[0]
        if limb is Limb.TORSO:
            seen = np.where(source)[0]
            collar = surface.rest[:, 1] > np.median(surface.rest[mine, 1])
            above, below = unknown[collar[unknown]], unknown[~collar[unknown]]
            part[above] = _collar_parts(surface, seen, above)
            part[below] = _slice_parts(surface, limb, seen, below)
        else:
            part[unknown] = _slice_parts(surface, limb, np.where(source)[0], unknown)
    return _straighten_hems(surface, part)


def _straighten_hems(surface: Surface, part: np.ndarray) -> np.ndarray:
    """Let unseen Gaussians vote with their neighbours, so that a hem is a line."""
    place = np.concatenate([surface.rest, surface.limb[:, None].astype(float)], 1)
    tree = cKDTree(place)
    for _ in range(HEM_ROUNDS):
        unknown = np.where(~surface.seen)[0]
        ids = tree.query(place[unknown], VOTERS)[1]
        votes = np.zeros((len(unknown), len(Part)))
        np.add.at(votes, (np.arange(len(unknown))[:, None], part[ids]), 1.0)
        part = part.copy()
        part[unknown] = votes.argmax(1)
    return part


def _slice_parts(
    surface: Surface, limb: Limb, source: np.ndarray, unknown: np.ndarray
) -> np.ndarray:
    """Take the commonest part of each slice; slices that show nothing take the nearest's."""
    place = np.round(along(limb, surface.rest) / SLICE).astype(int)
    low = place[np.r_[source, unknown]].min()
    bins = place[np.r_[source, unknown]].max() - low + 1
    votes = np.zeros((bins, len(Part)))
    np.add.at(votes, (place[source] - low, surface.part[source]), 1.0)
    votes = gaussian_filter1d(votes, 1.0, axis=0, mode="nearest")
    votes[:, Part.HAIR] = 0  # Hair that falls over neck and chest does not go round them.
    filled = np.where(votes.sum(1) > 1e-3)[0]
    nearest = filled[np.abs(np.arange(bins)[:, None] - filled).argmin(1)]
    return votes.argmax(1)[nearest][place[unknown] - low]


def _collar_parts(surface: Surface, source: np.ndarray, unknown: np.ndarray) -> np.ndarray:
    """Ask the front of the same height, but never its middle: an open collar stays in front."""
    rest = surface.rest
    heights = np.round(rest[:, 1] / (2 * SLICE)).astype(int)
    inner = np.full(len(rest), COLLAR)
    for level in np.unique(heights[source]):
        members = source[heights[source] == level]
        half = np.percentile(np.abs(rest[members, 0]), 95)
        inner[heights == level] = max(OUTER * half, COLLAR)
    asked = np.stack([np.maximum(np.abs(rest[:, 0]), inner), rest[:, 1]], 1)
    tree = cKDTree(np.stack([np.abs(rest[source, 0]), rest[source, 1]], 1))
    voters = min(VOTERS, len(source))
    ids = tree.query(asked[unknown], voters)[1].reshape(len(unknown), voters)
    votes = np.zeros((len(unknown), len(Part)))
    np.add.at(votes, (np.arange(len(unknown))[:, None], surface.part[source][ids]), 1.0)
    votes[:, Part.HAIR] = 0
    return votes.argmax(1)


def _complete_group(
    surface: Surface, limb: Limb, part: Part, guess: np.ndarray, detail: np.ndarray
) -> None:
    """Fill one part of one limb: slices first, then detail from the front."""
    target = np.where((surface.limb == limb) & (surface.part == part) & ~surface.seen)[0]
    if len(target) == 0:
        return
    known = surface.copyable & (surface.part == part)
    if part is Part.HAIR and (known & surface.hair_shell).sum() >= ENOUGH:
        # The scalp under it lies elsewhere: the shell is laid out as in the photo.
        known &= surface.hair_shell
    source = np.where(known & (surface.limb == limb))[0]
    if len(source) < ENOUGH:
        source = np.where(known & np.isin(surface.limb, (limb, MIRROR[limb])))[0]
    if len(source) < ENOUGH:
        # Nothing of this limb is known: borrow the plain colour from the rest of the person.
        alike = surface.seen & (surface.part == part)
        anywhere = np.where(alike if alike.any() else surface.seen)[0]
        guess[target] = np.median(surface.color[anywhere], 0)
        return
    source = source[_main_cloth(surface, source, limb, part)]
    if part is Part.HAIR:
        hair = ~looks_like_skin(surface)[source]
        source = source[hair] if hair.sum() >= ENOUGH / 2 else source
    if limb is Limb.HEAD and part is Part.SKIN:
        guess[target] = _face_colors(surface, source, target)
        return
    table, low = _slices(surface, source, limb)
    if part in (Part.UPPER, Part.LOWER):
        table = _without_shade(table, np.median(surface.color[source], 0))
    guess[target] = _read(table, along(limb, surface.rest[target]) / SLICE - low)
    plane = cKDTree(front_plane(limb, surface.rest[source]))
    around = plane.query(plane.data, min(DETAIL_NEIGHBORS, len(source)))[1]
    residual = surface.color[source] - surface.color[source][around].mean(1)
    limit = DETAIL_LIMIT[part]
    if part is Part.HAIR:
        nearest = nearest_hair(surface.rest[source], surface.rest[target])
    else:
        nearest = plane.query(front_plane(limb, surface.rest[target]))[1]
    detail[target] = np.clip(residual[nearest], -limit, limit)


def _face_colors(surface: Surface, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Colour the unseen skin of a head: its twin's colour where that is seen, else its neighbours'.

    Slices would not do: lips and brows lie in slices of the face, and the sides have neither.
    """
    source = source[~surface.hair_shell[source]] if not surface.hair_shell[source].all() else source
    voters = min(FACE_VOTERS, len(source))
    distance, ids = cKDTree(surface.rest[source]).query(surface.rest[target], voters)
    share = 1 / (distance.reshape(-1, voters) + FACE_REACH) ** 2
    share /= share.sum(1, keepdims=True)
    colors = np.einsum("nk,nkc->nc", share, surface.color[source[ids.reshape(-1, voters)]])
    mirrored = surface.mirrored[target]
    return np.where(np.isnan(mirrored), colors, mirrored)


def _main_cloth(surface: Surface, source: np.ndarray, limb: Limb, part: Part) -> np.ndarray:
    """Pick the seen Gaussians of the cloth that goes round: the jacket, not the shirt inside.

    The colour that fills the outer half of the torso's front (and the sleeves) is the garment's;
    what differs clearly from it and stays in the middle is an inner layer or a print.
    """
    everything = np.arange(len(source))
    legs = (Limb.LEFT_LEG, Limb.RIGHT_LEG)
    if limb not in (Limb.TORSO, *legs) or part not in (Part.UPPER, Part.LOWER):
        return everything
    if limb in legs:
        keep = _shared_by_legs(surface, source, limb, part)
        return np.where(keep)[0] if keep.sum() > 50 else everything
    width = np.abs(surface.rest[:, 0])
    outer = width[source] > OUTER * np.percentile(width[surface.limb == limb], 95)
    sleeves = _sleeve_color(surface, part)
    place = np.round(surface.rest[source, 1] / (8 * SLICE)).astype(int)
    keep = np.zeros(len(source), bool)
    for level in np.unique(place):
        here = place == level
        rim = here & outer
        if rim.sum() < ENOUGH and sleeves is not None:
            # Arms hide the flanks: what looks like the sleeves is the garment.
            rim = here & (np.abs(surface.color[source] - sleeves).max(1) < LIKE_SLEEVES)
        if rim.sum() < 8:
            rim = here
        middle = np.median(surface.color[source[rim]], 0)
        spread = np.abs(surface.color[source[rim]] - middle).max(1)
        reach = np.clip(2.0 * np.median(spread), 0.06, 0.18)
        keep |= here & (np.abs(surface.color[source] - middle).max(1) < reach)
        keep |= here & _reaches_both_sides(surface, source, rim, reach)
    if keep.all() or keep.sum() <= 50:
        return everything
    # What borders on the inner layer is still shaded or mixed with it.
    strangers = cKDTree(surface.rest[source[~keep]])
    keep &= strangers.query(surface.rest[source])[0] > LAYER_BORDER
    return np.where(keep)[0] if keep.sum() > 50 else everything


def _reaches_both_sides(
    surface: Surface, source: np.ndarray, rim: np.ndarray, reach: float
) -> np.ndarray:
    """Tell what looks as both rims do at its own height, bool like ``source``: a stripe goes round.

    A print, a tie and the shirt in an open jacket end before one of them.
    """
    side = np.sign(surface.rest[source, 0])
    # Within a slice and the garment's own spread of colours, 1 in this space.
    place = np.concatenate([surface.rest[source, 1:2] / SLICE, surface.color[source] / reach], 1)
    alike = np.ones(len(source), bool)
    for sign in (-1, 1):
        beside = place[rim & (side == sign)]
        if len(beside) < RIM_VOTERS:
            return np.zeros(len(source), bool)
        away, _ = cKDTree(beside).query(place, RIM_VOTERS, p=np.inf)
        alike &= away[:, -1] <= 1
    return alike


def _shared_by_legs(surface: Surface, source: np.ndarray, limb: Limb, part: Part) -> np.ndarray:
    """Tell what both legs share, bool like ``source``: a print runs down one, stripes round both.

    That is the trousers' usual colour, and what the other leg shows at the same height.
    """
    both = surface.copyable & (surface.part == part)
    both &= np.isin(surface.limb, (Limb.LEFT_LEG, Limb.RIGHT_LEG))
    color, usual = surface.color[source], np.median(surface.color[both], 0)
    shared = np.abs(color - usual).max(1) < LIKE_SLEEVES
    twins = np.where(both & (surface.limb == MIRROR[limb]))[0]
    place = np.round(along(limb, surface.rest) / (2 * SLICE)).astype(int)
    for level in np.unique(place[source]):
        twin = twins[place[twins] == level]
        if len(twin) >= 4:
            here = place[source] == level
            middle = np.median(surface.color[twin], 0)
            shared[here] |= np.abs(color[here] - middle).max(1) < LIKE_SLEEVES
    return shared


def _sleeve_color(surface: Surface, part: Part) -> np.ndarray | None:
    """Give the median colour of the seen sleeves; None where arms are bare or part is no top."""
    arms = np.isin(surface.limb, (Limb.LEFT_ARM, Limb.RIGHT_ARM))
    sleeves = arms & surface.seen & (surface.part == Part.UPPER)
    if part is not Part.UPPER or sleeves.sum() < ENOUGH:
        return None
    return np.median(surface.color[sleeves], 0)


def _slices(surface: Surface, source: np.ndarray, limb: Limb) -> tuple[np.ndarray, float]:
    """Take the median colour across a limb at every centimetre, smoothed along it."""
    place = np.round(along(limb, surface.rest[source]) / SLICE).astype(int)
    low = place.min()
    bins = place.max() - low + 1
    total = np.zeros((bins, 3))
    mass = np.zeros(bins)
    for bin_ in range(bins):
        members = source[place - low == bin_]
        if len(members) >= 4:
            total[bin_] = np.median(surface.color[members], 0)
            mass[bin_] = min(len(members), 40)
    if mass.sum() == 0:
        return np.median(surface.color[source], 0)[None], float(low)
    table, smooth_mass = _smoothed(total, mass, SLICE_SIGMA)
    rough = np.abs(total - table).max(1)
    if np.average(rough, weights=mass) > STRIPED:
        table, smooth_mass = _smoothed(total, mass, STRIPE_SIGMA)
    empty = smooth_mass < 1e-3
    if empty.any():
        good = np.where(~empty)[0]
        for channel in range(3):
            table[:, channel] = np.interp(np.arange(bins), good, table[good, channel])
    return table, float(low)


def _smoothed(total: np.ndarray, mass: np.ndarray, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """Average colours of neighbouring slices, weighted by what is seen of each."""
    smooth_mass = gaussian_filter1d(mass, sigma, mode="nearest")
    smooth = gaussian_filter1d(total * mass[:, None], sigma, axis=0, mode="nearest")
    return smooth / np.maximum(smooth_mass, 1e-6)[:, None], smooth_mass


def _without_shade(table: np.ndarray, usual: np.ndarray) -> np.ndarray:
    """Bring slices that differ from a garment in lightness alone nearer to its usual colour.

    Folds and the shade of an arm do not go round a person; stripes and colour blocks, which
    differ more or in hue, do.
    """
    light, usual_light = table.mean(1, keepdims=True), usual.mean()
    hue = np.abs(table / np.maximum(light, 0.02) - usual / max(usual_light, 0.02)).max(1)
    step = np.abs(np.log(np.maximum(light[:, 0], 0.02) / max(usual_light, 0.02)))
    plain = np.interp(hue, SAME_HUE, (1, 0)) * np.interp(step, SHADE_STEP, (1, 0))
    return table + SHADE_SHARE * plain[:, None] * (usual - table)


def _read(table: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Interpolate a table of slices, constant past its ends."""
    index = np.arange(len(table))
    return np.stack([np.interp(place, index, table[:, k]) for k in range(3)], 1)


def _blend_seams(surface: Surface, guess: np.ndarray) -> np.ndarray:
    """Solve a screened Poisson equation: keep the guess's gradients, meet the seen colours."""
    unknown = np.where(~surface.seen)[0]
    if len(unknown) == 0:
        return guess
    count = len(surface.rest)
    # Limbs that touch in the picture do not touch here.
    place = np.concatenate([surface.rest, surface.limb[:, None] * 0.0], 1)
    ids = cKDTree(place).query(place, SEAM_NEIGHBORS + 1)[1][:, 1:]
    a = np.repeat(np.arange(count), SEAM_NEIGHBORS)
    b = ids.ravel()
    # The forehead that shows through thin hair does not go on over the back of the head.
    scalp = looks_like_skin(surface)
    same = (surface.part[a] == surface.part[b]) & ~(scalp[a] | scalp[b])
    a, b = a[same], b[same]
    graph = sp.csr_matrix((np.ones(len(a)), (a, b)), (count, count))
    graph = graph.maximum(graph.T)
    laplacian = sp.diags(np.asarray(graph.sum(1)).ravel()) - graph
    start = np.where(surface.seen[:, None], surface.color, guess)
    edges = graph.tocoo()
    step = guess[edges.row] - guess[edges.col]
    step[surface.seen[edges.row] | surface.seen[edges.col]] = 0
    wanted = np.stack([np.bincount(edges.row, step[:, k], count) for k in range(3)], 1)
    system = (laplacian[unknown][:, unknown] + SEAM_LEAK * sp.eye(len(unknown))).tocsr()
    known = np.where(surface.seen)[0]
    right = wanted[unknown] + SEAM_LEAK * guess[unknown]
    right -= laplacian[unknown][:, known] @ surface.color[known]
    result = start.copy()
    scale = sp.diags(1 / system.diagonal())
    for channel in range(3):
        solution, _ = spla.cg(
            system, right[:, channel], x0=guess[unknown, channel], rtol=1e-4, maxiter=200, M=scale
        )
        result[unknown, channel] = solution
    return result
