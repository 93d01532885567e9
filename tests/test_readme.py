import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_every_path_of_the_file_map_exists_and_every_package_is_in_it() -> None:
    text = (ROOT / "README.md").read_text()
    table = text[text.index("| path |") :]
    named = {name for row in table.splitlines() for name in re.findall(r"`([\w./]+)`", row)}
    named = {name for name in named if (ROOT / name).exists() or "/" in name}
    assert all((ROOT / name).exists() for name in named)
    packages = {
        str(folder.parent.relative_to(ROOT))
        for top in ("playground", "finetune")
        for folder in (ROOT / top).glob("*/__init__.py")
    }
    assert packages <= named
