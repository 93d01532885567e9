"""Every setting, once: its type, default, limits, description, and its flag if not ``--name``.

The sections are pydantic models; `Settings` is all of them, read from flags, environment and file.
"""

from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from playground.settings.addresses import PageOrigin, RootPath
from playground.settings.backends import AnyBackend, check_aliases
from playground.settings.fields import ApiKey, ExpandedPath, Flag, Section, Several
from playground.settings.oidc import OidcSettings
from playground.settings.sources import (
    ENV_PREFIX,
    NESTED_DELIMITER,
    SETTINGS_FILE,
    Environment,
    SettingsFile,
)
from playground.settings.usage import AnyPrice, ModelPrice, price_of

Precision = Literal["auto", "bf16", "fp16", "fp32"]
DemoTab = Literal["chat", "json", "compare", "usage"]
Quantization = Literal["none", "int8", "nf4"]


class ModelSettings(Section):
    """Model"""

    name: Annotated[str, Flag("--model", "-m")] = Field(
        default="smollm2", description="catalogue name, Hugging Face id or local folder"
    )
    revision: str | None = Field(
        default=None, description="branch, tag or commit of a Hugging Face repository"
    )
    precision: Precision = Field(default="auto", description="dtype of unquantized weights")
    quantization: Annotated[Quantization, Flag(short="-q")] = Field(
        default="none", description="quantization of the base model's weights"
    )
    device: str = Field(default="auto", description="auto, cpu, cuda or cuda:N")
    attention: str = Field(
        default="auto",
        description="attn_implementation for transformers' own forward passes",
    )
    context_length: int | None = Field(
        default=None, ge=16, description="context window in tokens; the model's own if unset"
    )


class ServerSettings(Section):
    """Server"""

    host: str = Field(default="127.0.0.1", description="address to listen on")
    port: int = Field(default=7860, ge=0, le=65535, description="port; 0 takes any free one")
    root_path: RootPath = Field(
        default="", description="path that a proxy serves this under, as /playground"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="least severe level that is logged"
    )
    log_format: Literal["text", "json"] = Field(
        default="text", description="form of the log; json: an object a line, and one per request"
    )
    max_body_mib: float = Field(default=4.0, gt=0, description="largest HTTP request body, MiB")
    max_upload_mib: float = Field(default=512.0, gt=0, description="largest uploaded file, MiB")
    stream_interval_ms: float = Field(
        default=40.0, ge=0, description="least time between two chunks of a stream, ms"
    )
    drain_s: float = Field(
        default=8.0, ge=0, description="time for running answers to end after SIGTERM, s"
    )
    allowed_hosts: Annotated[Several[str], Flag("--allowed-host")] = Field(
        default=(), description="name of this server beside localhost, where nobody signs in"
    )
    cors_origins: Annotated[Several[str], Flag("--cors-origin")] = Field(
        default=(),
        description='origin whose pages may call the API, as http://localhost:3000; "*" for all',
    )
    frame_ancestors: Annotated[Several[PageOrigin], Flag("--frame-ancestor")] = Field(
        default=(),
        description="origin whose pages may show guests' pages in a frame, as https://example.org",
    )


class EngineSettings(Section):
    """Engine"""

    max_sequences: int = Field(default=32, ge=1, description="requests decoded in one batch")
    step_tokens: int = Field(default=512, ge=16, description="tokens in one forward pass")
    max_waiting: int = Field(
        default=256, ge=0, description="requests that may queue; more are refused with 429"
    )
    kv_cache_gib: float | None = Field(
        default=None, gt=0, description="KV cache size, GiB; chosen from free memory if unset"
    )
    kv_layout: Literal["auto", "contiguous", "paged"] = Field(
        default="auto", description="KV cache layout: paged suits GPUs, contiguous suits CPUs"
    )
    prefix_cache: bool = Field(
        default=True, description="reuse keys and values of a shared prompt prefix"
    )
    drafts: bool = Field(
        default=True, description="speculative decoding with n-grams of the prompt"
    )
    max_adapters: int = Field(default=8, ge=1, le=64, description="LoRA adapters in memory at once")


