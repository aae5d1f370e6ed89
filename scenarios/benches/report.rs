//! How long the report takes: of a result with nine variants, from the numbers in memory to the text of the page.

use criterion::{Criterion, criterion_group, criterion_main};
use reports::{from_json, html_report, to_json};
use tuesday::{file, library, run_experiment};

fn report(criterion: &mut Criterion) {
    let shipped = library::find("nine-oh-two").expect("it ships");
    let scenario = file::read(shipped.text, &|_| Err(String::new())).scenario.expect("it is in order");
    let result = run_experiment(&scenario, &[scenario.seed], || ());
    let json = to_json(&result);
    let mut group = criterion.benchmark_group("report");
    group.sample_size(10);
    group.bench_function("nine-oh-two, drawn", |bencher| {
        bencher.iter(|| html_report(&result, "tuesday run nine-oh-two").expect("it is written to memory"));
    });
    group.bench_function("nine-oh-two, read", |bencher| {
        bencher.iter(|| from_json(&json).expect("it was written by this version"));
    });
    group.finish();
}

criterion_group!(benches, report);
criterion_main!(benches);
