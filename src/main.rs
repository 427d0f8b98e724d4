//! The program: parses the command line, runs it, and turns its end into an exit code.

use std::process::ExitCode;

// Worker threads make and free batches all the time; it costs a third less here than in the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Lets the tests end the program at a named step.
    #[cfg(feature = "failpoints")]
    let _failpoints = fail::FailScenario::setup();
    // A panic on one worker thread would leave the others waiting for ever: the process ends instead, and what started it
    // resumes from the newest manifest.
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        report(info);
        std::process::abort();
    }));
    minuet::cli::main()
}
