"""What VMC calls bones and faces: Unity's human bones, ARKit's shapes, VRM's presets."""

from typing import Final

from persona.body.skeleton import FINGERS, JOINT_IDS

_SPINE: Final = {
    "Hips": "pelvis", "Spine": "spine1", "Chest": "spine2", "UpperChest": "spine3",
    "Neck": "neck", "Head": "head", "Jaw": "jaw",
}  # fmt: skip
_SIDED: Final = {
    "Shoulder": "collar", "UpperArm": "shoulder", "LowerArm": "elbow", "Hand": "wrist",
    "UpperLeg": "hip", "LowerLeg": "knee", "Foot": "ankle", "Toes": "foot", "Eye": "eye",
}  # fmt: skip
_SEGMENTS: Final = ("Proximal", "Intermediate", "Distal")

BONES: Final[dict[str, int]] = {
    **{unity: JOINT_IDS[ours] for unity, ours in _SPINE.items()},
    **{
        f"{side}{unity}": JOINT_IDS[f"{side.lower()}_{ours}"]
        for side in ("Left", "Right")
        for unity, ours in _SIDED.items()
    },
    **{
        f"{side}{'Little' if finger == 'pinky' else finger.title()}{segment}": JOINT_IDS[
            f"{side.lower()}_{finger}{k}"
        ]
        for side in ("Left", "Right")
        for finger in FINGERS
        for k, segment in enumerate(_SEGMENTS, start=1)
    },
}
"""Unity's name -> SMPL-X joint; all 55."""

_BLINK: Final = {"left": "eyeBlinkLeft", "right": "eyeBlinkRight"}
_SMILE: Final = {"mouthSmileLeft": 1.0, "mouthSmileRight": 1.0}
_FROWN: Final = {"mouthFrownLeft": 1.0, "mouthFrownRight": 1.0, "browInnerUp": 0.6}
_KNIT: Final = {"browDownLeft": 1.0, "browDownRight": 1.0, "mouthPressLeft": 0.5,
                "mouthPressRight": 0.5}  # fmt: skip
_AA: Final = {"jawOpen": 0.7}
_IH: Final = {"jawOpen": 0.2, "mouthStretchLeft": 0.6, "mouthStretchRight": 0.6}
_OU: Final = {"mouthPucker": 0.8, "jawOpen": 0.1}
_EE: Final = {"jawOpen": 0.3, "mouthSmileLeft": 0.4, "mouthSmileRight": 0.4}
_OH: Final = {"mouthFunnel": 0.8, "jawOpen": 0.3}

PRESETS: Final[dict[str, dict[str, float]]] = {
    **dict.fromkeys(("joy", "happy", "fun", "relaxed"), _SMILE),
    **{"angry": _KNIT, "sorrow": _FROWN, "sad": _FROWN},
    "surprised": {"browInnerUp": 1.0, "eyeWideLeft": 1.0, "eyeWideRight": 1.0, "jawOpen": 0.4},
    **{"a": _AA, "aa": _AA, "i": _IH, "ih": _IH, "u": _OU, "ou": _OU},
    **{"e": _EE, "ee": _EE, "o": _OH, "oh": _OH},
    "blink": {_BLINK["left"]: 1.0, _BLINK["right"]: 1.0},
    **{name: {_BLINK["left"]: 1.0} for name in ("blink_l", "blinkleft")},
    **{name: {_BLINK["right"]: 1.0} for name in ("blink_r", "blinkright")},
}
"""VRM's presets, 0.x and 1.0, in lower case -> ARKit shapes and strengths, by the author's eye."""
