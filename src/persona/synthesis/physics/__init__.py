"""The person's garments as cloth that moves with the body."""
