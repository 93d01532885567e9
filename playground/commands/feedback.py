"""`playground feedback`: votes, thumbs and edits as training rows, and the tally of votes."""

from typing import Annotated

import typer

from playground.commands.options import with_settings
from playground.lab.tally import Tally, tally
from playground.settings import Flags, load_settings
from playground.store.feedback import Feedback, as_jsonl
from playground.store.feedback_rows import FeedbackRows


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
    show_tally: Annotated[
        bool,
        typer.Option(
            "--tally", help="Print votes and Bradley-Terry strengths by model and prompt instead."
        ),
    ] = False,
    tag: Annotated[str, typer.Option(help="With --tally: only votes with this tag.")] = "",
) -> None:
    """Print the feedback of this home as JSON lines for `finetune train`, or its tally of votes."""
    settings = load_settings(flags)
    kept = Feedback(settings.home, settings.store.url)
    try:
        if show_tally:
            print(_table(tally(kept.votes(), tag)))
        else:
            print(as_jsonl(kept.rows_for(method)), end="")
    finally:
        kept.close()


def _table(counted: Tally) -> str:
    """Return the tally in columns, the strongest first."""
    lines = [f"{counted.votes} vote{'' if counted.votes == 1 else 's'}"]
    if counted.standings:
        names = [
            " · ".join(filter(None, [each.contender.model, each.contender.prompt]))
            for each in counted.standings
        ]
        width = max(map(len, [*names, "model · prompt"]))
        lines.append(f"{'model · prompt':{width}}   won  lost  tied  strength (95%)")
        lines += [
            f"{name:{width}} {each.won:5} {each.lost:5} {each.tied:5}"
            f"  {each.strength:+.2f} ({each.low:+.2f} to {each.high:+.2f})"
            for name, each in zip(names, counted.standings, strict=True)
        ]
    return "\n".join(lines)
