import pytest

from persona.core.atomic import (
    PARTIAL_PREFIX,
    remove_leftovers,
    replacing_file,
    replacing_folder,
    write_text,
)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_whole(tmp_path):
    write_text(tmp_path / "deep" / "a.txt", "one")
    write_text(tmp_path / "deep" / "a.txt", "two")
    assert (tmp_path / "deep" / "a.txt").read_text() == "two"
    assert names(tmp_path / "deep") == ["a.txt"]


def test_a_failed_file_leaves_the_old_one(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(RuntimeError, match="half"), replacing_file(target) as partial:
        partial.write_text("ne")
        raise RuntimeError("half-way")
    assert target.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_the_partial_name_keeps_the_ending(tmp_path):
    with replacing_file(tmp_path / "a.mp4") as partial:
        assert partial.suffix == ".mp4"
        partial.touch()


def test_a_folder_replaces_another_in_one_step(tmp_path):
    target = tmp_path / "me.persona"
    for text in ("one", "two"):
        with replacing_folder(target) as partial:
            (partial / "sub").mkdir()
            (partial / "sub" / text).write_text(text)
    assert names(target / "sub") == ["two"]
    assert names(tmp_path) == ["me.persona"]


def test_a_failed_folder_leaves_the_old_one(tmp_path):
    target = tmp_path / "me.persona"
    with replacing_folder(target) as partial:
        (partial / "a").write_text("old")
    with pytest.raises(RuntimeError), replacing_folder(target) as partial:
        (partial / "a").write_text("new")
        raise RuntimeError
    assert (target / "a").read_text() == "old"
    assert names(tmp_path) == ["me.persona"]


def test_a_folder_replaces_another_where_swapping_is_impossible(tmp_path, monkeypatch):
    monkeypatch.setattr("persona.core.atomic._exchange", lambda first, second: False)
    test_a_folder_replaces_another_in_one_step(tmp_path)


def test_leftovers_of_killed_writers_are_removed(tmp_path):
    (tmp_path / f"{PARTIAL_PREFIX}1-a").mkdir()
    (tmp_path / f"{PARTIAL_PREFIX}1-a" / "x").touch()
    (tmp_path / f"{PARTIAL_PREFIX}2-b.txt").touch()
    (tmp_path / "c.txt").touch()
    assert remove_leftovers(tmp_path, of="b") == 0
    assert remove_leftovers(tmp_path, of="b.txt") == 1
    assert remove_leftovers(tmp_path) == 1
    assert names(tmp_path) == ["c.txt"]
