"""x"""


def neuman_subject(*a, **k): ...
