//! The `homeostat` binary. Everything is in the library, so that tests and the simulator can use it.

fn main() -> std::process::ExitCode {
    homeostat::app::main()
}
