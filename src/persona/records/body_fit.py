"""BodyFit: the body and camera that explain an observation, with residuals."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from persona.core.checks import check_finite
from persona.records.body_params import BodyParams


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What stays when the person moves; fitted once, then frozen.

    Raises:
        InputError: Some entry is not finite.
    """

    betas: Float[Tensor, " s"]
    """Shape coefficients [standard deviations]."""
    joint_offsets: Float[Tensor, "55 3"]
    """Added to the rest joints of the shaped body [m]; bone lengths. The root's is zero."""
    vertex_offsets: Float[Tensor, "v 3"]
    """Added to the shaped rest vertices [m]: the person's own face under the 478 landmarks."""
    body_name: str = "open_body"
    """The body file these numbers belong to."""
    body_digest: str = ""
    """SHA-256 of that file, hexadecimal."""

    def __post_init__(self) -> None:
        for name in ("betas", "joint_offsets", "vertex_offsets"):
            check_finite(name, getattr(self, name))


@dataclass(frozen=True, kw_only=True)
class BodyFit:
    """A naked body that stands where the person stands, seen by the photo's camera."""

    identity: Identity
    """Shape, bone lengths and face."""
    params: BodyParams
    """Pose, expression and translation of the photo, without batch axes; betas repeat identity."""
    focal_px: float
    """Focal length in pixels of the upright photo."""
    image_size: tuple[int, int]
    """Width and height of the upright photo [px]; the axis meets its middle."""
    keypoint_error_px: float
    """Mean distance of the keypoints from shoulders to toes, the person scaled to 512 px [px]."""
    body_iou: float
    """Overlap of the naked body with the mask, intersection over union; the mask farther than 9 cm
    from the body (a bag, a brim, a skirt) is not counted."""
    lean_m: float
    """Ankles behind the pelvis [m], positive away from the camera."""
    standing: bool
    """Whether the person was judged to stand upright on both legs."""
    left_hand_seen: bool
    """Whether the left hand was fitted to landmarks; otherwise it is relaxed."""
    right_hand_seen: bool
    """Whether the right hand was fitted to landmarks; otherwise it is relaxed."""
    warnings: tuple[str, ...] = ()
    """Sentences for the report."""
