"""Which models label frames: their names, what each is for, and which go together."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from persona.core.errors import InputError

EMBEDDED: Final = "embedded"
"""No model: the perception that needs no weights."""
Role = Literal["mask", "joints", "parts", "edges", "normals", "depth", "face"]


@dataclass(frozen=True)
class LabelModel:
    """One model."""

    role: Role
    """What it says of a frame."""
    weights: str
    """Name among `core.weights_table.ENTRIES`."""


LABEL_MODELS: Final[dict[str, LabelModel]] = {
    "sam2": LabelModel("mask", "sam2.1-hiera-large"),
    "vitpose": LabelModel("joints", "vitpose-plus-huge"),
    "sapiens2-pose": LabelModel("joints", "sapiens2-pose-0.4b"),
    "sapiens2-parts": LabelModel("parts", "sapiens2-seg-0.4b"),
    "vitmatte": LabelModel("edges", "vitmatte-small-composition-1k"),
    "sapiens2-matting": LabelModel("edges", "sapiens2-matting-1b"),
    "marigold": LabelModel("normals", "marigold-normals-v0-1"),
    "sapiens2-normals": LabelModel("normals", "sapiens2-normal-0.4b"),
    "depth-anything": LabelModel("depth", "depth-anything-v2-metric-indoor-small"),
    "depth-pro": LabelModel("depth", "depth-pro"),
    "swin2sr": LabelModel("face", "swin2sr-classical-sr-x2-64"),
}
"""Every model by what people call it."""
SETS: Final[dict[str, tuple[str, ...]]] = {
    "models": ("sam2", "vitpose"),
    "geometry": ("marigold", "depth-anything"),
    "sapiens2": ("sapiens2-pose", "sapiens2-parts", "sapiens2-normals"),
}
"""Names for several."""


def parse_labels(text: str) -> tuple[str, ...]:
    """Take NAME or NAME+NAME apart into models, in the order of `LABEL_MODELS`.

    Returns:
        Names of models; none for "embedded".

    Raises:
        InputError: A name is unknown or there twice, or two models would say the same.
    """
    if text == EMBEDDED:
        return ()
    given = text.split("+")
    strange = [name for name in given if name not in LABEL_MODELS and name not in SETS]
    if strange or len(set(given)) != len(given):
        raise InputError(
            f"the labels {text!r} were asked for",
            why=f"there are {', '.join(LABEL_MODELS)}; the sets {', '.join(SETS)}; each at most "
            f"once; or {EMBEDDED} alone",
            fix="for example: --labels models+geometry",
        )
    wanted = [model for name in given for model in SETS.get(name, (name,))]
    by_role: dict[Role, str] = {}
    for model in wanted:
        by_role[LABEL_MODELS[model].role] = model
    last = [model for model in LABEL_MODELS if model in by_role.values()]
    for model in dict.fromkeys(wanted):
        role = LABEL_MODELS[model].role
        if by_role[role] != model:
            raise InputError(
                f"{model} and {by_role[role]} were both asked for their {role}",
                why=f"a frame has one set of {role}: one of them would be made for nothing",
                fix=f"--labels {'+'.join(last)}",
            )
    return tuple(last)


def parse_folders(texts: Iterable[str]) -> dict[str, Path]:
    """Take NAME=FOLDER apart.

    Raises:
        InputError: A model is unknown or there twice, or no folder is named.
    """
    folders: dict[str, Path] = {}
    for text in texts:
        name, _, folder = text.partition("=")
        if name not in LABEL_MODELS or not folder or name in folders:
            raise InputError(
                f"{text!r} was given as the folder of a label model",
                why=f"it is written NAME=FOLDER, once for each of {', '.join(LABEL_MODELS)}",
                fix="for example: --label-folders sam2=/weights/sam2",
            )
        folders[name] = Path(folder)
    return folders
