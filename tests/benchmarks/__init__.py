"""Measurements that take longer than a test; each is run as a module and prints a table."""
