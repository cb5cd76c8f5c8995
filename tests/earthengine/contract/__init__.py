"""What cohmap believes of Earth Engine: one small test each.

They are put to the stand-in by default, and to Earth Engine itself by ::

    earthengine authenticate
    pytest -m live --project my-cloud-project

The docstring of a test names the belief: [S] is stated in Google's documentation, [B] is believed. What fails only live
is a belief to correct in tests/earthengine, and in what builds on it. All of it reads about 2 MB of one scene of 2019.

Not here, because nobody can bring it about at will: 429 and 5xx, memory and time running out on the server, restricted
quota, an answer later than the deadline. tests/earthengine/test_faults.py has what is done about them.
"""
