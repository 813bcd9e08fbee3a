"""Video -> motion: follow one person, fit one body to the whole clip."""
