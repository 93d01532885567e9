"""A second module tree over the same weights: what training works on while the engine serves.

The twin has modules, hooks and an adapter of its own; its base parameters are the very tensors of
the serving tree, so that it takes no second copy of them in memory. Knows no trainer and no engine.
"""

import copy
from dataclasses import replace
from typing import Any

from bitsandbytes.nn import Linear8bitLt

from playground.models.loaded import LoadedModel

TRAINED_WITH = "sdpa"
"""The attention of a twin: the engine has put its own into the serving tree."""


def shared_weight_copy(loaded: LoadedModel) -> LoadedModel:
    """The same model with module objects of its own."""
    model = loaded.model
    shared: dict[int, object] = {id(each): each for each in model.parameters()}
    for module in model.modules():
        if isinstance(module, Linear8bitLt):
            _settle(module)
            for each in (module.state.CB, module.state.SCB):
                shared[id(each)] = each
    twin = copy.deepcopy(model, shared)
    for module in twin.modules():
        module._forward_hooks.clear()  # the engine's: adapters of the batch
    wanted = loaded.spec.attention
    twin.set_attn_implementation(TRAINED_WITH if wanted == "auto" else wanted)
    return replace(loaded, model=twin.requires_grad_(False).eval())


def _settle(module: Any) -> None:
    """int8 weights move into a module's state at its first forward, and are gone for a second one
    that shares them (bitsandbytes/nn/modules.py, Linear8bitLt.forward)."""
    if module.weight.CB is not None:
        module.init_8bit_state()
