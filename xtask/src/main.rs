//! What the project does to itself: `cargo xtask ci | tidy | fuzz | bench | soak | interop | dist`.
//!
//! Needs nothing but the standard library, so that it builds in two seconds before anything else does.

#![expect(clippy::disallowed_methods, reason = "xtask is std only: natureddit_core::fs, Clock and config are not here")]

mod arguments;
mod bench;
mod ci;
mod dist;
mod fuzz;
mod interop;
mod json;
mod process;
mod served;
mod soak;
mod table;
mod tidy;
mod workspace;

use std::process::ExitCode;

use arguments::Arguments;
use process::Failure;

const HELP: &str = "\
What the project does to itself.

usage: cargo xtask <command> [options]

commands:
  ci        every check, in the order in which the cheap ones fail first; the tests run last
  tidy      the invariants that a program can check
  fuzz      give broken input to what reads bytes of strangers, a minute each
  bench     measure the bars the project promises
  soak      good requests among broken ones: the server answers as before and holds no more
  interop   run the real tools of others against what we write and serve
  dist      build and pack what is shipped

`cargo xtask <command> --help` tells more.
exit codes: 0 ok, 1 failed, 2 usage";

fn main() -> ExitCode {
    let mut arguments = Arguments::new(std::env::args().skip(1));
    match dispatch(&mut arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            failure.exit_code()
        }
    }
}

fn dispatch(arguments: &mut Arguments) -> Result<(), Failure> {
    let command = arguments.word().unwrap_or_else(|| "--help".to_owned());
    match command.as_str() {
        "ci" => ci::main(arguments),
        "tidy" => tidy::main(arguments),
        "fuzz" => fuzz::main(arguments),
        "bench" => bench::main(arguments),
        "soak" => soak::main(arguments),
        "interop" => interop::main(arguments),
        "dist" => dist::main(arguments),
        "help" | "--help" | "-h" => {
            println!("{HELP}");
            Ok(())
        }
        other => Err(Failure::usage(format!("no command `{other}`"), "cargo xtask --help")),
    }
}
