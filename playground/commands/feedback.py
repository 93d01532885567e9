"""`playground feedback`: votes, thumbs and edits as training rows."""

from typing import Annotated

import typer

from playground.commands.options import with_settings
from playground.settings import Flags, load_settings
from playground.store.feedback import Feedback, FeedbackRows, as_jsonl


@with_settings("", "store")
def feedback(
    flags: Flags,
    method: Annotated[
        FeedbackRows,
        typer.Option(
            help="The training method that the rows are for: sft (good answers), dpo (votes and "
            "edits) or kto (thumbs)."
        ),
    ] = "sft",
) -> None:
    """Print the feedback of this home as JSON lines for `finetune train`."""
    settings = load_settings(flags)
    kept = Feedback(settings.home, settings.store.url)
    try:
        print(as_jsonl(kept.rows_for(method)), end="")
    finally:
        kept.close()
