"""Image sets, corruption rules, and the corrupted data set that a run trains on.

Sets and rules are registered here, so that their names are known without importing torch.
"""

from memstudy.registry import Registry

RULES = Registry(
    "corruption rule",
    **{name.lower().replace("_", "-"): f"memstudy.data.corruption:{name}" for name in (
        "SYMMETRIC", "SYMMETRIC_EXACT", "UNIFORM", "PAIR", "ASYMMETRIC", "MATRIX", "INSTANCE",
        "HUMAN_AGGREGATE", "HUMAN_RANDOM1", "HUMAN_RANDOM2", "HUMAN_RANDOM3", "HUMAN_WORST", "HUMAN_FINE",
        "HUMAN_COARSE",
        "RANDOM_LABELS", "SHUFFLED_PIXELS", "RANDOM_PIXELS", "GAUSSIAN", "FILE", "SOFT",
    )},
)  # fmt: skip

SOURCES = Registry(
    "dataset",
    mnist5k="memstudy.data.embedded:MNIST5K",
    digits="memstudy.data.embedded:DIGITS",
    mnist="memstudy.data.torchvision_sets:MNIST",
    fashion="memstudy.data.torchvision_sets:FASHION",
    cifar10="memstudy.data.torchvision_sets:CIFAR10",
    cifar100="memstudy.data.torchvision_sets:CIFAR100",
    **{"cifar100-coarse": "memstudy.data.torchvision_sets:CIFAR100_COARSE"},
)
"""The built-in sets and those of other packages. The user's own are found by name in the data directory."""
