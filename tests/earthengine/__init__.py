"""A stand-in for the Earth Engine REST interface, on the loopback: real rasters behind the expressions a client sends.

Run against it, the real client's requests, errors and pixels can be tested without an account. What it does is what
Google documents, or what the client was seen to expect; where it rests on a belief that no server confirmed, the code
says "Belief:".
"""
