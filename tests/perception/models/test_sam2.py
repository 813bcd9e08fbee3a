import json
from itertools import pairwise

import numpy as np
import pytest
import torch

from persona.core.errors import FileFormatError, InputError, MissingPartError
from persona.perception.models.pictures import prepare
from persona.perception.models.sam2 import Sam2

CPU = torch.device("cpu")
BOX = (10.0, 20.0, 60.0, 100.0)


def film(count):
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (120, 90, 3), dtype=np.uint8) for _ in range(count)]


def test_a_person_is_followed_as_the_model_itself_does(weights):
    """Forgetting changes nothing: the same calls on a session that keeps all give the same."""
    import transformers

    sam2 = Sam2.load(weights / "sam2", device=CPU)
    pictures, follower = film(9), sam2.follow()
    assert not follower.started
    made = [follower.start(pictures[0], BOX), *(follower.next(p) for p in pictures[1:])]
    assert follower.started
    session = transformers.Sam2VideoInferenceSession(
        video_height=120, video_width=90, dtype=torch.float32
    )
    place = session.obj_id_to_idx(1)
    corners = torch.tensor([[[[10 * 64 / 90, 20 * 64 / 120], [60 * 64 / 90, 100 * 64 / 120]]]])
    prompt = {"point_coords": corners, "point_labels": torch.tensor([[[2, 3]]])}
    session.add_point_inputs(place, 0, prompt)
    session.obj_with_new_inputs = [1]
    for mask, picture in zip(made, pictures, strict=True):
        seen = sam2.model(inference_session=session, frame=prepare(picture, 64))
        wanted = torch.nn.functional.interpolate(seen.pred_masks, (120, 90), mode="bilinear")
        torch.testing.assert_close(torch.from_numpy(mask), wanted[0, 0].sigmoid().clone())
    assert len(session.processed_frames) == 9
    assert any(np.abs(a - b).max() > 1e-4 for a, b in pairwise(made))


def test_a_long_film_takes_no_more_memory(weights):
    follower = Sam2.load(weights / "sam2", device=CPU).follow()
    pictures = film(12)
    follower.start(pictures[0], BOX)
    for picture in pictures[1:]:
        follower.next(picture)
    assert not follower._session.processed_frames
    assert len(follower._session.output_dict_per_obj[0]["non_cond_frame_outputs"]) == 4


def test_whom_the_model_does_not_see_is_not_there(weights):
    sam2 = Sam2.load(weights / "sam2", device=CPU)
    torch.nn.init.constant_(sam2.model.mask_decoder.pred_obj_score_head.proj_out.bias, -5.0)
    assert sam2.follow().start(film(1)[0], BOX) is None


def test_nobody_is_followed_before_the_first_picture(weights):
    with pytest.raises(InputError, match="before the first"):
        Sam2.load(weights / "sam2", device=CPU).follow().next(film(1)[0])


def test_damaged_weights_are_refused(weights):
    config = weights / "sam2" / "config.json"
    wrong = json.loads(config.read_text()) | {"memory_attention_num_layers": 2}
    config.write_text(json.dumps(wrong))
    with pytest.raises(FileFormatError, match="sam2"):
        Sam2.load(weights / "sam2", device=CPU)
    file = next((weights / "sam2").glob("*.safetensors"))
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(FileFormatError, match="cannot be read"):
        Sam2.load(weights / "sam2", device=CPU)
    file.unlink()
    with pytest.raises(MissingPartError, match="safetensors") as caught:
        Sam2.load(weights / "sam2", device=CPU)
    assert "persona weights fetch sam2.1-hiera-large" in caught.value.fix
