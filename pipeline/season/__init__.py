"""Seasons: coherence by season and baseline, per track and over tracks, and how it decays."""
