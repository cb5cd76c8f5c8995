"""Complex images: coherence from their phase, and detected images made of them."""
