"""Statistics of change: departures of coherence, the omnibus test of intensities, null distributions, sequences."""
