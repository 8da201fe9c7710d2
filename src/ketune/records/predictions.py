"""What `generate` writes for a run: its answers, and how likely it finds given texts."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a run answered to one prompt.

    Attributes:
        new_tokens: tokens that were generated, the end-of-text token included.
        finished: the model ended the answer itself; otherwise it was cut at `generate.max_new_tokens`.
    """

    id: str
    instruction: str
    input: str
    reference: str
    prediction: str
    new_tokens: int
    finished: bool


@dataclass(frozen=True, kw_only=True)
class Likelihood:
    """Negative log-likelihood of one text, summed over its scored tokens, in nats."""

    id: str
    negative_log_likelihood: float
    tokens: int


# Kind of predictions → its rows: answers to test prompts; how likely a run finds their references, and neutral text.
PREDICTIONS = {"answers": Answer, "likelihood": Likelihood, "retention": Likelihood}
