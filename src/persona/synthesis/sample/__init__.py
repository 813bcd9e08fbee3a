"""The project's own person: drawn from the open body, so that everything runs without a photo."""
