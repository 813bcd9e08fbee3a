"""Larger models that label pictures, each behind one file, from local folders of weights."""
