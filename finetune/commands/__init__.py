"""The `finetune` command's parts, by what they are about. Each knows flags and what is printed."""
