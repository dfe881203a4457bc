"""What several tests need: runs, stores, image sets, others' code, refusals. No test is in here.

- `runs`: runs with metrics written by hand, selections of them, a run cut short
- `stores`: small studies trained on real images, and copies of them to change
- `sources`: small image sets in the place of whole ones, files that torchvision takes for the real ones
- `contents`: what files hold, as numpy and torch write them
- `others_code`: a user's network and a package that registers regularizers, loaded as by a new process
- `commands`: all commands by name, those of analyses among them
- `drawing`: figures of an analysis, drawn as commands do
- `figures`: they are rendered once, not in three formats
- `sentences`: what a refusal is, and what would be printed
- `leases`: what a process does that is one of several to take a lease
- `stopping`: Ctrl-C after a chosen epoch
- `recorded`: CUDA graphs without CUDA
"""
