"""The way into peft from outside: a new adapter type, without a change of peft.

peft has no plug-in hook (its register function refuses names that its enumeration lacks), so the enumeration `PeftType`
is extended at import. That reaches into peft and into Python's enum, hence the window of versions.
"""

from typing import TypeVar

import peft
from packaging.version import Version
from peft import PeftConfig, PeftType
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING
from peft.tuners.tuners_utils import BaseTuner
from peft.utils import register_peft_method

from ketune.ground.errors import InputError
from ketune.tuners import layers

C = TypeVar("C", bound=PeftConfig)
PEFT_FROM, PEFT_BELOW = Version("0.21"), Version("0.22")
"""The versions of peft whose internals ketune's tuners were written against and tested with."""
LAYERS = "OutputLayer, InputLayer or WeightLayer of ketune.tuners.layers"


def register(kind: str, config: type[C], tuner: type[BaseTuner]) -> type[C]:
    """Make peft know the adapter type `kind`, in lower case, and return `config`; a second call changes nothing.

    Raises:
        InputError: peft is outside the tested window, or has another method of that name; or configuration and tuner
            do not say what peft asks for: the kind, its prefix, and the layer that holds the adapter.
    """
    if not PEFT_FROM <= Version(peft.__version__) < PEFT_BELOW:
        raise InputError(f"peft {peft.__version__} is installed; ketune needs peft >={PEFT_FROM},<{PEFT_BELOW}.")
    known = next((found for name, found in PEFT_TYPE_TO_CONFIG_MAPPING.items() if name == kind.upper()), None)
    if known is None:
        _check(kind, config, tuner)
        _peft_type(kind.upper())
        register_peft_method(name=kind, config_cls=config, model_cls=tuner, prefix=tuner.prefix)
    elif (known.__module__, known.__qualname__) != (config.__module__, config.__qualname__):
        raise InputError(
            f"peft {peft.__version__} already has a method {kind.upper()} ({known.__module__}); ketune does not "
            f"replace it: use peft's own, or install peft >={PEFT_FROM},<{PEFT_BELOW} without it."
        )
    return config


def _check(kind: str, config: type, tuner: type) -> None:
    told = {f"{config.__name__}.kind": (getattr(config, "kind", None), kind),
            f"{tuner.__name__}.prefix": (getattr(tuner, "prefix", None), f"{kind}_")}  # fmt: skip
    for name, (given, needed) in told.items():
        if given != needed:
            raise InputError(f"{name}: {given!r} was given to register({kind!r}, …); it must be {needed!r}.")
    layer = getattr(tuner, "tuner_layer_cls", None)
    if not (isinstance(layer, type) and issubclass(layer, layers.AdapterLayer) and hasattr(layer, "reads_output")):
        raise InputError(f"{tuner.__name__}.tuner_layer_cls: {layer!r} holds no adapter; name {LAYERS}.")


def _peft_type(name: str) -> PeftType:
    """The member `name` of peft's enumeration, added where it is missing; name equals value, as in all of peft's."""
    if name in PeftType.__members__:
        return PeftType[name]
    member = str.__new__(PeftType, name)
    for attribute, value in (
        ("_name_", name),
        ("_value_", name),
        ("__objclass__", PeftType),
        ("_sort_order_", len(PeftType)),
    ):
        setattr(member, attribute, value)  # what Enum's own construction sets
    PeftType._member_names_.append(name)
    PeftType._member_map_[name] = PeftType._value2member_map_[name] = member
    getattr(PeftType, "_hashable_values_", []).append(name)  # Python 3.13 and later
    type.__setattr__(PeftType, name, member)
    return member
