"""The map of a region in a notebook or a page of Voilà, also over Earth Engine's images: `cohmap map`."""
