"""A local page to look at finished results: pan, zoom, switch layers, click for a place's time series."""
