"""``python -m finetune``, which launchers start: ``accelerate launch -m finetune train …``."""

from finetune.cli import main

main()
