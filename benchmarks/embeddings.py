"""Are a chat model's hidden states good text embeddings? Paraphrases, found among all others.

`python -m benchmarks.embeddings [MODEL …]`. Each sentence of a pair looks for its partner among the
other sentences; the share that finds it first is printed for hidden states pooled in several ways,
beside the cosine of plain bags of words. The rule: `/v1/embeddings` is served from a model if its
hidden states find at least `NEEDED` of the partners, and more than words alone do.
"""

import argparse
import json
import re
from collections import Counter
from pathlib import Path

import torch
from torch import Tensor

from playground.models.loaded import LoadedModel
from playground.models.loader import load
from playground.models.spec import ModelSpec

PAIRS = Path(__file__).parent / "cases" / "paraphrases.json"
NEEDED = 0.8
WORD = re.compile(r"\w+")


def top_1(vectors: Tensor) -> float:
    """Share of the rows whose nearest other row, by cosine, is their partner (2i and 2i + 1)."""
    unit = torch.nn.functional.normalize(vectors.double(), dim=1)
    similarity = unit @ unit.T
    similarity.fill_diagonal_(-2)
    partners = torch.arange(len(vectors)) ^ 1
    return float((similarity.argmax(1) == partners).double().mean())


def bags_of_words(texts: list[str]) -> Tensor:
    """Counts of words, weighted by how rare they are."""
    bags = [Counter(WORD.findall(text.lower())) for text in texts]
    seen = Counter(word for bag in bags for word in bag)
    columns = {word: at for at, word in enumerate(seen)}
    vectors = torch.zeros(len(texts), len(columns))
    for row, bag in enumerate(bags):
        for word, count in bag.items():
            vectors[row, columns[word]] = count * torch.log(torch.tensor(len(texts) / seen[word]))
    return vectors


@torch.inference_mode()
def hidden_states(loaded: LoadedModel, texts: list[str]) -> dict[str, Tensor]:
    """Hidden states of each text, pooled: ``[texts, hidden size]`` by name."""
    pooled: dict[str, list[Tensor]] = {}
    for text in texts:
        ids = torch.tensor([loaded.tokenizer.encode(text)], device=loaded.model.device)
        states = loaded.model(input_ids=ids, output_hidden_states=True).hidden_states
        middle = len(states) // 2
        for name, state in (("last layer", states[-1]), ("middle layer", states[middle])):
            rows = state[0].float().cpu()
            pooled.setdefault(f"mean of the {name}", []).append(rows.mean(0))
            pooled.setdefault(f"last token of the {name}", []).append(rows[-1])
    return {name: torch.stack(rows) for name, rows in pooled.items()}


def main() -> None:
    """Print the share of each way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=["embedded"])
    texts = [text for pair in json.loads(PAIRS.read_text()) for text in pair]
    words = top_1(bags_of_words(texts))
    print(f"{len(texts)} sentences; by words alone: {words:.0%}")
    for model in parser.parse_args().models:
        loaded = load(ModelSpec(model))
        for name, vectors in hidden_states(loaded, texts).items():
            share = top_1(vectors)
            centred = top_1(vectors - vectors.mean(0))
            good = max(share, centred) >= NEEDED and max(share, centred) > words
            print(
                f"{model}: {name}: {share:.0%}, centred {centred:.0%}: "
                f"{'good' if good else 'not good'} for it"
            )


if __name__ == "__main__":
    main()
