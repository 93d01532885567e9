from pathlib import Path

import numpy as np
import pytest
import torch
from gguf import GGUFReader
from transformers import MistralForCausalLM

from playground.bench.shapes import DTYPES, SHAPES, random_model
from playground.models.export.gguf_file import interleaved, write_model
from playground.models.export.gguf_vocabulary import NumberVocabulary
from playground.models.export.request import GgufType

SHAPE = SHAPES["embedded"]


@pytest.fixture(scope="module", params=DTYPES)
def model(request: pytest.FixtureRequest) -> MistralForCausalLM:
    return random_model(SHAPE, DTYPES[request.param])


@pytest.mark.slow
def test_the_file_has_llama_cpps_tensors_in_the_models_precision(
    model: MistralForCausalLM, tmp_path: Path
) -> None:
    kind: GgufType = "f32" if model.dtype == torch.float32 else "bf16"
    shapes = {name: tuple(weight.shape) for name, weight in model.named_parameters()}
    path = tmp_path / "model.gguf"
    weights = model.named_parameters()
    write_model(weights, shapes, model.config, NumberVocabulary(), path, kind)
    reader = GGUFReader(tmp_path / "model.gguf")
    assert reader.fields["general.architecture"].contents() == "llama"
    assert len(reader.fields["tokenizer.ggml.tokens"].contents()) == model.config.vocab_size
    found = {tensor.name: tensor for tensor in reader.tensors}
    assert len(found) == 3 + 9 * SHAPE.layers
    query = found["blk.3.attn_q.weight"]
    wanted = (SHAPE.hidden, SHAPE.hidden), "F32" if model.dtype == torch.float32 else "BF16"
    assert (tuple(query.shape), query.tensor_type.name) == wanted
    assert tuple(found["blk.0.attn_k.weight"].shape) == (SHAPE.hidden, 32 * SHAPE.kv_heads)
    assert found["blk.0.attn_norm.weight"].tensor_type.name == "F32"
    # torch has no bf16 in numpy: its upper halves of fp32 are what the file must hold
    rows = found["token_embd.weight"].data.tobytes()
    embedded = model.model.embed_tokens.weight.detach()
    kept = embedded if model.dtype == torch.float32 else embedded.view(torch.int16)
    assert rows == np.ascontiguousarray(kept.numpy()).tobytes()


def test_rows_that_rotate_together_become_neighbours() -> None:
    rows = torch.arange(8.0)[:, None]  # two heads of width four: 0 turns with 2, 1 with 3
    assert interleaved(rows, heads=2).flatten().tolist() == [0, 2, 1, 3, 4, 6, 5, 7]
