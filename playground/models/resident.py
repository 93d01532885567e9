"""`ResidentModel`: the model that a server holds, perhaps not loaded yet. Knows no loader."""

from playground.errors import ModelLoading
from playground.models.loaded import LoadedModel
from playground.models.spec import ModelSpec


class ResidentModel:
    """A model whose name and spec are known from the start, and all of it once it is loaded."""

    def __init__(self, name: str, spec: ModelSpec) -> None:
        self._name = name
        self._spec = spec
        self._loaded: LoadedModel | None = None

    @classmethod
    def of(cls, loaded: LoadedModel) -> "ResidentModel":
        """Return one that is loaded already."""
        resident = cls(loaded.name, loaded.spec)
        resident.set(loaded)
        return resident

    def set(self, loaded: LoadedModel) -> None:
        """Hand the loaded model over. Its spec counts from now on: files may say how they are
        quantized."""
        self._loaded = loaded

    @property
    def name(self) -> str:
        """The name under which the model is served, or will be."""
        return self._loaded.name if self._loaded else self._name

    @property
    def spec(self) -> ModelSpec:
        """Which model, and how it is loaded."""
        return self._loaded.spec if self._loaded else self._spec

    def require_loaded(self) -> LoadedModel:
        """Return the loaded model. Raises `ModelLoading` before it is there."""
        if self._loaded is None:
            raise ModelLoading(self._name)
        return self._loaded
