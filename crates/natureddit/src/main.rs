//! The `natureddit` program; all of it is in the library of the same name.

use std::process::ExitCode;

fn main() -> ExitCode {
    #[expect(unsafe_code, reason = "ONNX Runtime takes this setting from the environment only")]
    // SAFETY: this is the first statement of the program: no other thread runs that could read the environment.
    unsafe {
        std::env::set_var("ORT_DISABLE_TELEMETRY", "1");
    }
    natureddit::cli::run()
}
