"""Pure maths on tensors: no networks, no files, no state."""
