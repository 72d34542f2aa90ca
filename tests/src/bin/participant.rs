//! A process of a fleet: see `oneflight_tests::participant`.

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    oneflight_tests::participant::run(&arguments);
}
