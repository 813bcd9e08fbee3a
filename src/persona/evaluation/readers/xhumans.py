"""x"""


def xhumans_subject(*a, **k): ...
