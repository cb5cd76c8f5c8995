"""What cohmap knows about speckle: estimators of coherence, coregistration, the simulator. Never imports `pipeline`."""
