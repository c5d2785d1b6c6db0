"""The tutorial with a NumPy model."""

from benchmarks.serving.peers.network import forward
from benchmarks.serving.peers.tutorial import serve

app = serve(forward)
