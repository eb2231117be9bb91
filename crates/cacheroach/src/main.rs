//! The program. All of it is in the library, so that tests can build it with more in it.

fn main() -> std::process::ExitCode {
    cacheroach::main()
}
