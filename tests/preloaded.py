"""What the process that tests fork others from imports first: all that takes seconds to import."""

import gc
import os
from importlib import import_module

from finetune.data.language import language_of
from playground.runtime import quiet_libraries, replaced_at_import, without

PAGE = "playground.ui.page"
OTHERS = (
    "playground.api.app",
    "playground.backends.local",
    "playground.cli",
    "playground.models.loader",
    "playground.server",
    "playground.studio.studio",
    "finetune.commands.training",
    "finetune.methods.trainers",
    "finetune.training.plan",
    "finetune.training.train",
    "peft.optimizers",
    "peft.utils.transformers_weight_conversion",
    "transformers.tokenization_mistral_common",
    "trl.trainer.sft_trainer",
)

gc.disable()  # until all is imported, as in conftest

os.environ.setdefault("OMP_NUM_THREADS", "1")
quiet_libraries()
with (
    without("mcp"),
    replaced_at_import("gradio.component_meta", "create_or_modify_pyi", lambda *_: None),
):  # as the server does
    import_module(PAGE)
for name in OTHERS:
    import_module(name)
language_of("To guess once loads the model, which takes most of a second.")
gc.freeze()  # no process that is forked looks through it, or copies its memory
gc.enable()
