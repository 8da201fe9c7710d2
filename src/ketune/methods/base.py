"""The language model as it is."""

from ketune.methods import Method

METHOD = Method(
    title="Base",
    family="reference",
    source="the language model itself",
    adapter="whole_model",
    fixed={"train": False},
    control_of=("qaa", "qtha", "quantum_peft"),
    isolates="what tuning adds at all",
)
