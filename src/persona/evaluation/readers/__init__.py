"""Readers of the data sets: every one gives `subjects.Subject`s."""
