"""`playground models` and `playground settings`: what there is to choose from."""

from pathlib import Path

from playground.commands.options import SECTIONS, with_settings
from playground.commands.tables import new_table, print_table
from playground.runtime import quiet_libraries
from playground.settings import SETTINGS, Flags, Setting, Settings, load_settings, origin


@with_settings("")
def models(flags: Flags) -> None:
    """List the names that --model takes, and what has been downloaded."""
    in_force = load_settings(flags)
    from playground.models.catalogue import entries
    from playground.models.download import downloaded

    quiet_libraries()
    table = new_table(("name", "context", "source", "description"))
    for entry in entries():
        source = "in this package" if Path(entry.source).is_dir() else entry.source
        table.add_row(entry.name, f"{entry.context_length:,}", source, entry.description)
    print_table(table)
    for repository, size in downloaded(in_force.home):
        print(f"downloaded: {repository}, {size / 2**30:.2f} GiB")
    print("Any Hugging Face id (owner/name) or local folder with safetensors can be given, too.")


@with_settings(*SECTIONS)
def settings(flags: Flags) -> None:
    """List the settings in force, and where each came from."""
    in_force = load_settings(flags)
    table = new_table(("setting", "value", "from", "meaning"))
    for setting in SETTINGS:
        value = _shown(setting, in_force)
        table.add_row(setting.path, value, origin(setting.path, flags), setting.description)
    print_table(table)


def _shown(setting: Setting, in_force: Settings) -> str:
    value = setting.value_in(in_force)
    if value is None:
        return ""
    if setting.is_list and isinstance(value, tuple):
        return "\n".join(str(item) for item in value)
    return "(set)" if setting.is_secret else str(value)
