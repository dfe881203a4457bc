"""The papers' tables and figures, a folder each. They measure nothing: they are made of metrics and analyses."""

from memstudy.registry import Registry

TABLES = Registry(
    "table",
    methods="memstudy.derived.methods:Methods",
    table1="memstudy.papers.al2:Table1",
    training="memstudy.derived.methods:TrainingTable",
    memorization="memstudy.derived.methods:Memorization",
    ablation_area="memstudy.papers.al2:AblationArea",
    loco_reg="memstudy.papers.loco_reg:LocoRegTable",
    norm_loss="memstudy.papers.norm_loss:NormLossTables",
    pilcro="memstudy.papers.pilcro:PilcroTables",
    ranking="memstudy.derived.ranking:Ranking",
)
"""By their names in a study's [report], in the order of printing; others' are in the group `memstudy.tables`."""
