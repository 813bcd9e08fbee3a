"""How good is an avatar, and has it got worse: numbers with units, directions and gates."""
