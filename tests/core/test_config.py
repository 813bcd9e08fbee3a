import enum
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persona.core.config import config_diff, config_from, config_hash, load_config, save_config
from persona.core.errors import FileFormatError


class Size(enum.Enum):
    SMALL = "small"
    LARGE = "large"


@dataclass(frozen=True, kw_only=True)
class Loop:
    steps: int = 60
    rate: float = 0.1


@dataclass(frozen=True, kw_only=True)
class Job:
    name: str
    loop: Loop = field(default_factory=Loop)
    size: Size = Size.SMALL
    mode: Literal["fast", "good"] = "good"
    folder: Path | None = None
    box: tuple[int, int] = (3, 4)
    notes: tuple[str, ...] = ()
    weights: dict[str, float] = field(default_factory=dict)
    careful: bool = True


jobs = st.builds(
    Job,
    name=st.text(),
    loop=st.builds(Loop, steps=st.integers(), rate=st.floats(allow_nan=False)),
    size=st.sampled_from(Size),
    mode=st.sampled_from(["fast", "good"]),
    folder=st.none() | st.just(Path("a/b")),
    box=st.tuples(st.integers(), st.integers()),
    notes=st.lists(st.text()).map(tuple),
    weights=st.dictionaries(st.text(), st.floats(allow_nan=False)),
    careful=st.booleans(),
)


@given(job=jobs)
def test_a_config_comes_back_as_it_was(job, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "job.json"
    save_config(path, job)
    back = load_config(path, Job)
    assert back == job
    assert config_hash(back) == config_hash(job)
    assert config_diff(back, job) == ()


def test_not_a_number_comes_back(tmp_path):
    save_config(tmp_path / "loop.json", Loop(rate=math.nan))
    assert math.isnan(load_config(tmp_path / "loop.json", Loop).rate)


def test_missing_keys_take_their_default():
    assert config_from(Job, {"name": "a", "loop": {"steps": 3}}).loop == Loop(steps=3)


def test_a_difference_names_the_setting():
    other = Job(name="a", loop=Loop(steps=80), folder=Path("x"))
    assert config_diff(Job(name="a"), other) == (
        "loop.steps: 60 -> 80",
        "folder: None -> 'x'",
    )
    assert config_hash(Job(name="a")) != config_hash(other)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"name": "a", "loop": {"stepz": 3}}, "loop.stepz is no setting of Loop"),
        ({}, "name is missing"),
        ({"name": 3}, "name is 3"),
        ({"name": "a", "careful": 1}, "careful is 1"),
        ({"name": "a", "loop": {"steps": True}}, "loop.steps is True"),
        ({"name": "a", "loop": {"steps": 1.5}}, "loop.steps is 1.5"),
        ({"name": "a", "loop": {"rate": "fast"}}, "loop.rate is 'fast'"),
        ({"name": "a", "loop": {"rate": 10**400}}, "loop.rate is 1000"),
        ({"name": "a", "size": "huge"}, "size is 'huge'"),
        ({"name": "a", "mode": "bad"}, "mode is 'bad'"),
        ({"name": "a", "box": [1]}, r"box is \[1\]"),
        ({"name": "a", "notes": "abc"}, "notes is 'abc'"),
        ({"name": "a", "folder": "\0"}, "folder is"),
        ({"name": "a", "weights": [1]}, r"weights is \[1\]"),
        ([], r"the value is \[\]"),
    ],
)
def test_wrong_files_are_refused_by_name(values, message, tmp_path):
    path = tmp_path / "job.json"
    path.write_text(json.dumps(values))
    with pytest.raises(FileFormatError, match=message):
        load_config(path, Job)


@pytest.mark.parametrize(
    "data", [b"", b"{", b'{"rate": NaN}', b"\xff\xfe", b"[" * 100_000, b" " * (2 << 20)]
)
def test_what_is_no_json_is_refused(data, tmp_path):
    (tmp_path / "a.json").write_bytes(data)
    with pytest.raises(FileFormatError):
        load_config(tmp_path / "a.json", Loop)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(FileFormatError, match="cannot be read"):
        load_config(tmp_path / "none.json", Loop)


def test_a_config_of_functions_is_a_mistake_of_the_program():
    with pytest.raises(TypeError, match="no plain form"):
        config_hash((print,))
