"""Tests. The name of a file says what it is about.

`test_store.py` tests the module of that name, store/store.py, or the package of that name. A package stands before
a module whose own name says too little, or which several packages have: test_store_code.py, test_papers_al2.py,
test_derived_similarity.py. An analysis has one file from its numbers to its figures: test_probe.py tests
analysis/probe.py and derived/probe. Only similarity has more: its measures, what is derived of them, and its plan.

What holds across modules is in a file that is named after it: test_regularizers_contract.py, test_analyses.py,
test_damage.py, test_imports.py. What several tests need is in `tests.kit`; benchmarks are in `tests.benchmarks`.
"""
