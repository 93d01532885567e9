"""Adapter formats of other trainers, converted to PEFT's."""
