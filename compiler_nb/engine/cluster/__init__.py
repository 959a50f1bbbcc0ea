"""The engine whose calls run on a cluster of Dask; loaded when a run has one, all but the names of engines."""
