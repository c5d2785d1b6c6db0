"""The forward pass in process: each line on stdin is a number of seconds, answered by predictions and seconds spent."""

import sys
import time

import numpy as np

from benchmarks.serving.peers.network import forward


def main(rows: int) -> None:
    """Predicts for as long as each line says, over and over."""
    features = np.random.default_rng(0).standard_normal((rows, 68)).astype(np.float32)
    for line in sys.stdin:
        forward(features)
        started, done = time.process_time(), 0  # not what others take of the processor
        while (spent := time.process_time() - started) < float(line):
            forward(features)
            done += 1
        print(done * rows, spent, flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
