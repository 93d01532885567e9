"""A second module tree over the same weights: training works on it while the engine serves.

The copy has modules, hooks and an adapter of its own; its base parameters are the very tensors of
the serving tree, so that memory holds them once. Knows no trainer and no engine.
"""

import copy
from dataclasses import replace
from typing import TYPE_CHECKING

from playground.models.loaded import LoadedModel

if TYPE_CHECKING:
    from bitsandbytes.nn import Linear8bitLt

TRAINING_ATTENTION = "sdpa"
"""The attention of a copy: the engine has put its own into the serving tree."""


def shared_weight_copy(loaded: LoadedModel) -> LoadedModel:
    """Return the same model with module objects of its own."""
    from bitsandbytes.nn import Linear8bitLt  # takes seconds to import

    model = loaded.model
    memo: dict[int, object] = {id(parameter): parameter for parameter in model.parameters()}
    for module in model.modules():
        if isinstance(module, Linear8bitLt):
            _init_int8_state(module)
            memo |= {id(tensor): tensor for tensor in (module.state.CB, module.state.SCB)}
    copied = copy.deepcopy(model, memo)
    for module in copied.modules():
        module._forward_hooks.clear()  # the engine's, which add the adapters of its batch
    attention = loaded.spec.attention
    copied.set_attn_implementation(TRAINING_ATTENTION if attention == "auto" else attention)
    return replace(loaded, model=copied.requires_grad_(False).eval())


def _init_int8_state(module: "Linear8bitLt") -> None:
    """Move int8 weights into the module's state before it is copied.

    Its first forward would do so, and leave none for a second module that shares them
    (bitsandbytes/nn/modules.py, Linear8bitLt.forward).
    """
    if module.weight.CB is not None:
        module.init_8bit_state()
