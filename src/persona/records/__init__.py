"""What stages hand to each other: frozen, checked, savable."""
