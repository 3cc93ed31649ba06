"""The peer of the vector search figures: hnswlib over the same vectors, with its own default parameters.

Arguments: a file of vectors and a file of queries, 384 float32 each. Protocol, one JSON value a line:
{"build": THREADS} builds the index anew and is answered with the seconds this took;
{"search": EF} finds the ten nearest of every query on one thread: {"seconds": ..., "found": [[row, ...], ...]}.
"""

import json
import sys
import time

import hnswlib
import numpy

DIM = 384
M = 16
EF_CONSTRUCTION = 200


def read(path):
    return numpy.fromfile(path, dtype=numpy.float32).reshape(-1, DIM)


def main() -> None:
    vectors, queries = read(sys.argv[1]), read(sys.argv[2])
    index = None
    for line in sys.stdin:
        wanted = json.loads(line)
        start = time.perf_counter()
        if "build" in wanted:
            index = hnswlib.Index(space="ip", dim=DIM)
            index.init_index(max_elements=len(vectors), M=M, ef_construction=EF_CONSTRUCTION, random_seed=1)
            index.add_items(vectors, num_threads=wanted["build"])
            answer = time.perf_counter() - start
        else:
            index.set_ef(wanted["search"])
            start = time.perf_counter()
            labels, _ = index.knn_query(queries, k=10, num_threads=1)
            answer = {"seconds": time.perf_counter() - start, "found": labels.tolist()}
        print(json.dumps(answer), flush=True)


main()
