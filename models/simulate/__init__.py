"""The physics: scatterers, the sensor's impulse response, detection, and a landscape of known coherence."""
