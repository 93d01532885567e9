"""Conversations as people have them: messages in and out, exports and imports.

Knows the shapes of conversations and of files; knows no page, no HTTP and no model.
"""

from playground.lab.history.exporting import FORMATS, Export, ExportFormat, every, export
from playground.lab.history.importing import Imported, read_conversations
from playground.lab.history.items import items_of, messages_of

__all__ = [
    "FORMATS",
    "Export",
    "ExportFormat",
    "Imported",
    "every",
    "export",
    "items_of",
    "messages_of",
    "read_conversations",
]
