"""Coverage studies: what passes there are, or would be, and what coherence they leave."""
