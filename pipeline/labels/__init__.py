"""`cohmap labels`: from stacks of coregistered SLCs to examples that networks are trained and validated on."""
