"""What computes a network's convolutions: PyTorch, or a runtime made for inference that is given the same weights."""
