"""`persona sample` writes a picture."""

from PIL import Image

from persona.cli.main import main


def test_it_writes_the_picture_it_names(tmp_path, capsys):
    out = tmp_path / "person.png"
    assert main(["sample", "--out", str(out), "--height", "256", "--seed", "5"]) == 0
    assert str(out) in capsys.readouterr().out
    with Image.open(out) as picture:
        assert picture.size == (192, 256)


def test_an_absurd_height_is_refused(tmp_path, capsys):
    out = tmp_path / "person.png"
    assert main(["sample", "--out", str(out), "--height", "7"]) == 2
    assert not out.exists()
    assert "256" in capsys.readouterr().err
