"""Pictures of people made rather than taken: the sample person, and frames in new poses."""
