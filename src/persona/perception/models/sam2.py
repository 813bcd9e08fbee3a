"""SAM 2: the mask of one person, followed from picture to picture."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch

from persona.core.errors import InputError
from persona.core.optional import require
from persona.core.pretrained import read_pretrained
from persona.perception.detectors import Picture, Plane
from persona.perception.models.pictures import prepare

WEIGHTS: Final = "sam2.1-hiera-large"
PERSON: Final = 1
"""Number of the one thing that is followed."""
CORNERS: Final = (2, 3)
"""What the model calls the first and the second corner of a box."""


@dataclass(frozen=True, kw_only=True)
class Sam2:
    """The model; `follow` begins with a new film.

    References:
        Ravi et al., "SAM 2: Segment Anything in Images and Videos", 2024.
    """

    model: Any
    """Sam2VideoModel."""
    device: torch.device
    """Where to compute, in float32."""

    @staticmethod
    def load(folder: Path, *, device: torch.device) -> "Sam2":
        """Read the published folder.

        Raises:
            MissingPartError: The extra or a part is missing.
            FileFormatError: A part is damaged, or another model's.
        """
        transformers = require("transformers", extra="diffusion", purpose="label frames")
        kind = transformers.Sam2VideoModel
        model = read_pretrained(kind, folder, torch.float32, weights=WEIGHTS)
        return Sam2(model=model.to(device), device=device)

    def follow(self) -> "Follower":
        """Begin with a film."""
        return Follower(self)


class Follower:
    """Who is followed through a film, and what is remembered of them."""

    def __init__(self, sam2: Sam2) -> None:
        self._sam2 = sam2
        self._session: Any = None
        self._count = 0

    @property
    def started(self) -> bool:
        """Whether somebody is followed."""
        return self._session is not None

    @torch.no_grad()
    def start(self, picture: Picture, box: tuple[float, float, float, float]) -> Plane | None:
        """Follow whoever fills a box, from now on.

        Args:
            picture: The first picture.
            box: Left, top, right, bottom [px].

        Returns:
            See `next`.
        """
        transformers = require("transformers", extra="diffusion", purpose="label frames")
        (height, width), device = picture.shape[:2], self._sam2.device
        self._session, self._count = (
            transformers.Sam2VideoInferenceSession(
                video_height=height,
                video_width=width,
                inference_device=device,
                inference_state_device=device,
                video_storage_device=device,
                dtype=torch.float32,
            ),
            0,
        )
        side = self._side
        corners = torch.tensor(box).view(1, 1, 2, 2) * torch.tensor([side / width, side / height])
        place = self._session.obj_id_to_idx(PERSON)
        labels = torch.tensor(CORNERS, dtype=torch.int32).view(1, 1, 2)
        prompt = {"point_coords": corners, "point_labels": labels}
        self._session.add_point_inputs(place, 0, prompt)
        self._session.obj_with_new_inputs = [PERSON]
        return self.next(picture)

    @torch.no_grad()
    def next(self, picture: Picture) -> Plane | None:
        """Look at the next picture.

        Returns:
            How sure the model is that a pixel shows the person; None where it does not see them.

        Raises:
            InputError: Nobody is followed yet.
        """
        if self._session is None:
            raise InputError(
                "the next picture of a film came before the first",
                why="nobody is followed yet",
                fix="call start with the person's box",
            )
        made = self._sam2.model(
            inference_session=self._session,
            frame_idx=self._count,
            frame=prepare(picture, self._side).to(self._sam2.device),
        )
        self._forget()
        self._count += 1
        if float(made.object_score_logits.flatten()[0]) <= 0:
            return None
        logits = torch.nn.functional.interpolate(
            made.pred_masks[:, :1].float(), picture.shape[:2], mode="bilinear", align_corners=False
        )[0, 0]
        return torch.sigmoid(logits).cpu().numpy()

    def _forget(self) -> None:
        """Drop what the model does not look back to: a film of any length takes no more memory."""
        config, session = self._sam2.model.config, self._session
        session.processed_frames.pop(self._count)
        back = max(config.num_maskmem, config.max_object_pointers_in_encoder)
        for kept in session.output_dict_per_obj.values():
            kept["non_cond_frame_outputs"].pop(self._count - back, None)

    @property
    def _side(self) -> int:
        return self._sam2.model.config.image_size
