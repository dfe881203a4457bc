"""What memstudy promises when things go wrong, tried out: kills, failing disks, damage, crowds, strangers' files.

A part is a module or a folder here with `campaign(size, seed)`, which yields what was tried and what survived it.
Each has two sizes: that of every change (`make test-reliability`) and the long one (`make campaign`), whose result
is committed. Everything random follows from the seed, so that a loss can be repeated:

    python -m tests.reliability PART [--long] [--seed N]
"""
