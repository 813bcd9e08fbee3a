import pytest

from persona.core.errors import MissingPartError
from persona.core.optional import is_available, require


def test_what_is_installed_is_found():
    assert is_available("json")
    assert require("json", extra="dev", purpose="test").loads("1") == 1


def test_what_is_missing_names_the_extra():
    assert not is_available("no_such_package")
    assert not is_available("no_such_package.part")
    with pytest.raises(MissingPartError, match="needed to splat on CUDA") as caught:
        require("no_such_package", extra="cuda", purpose="splat on CUDA")
    assert "persona-avatar[cuda]" in caught.value.fix
