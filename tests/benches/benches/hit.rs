//! Wall-clock time of a fresh hit.

use divan::{Bencher, black_box_drop};
use oneflight_benches::Bed;

fn main() {
    divan::main();
}

macro_rules! hits {
    ($($name:ident),* $(,)?) => {$(
        #[divan::bench(sample_count = 300, sample_size = 2_000)]
        fn $name(bencher: Bencher<'_, '_>) {
            let bed = Bed::new();
            bencher.bench_local(|| black_box_drop(divan::black_box(&bed).$name()));
        }
    )*};
}

hits!(
    key,
    key_fresh_for,
    handle,
    handle_fresh_for,
    threads_key,
    threads_handle,
    quick_get,
    quick_loader,
    moka_loader,
    cell,
    cell_by_reference,
);
