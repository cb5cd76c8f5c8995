"""Change monitoring: across an event, or pass by pass; maps, polygons, time series."""
