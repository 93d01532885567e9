"""Whose things are seen: rows, files and jobs are narrowed to their viewer."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from playground.errors import UnknownConversation, UnknownFile, UnknownJob
from playground.jobs.job import Job
from playground.jobs.queue import Jobs
from playground.protocol import Message
from playground.store import Feedback, NewAnswer
from playground.store.conversation_types import NewConversation
from playground.store.conversations import Conversations
from playground.store.uploads import Uploads
from playground.store.viewer import Viewer, viewed_by

ANA, BO = Viewer("ana", sees_all=False), Viewer("bo", sees_all=False)


@pytest.fixture
def conversations(tmp_path: Path) -> Iterator[Conversations]:
    with closing(Conversations(tmp_path)) as conversations:
        yield conversations


def test_conversations_are_seen_by_their_owner(conversations: Conversations) -> None:
    with viewed_by(ANA):
        kept = conversations.add(NewConversation(kind="chat", title="mine", tags=("secret",)))
        assert conversations.tags() == {"secret": 1}
    with viewed_by(BO):
        assert not conversations.list().conversations
        assert conversations.tags() == {}
        for call in (conversations.find, conversations.delete):
            with pytest.raises(UnknownConversation):
                call(kept.summary.id)
    assert conversations.find(kept.summary.id).summary.title == "mine"


def test_what_was_there_before_is_not_everybodys(conversations: Conversations) -> None:
    conversations.add(NewConversation(kind="chat", title="old"))
    with viewed_by(ANA):
        assert not conversations.list().conversations


def test_votes_are_their_owners(tmp_path: Path) -> None:
    with closing(Feedback(tmp_path)) as feedback:
        for viewer in (ANA, BO):
            with viewed_by(viewer):
                answer = NewAnswer("m", "Hello.")
                feedback.rate([Message("user", "Hi")], answer, up=True)
                assert len(feedback.sft_rows()) == 1
        assert feedback.counts()["thumbs"] == 2


def test_files_are_seen_by_their_owner(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path)
    (tmp_path / "rows.jsonl").write_text("{}")
    with viewed_by(ANA):
        file = uploads.keep(tmp_path / "rows.jsonl", "fine-tune")
    with viewed_by(BO), pytest.raises(UnknownFile):
        uploads.find(file.id)
    assert uploads.find(file.id).owner == "ana"


class Writes:
    """A kind of job that keeps a file."""

    name = "writes"

    def __init__(self, uploads: Uploads) -> None:
        self.uploads = uploads

    def adopt(self, folder: Path) -> None:
        return None

    def run(self, job: Job, hooks: object) -> dict[str, object]:
        path = job.folder / "out.txt"
        path.write_text("x")
        return {"file": self.uploads.keep(path, "evals").id}

    def snapshot(self, basis):
        return basis

    def discard(self, job: Job) -> None:
        pass


def test_a_job_and_what_it_makes_are_its_owners(tmp_path: Path) -> None:
    uploads, folder = Uploads(tmp_path), tmp_path / "jobs" / "one"
    folder.mkdir(parents=True)
    with Jobs(folder.parent, [Writes(uploads)]) as jobs:
        with viewed_by(ANA):
            jobs.add(folder, "writes", "one")
            done = jobs.wait("one", timeout=30)
            assert uploads.find(str(done.result["file"])).owner == "ana"
        with viewed_by(BO):
            assert not jobs.list()
            for call in (jobs.snapshot, jobs.stop, jobs.delete):
                with pytest.raises(UnknownJob):
                    call("one")
