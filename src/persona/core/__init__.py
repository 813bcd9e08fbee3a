"""Vocabulary of the whole package; imports nothing from the rest of persona."""
