"""Stacks of coregistered complex images, as people have them: one file a format, one form for all."""
