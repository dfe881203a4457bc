"""All benchmarks, one after the other: `make bench`. Speed is a ratio measured in one run, never a test."""

from tests.benchmarks import (
    bench_ablation,
    bench_cca,
    bench_data,
    bench_regularizers,
    bench_store,
    bench_training,
)

if __name__ == "__main__":
    bench_training.main()
    bench_cca.main()
    bench_ablation.main()
    bench_data.main()
    bench_regularizers.main()
    bench_store.main()