class StructuredSettings(Section):
    """Structured answers"""

    schema_in_prompt: Literal["auto", "on", "off"] = Field(
        default="auto",
        description="show the model the schema that its answer is held to; auto: if it is short",
    )


class AdapterSettings(Section):
    """Adapters"""

    load: Annotated[Several[str], Flag("--adapter")] = Field(
        default=(), description="LoRA adapter to serve: NAME=FOLDER, or a FOLDER of that name"
    )
    from_anywhere: Annotated[bool, Flag("--adapters-from-anywhere")] = Field(
        default=False, description="API clients may load adapters from any folder of this machine"
    )


class StoreSettings(Section):
    """Store"""

    database_url: SecretStr | None = Field(
        default=None,
        description="database URL, as postgresql://user:password@host/name; SQLite in the home "
        "if unset",
    )

    @property
    def url(self) -> str:
        """The URL, empty for SQLite in the home."""
        return self.database_url.get_secret_value() if self.database_url else ""


class TrainingSettings(Section):
    """Training"""

    priority: Annotated[Literal["low", "balanced", "high"], Flag("--training-priority")] = Field(
        default="low",
        description="compute for training while requests run: idle time only, half, or all",
    )
    isolated: bool = Field(
        default=False, description="train in a subprocess, with a base model of its own"
    )
    judged_rows: int = Field(
        default=200, ge=1, description="rows of each kind that a report card asks at most"
    )


class ToolSettings(Section):
    """Tools"""

    run: Annotated[bool, Flag("--run-tools")] = Field(
        default=False, description="run tools on this machine: the built-in ones and those below"
    )
    files: Annotated[Several[ExpandedPath], Flag("--tools")] = Field(
        default=(), description="Python file whose public functions become tools"
    )
    documents: Annotated[ExpandedPath | None, Flag("--tool-documents")] = Field(
        default=None, description="folder of text files that the tool search_documents searches"
    )
    mcp_servers: Annotated[Several[str], Flag("--mcp")] = Field(
        default=(), description="MCP server: NAME=URL, or NAME=COMMAND ARGUMENT …"
    )


class SweepSettings(Section):
    """Sweeps"""

    expressions: Annotated[Several[str], Flag("--grader")] = Field(
        default=(),
        description="Python expression that sweeps may grade by: 'NAME=len(output) < 80'",
    )
    task_folders: Annotated[Several[ExpandedPath], Flag("--include-path")] = Field(
        default=(), description="folder of lm-eval task files, beside lm-eval's own"
    )


class AccessSettings(Section):
    """Access"""

    api_key: ApiKey | None = Field(
        default=None, description="API requests must carry this key if it is set"
    )
    password: ApiKey | None = Field(
        default=None, description="people sign in; this is the password of the account admin"
    )
    accounts: bool = Field(
        default=False,
        description="people sign in; the first start prints a link for the administrator",
    )
    demo: bool = Field(
        default=False, description="visitors who do not sign in may chat and compare, as guests"
    )
    demo_tabs: Annotated[Several[DemoTab], Flag("--demo-tab")] = Field(
        default=get_args(DemoTab), min_length=1, description="tab that guests see"
    )
    demo_models: Annotated[Several[str], Flag("--demo-model")] = Field(
        default=(), description="model or adapter that guests may ask; all if unset"
    )
    demo_system_prompt: str | None = Field(default=None, description="guests' system prompt")
    demo_banner: str | None = Field(
        default=None, max_length=500, description="text that guests see above the page"
    )
    open: bool = Field(
        default=False, description="listen to a network without asking anybody who they are"
    )
    session_hours: float = Field(
        default=168.0, gt=0, le=8760, description="hours until people have to sign in again"
    )
    oidc: OidcSettings = OidcSettings()

    @property
    def asks(self) -> bool:
        """Whether people sign in."""
        return bool(self.password or self.accounts or self.demo or self.oidc.issuer)


