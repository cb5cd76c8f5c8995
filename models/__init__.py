"""What cohmap knows about speckle: estimators of coherence, coregistration, and the simulator. Never imports `pipeline`."""
