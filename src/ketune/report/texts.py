"""What the report keeps of texts: of a reference what kind it is, of an answer how it ended. None can be read.

The kind is read off the instruction's first words by a stated list, not judged.
"""

from dataclasses import dataclass

from ketune.records.examples import Example
from ketune.records.predictions import Answer

KINDS = {
    "question": ("what", "who", "when", "where", "why", "which", "how", "is", "are", "does", "do", "can", "could"),
    "explain": ("explain", "describe", "compare", "discuss", "tell", "define", "analyze", "analyse"),
    "rewrite": ("rewrite", "edit", "correct", "paraphrase", "translate", "convert", "change", "fix", "replace",
                "rephrase", "improve", "make", "turn"),
    "summarise": ("summarize", "summarise", "shorten", "condense"),
    "classify": ("classify", "identify", "categorize", "detect", "decide", "sort", "determine", "label", "find",
                 "extract", "select", "choose"),
    "calculate": ("calculate", "compute", "solve", "evaluate", "add", "multiply", "count", "estimate"),
    "write": ("write", "create", "generate", "compose", "design", "construct", "draft", "come", "develop", "produce",
              "brainstorm", "invent", "propose", "suggest", "list", "name", "give", "provide"),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A test record whose reference is scored.

    Attributes:
        kind: of its instruction.
        with_input: it has an input beside the instruction.
    """

    kind: str
    with_input: bool


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How an answer ended.

    Attributes:
        finished: the model ended it itself; otherwise it was cut at `generate.max_new_tokens`.
        empty: nothing stands in it but white space.
    """

    finished: bool
    empty: bool


def reference(example: Example) -> Reference:
    """What is kept of a test record."""
    return Reference(kind=kind(example), with_input=bool(example.input))


def ending(answer: Answer) -> Ending:
    """What is kept of an answer."""
    return Ending(finished=answer.finished, empty=not answer.prediction.strip())


def kind(example: Example) -> str:
    """The first known word among the instruction's first three, or "other"."""
    for word in example.instruction.lower().split()[:3]:
        for name, words in KINDS.items():
            if word.strip(".,:;!?'\"") in words:
                return name
    return "other"
