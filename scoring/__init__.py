"""Scores a whole catalogue offline, on the cores of one machine or of a cluster, by Dask."""
