"""`playground plan`: which quantizations are shown."""

from pathlib import Path

from playground.commands.plan import serving_plans
from playground.models.published_configs import mistral_small_config
from playground.settings import load_settings

GPTQ = {"quant_method": "gptq", "bits": 4, "group_size": 128}


def test_stored_quantization_alone_is_planned(tmp_path: Path) -> None:
    config = mistral_small_config()
    for stored, kinds in ((None, ["none", "int8", "nf4"]), (GPTQ, ["nf4"])):
        if stored:
            config.quantization_config = stored
        config.save_pretrained(tmp_path)
        (tmp_path / "model.safetensors").touch()
        settings = load_settings({"model.name": str(tmp_path)})
        assert list(serving_plans(settings, chosen=False)) == kinds
