"""Training of the regressors: scenes, loss, one flat loop, checkpoints."""