class LimitSettings(Section):
    """Limits"""

    requests_per_minute: int | None = Field(
        default=None, ge=1, description="answers that one client may ask for in a minute"
    )
    tokens_per_minute: int | None = Field(
        default=None, ge=1, description="tokens of one client, prompts and answers, in a minute"
    )
    tokens_per_day: int | None = Field(
        default=None, ge=1, description="tokens of one client in a day"
    )
    usd_per_day: float | None = Field(
        default=None,
        ge=0,
        description="USD that answers of one account, API key or guest's address cost in a day",
    )
    usd_per_month: float | None = Field(
        default=None, ge=0, description="USD that answers of one account or API key cost in a month"
    )
    guests_usd_per_day: float | None = Field(
        default=None, ge=0, description="USD that answers to all guests together cost in a day"
    )
    concurrent_answers: int | None = Field(
        default=None, ge=1, description="answers that are written for one client at once"
    )
    queue_per_client: int = Field(
        default=128, ge=1, description="requests of one client that may wait for their turn"
    )
    max_answer_tokens: int | None = Field(
        default=None, ge=1, description="longest answer in tokens that a request may ask for"
    )
    max_tools: int = Field(default=128, ge=1, description="most tools in one request")
    max_schema_kib: float = Field(default=256.0, gt=0, description="largest JSON schema, KiB")


class TelemetrySettings(Section):
    """Telemetry"""

    otlp_endpoint: str | None = Field(
        default=None,
        pattern=r"^https?://",
        description="collector that traces are sent to by OTLP over HTTP, as http://127.0.0.1:4318",
    )
    trace_content: bool = Field(
        default=False, description="traces hold prompts and answers, not only their sizes"
    )


class UsageSettings(Section):
    """Usage"""

    prices: Annotated[Several[AnyPrice], Flag("--price")] = Field(
        default=(),
        description="MODEL=INPUT/OUTPUT or MODEL=INPUT/OUTPUT/CACHED, USD per million tokens; "
        "0.30/0.80 for a model that none names",
    )
    gpu_usd_per_hour: float | None = Field(
        default=None, ge=0, description="what an hour of this machine costs, USD"
    )
    keep_days: int = Field(default=400, ge=1, description="days that usage is kept")
    keep_answers: int = Field(
        default=1_000_000, ge=1, description="answers whose usage is kept; the oldest go first"
    )

    def price_of(self, model: str) -> ModelPrice:
        """Return the price of a model's tokens."""
        return price_of(self.prices, model)


class Settings(BaseSettings):
    """Everything that can be set. Sources, strongest first: flags (the constructor's arguments),
    environment, ``playground.yaml`` in the working directory, the defaults here.
    """

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_nested_delimiter=NESTED_DELIMITER,
        yaml_file=SETTINGS_FILE,
        extra="forbid",
        frozen=True,
    )

    home: ExpandedPath = Field(
        default=Path("~/.local/share/mistral-playground"),
        validate_default=True,
        description="folder for downloads, adapters, runs and the database",
    )
    model: ModelSettings = ModelSettings()
    server: ServerSettings = ServerSettings()
    engine: EngineSettings = EngineSettings()
    structured: StructuredSettings = StructuredSettings()
    adapters: AdapterSettings = AdapterSettings()
    store: StoreSettings = StoreSettings()
    training: TrainingSettings = TrainingSettings()
    tools: ToolSettings = ToolSettings()
    sweeps: SweepSettings = SweepSettings()
    access: AccessSettings = AccessSettings()
    backends: Annotated[Several[AnyBackend], AfterValidator(check_aliases), Flag("--backend")] = (
        Field(
            default=(),
            description="server that answers, too: ALIAS=URL, ALIAS=KIND+URL or a mapping",
        )
    )
    limits: LimitSettings = LimitSettings()
    usage: UsageSettings = UsageSettings()
    telemetry: TelemetrySettings = TelemetrySettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags, then environment, then the YAML file; no .env and no secrets folder."""
        return init_settings, Environment(settings_cls), SettingsFile(settings_cls)
