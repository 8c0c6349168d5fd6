"""A run of the detector over images, videos and streams: results are written as they come."""
