"""The processor: claims submitted items, runs their handlers, reports."""
